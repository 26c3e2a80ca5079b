/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/run_program.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/attach_protocol.h"
#include "cli/cli.h"
#include "cli/program_file.h"
#include "common/cleanup.h"
#include "wire/frame.h"

/* As env(1) and the shell: the program cannot be run, or was not found. */
enum { RUN_CANNOT = 126, RUN_NOT_FOUND = 127 };

#define LIBRARY "libpmem.so.1"

/* ---- The environment --------------------------------------------------------------- */

/* In the build tree if this program is there, else where it was installed. NULL: nowhere. */
static char *find_library(bool record)
{
	const char *name = record ? "recorder/" LIBRARY : LIBRARY;
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *path, *slash;

	self[length > 0 ? length : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash) {
		*slash = '\0';
		if (asprintf(&path, "%s/pmem/client/%s", self, name) < 0)
			return NULL;
		if (access(path, R_OK) == 0)
			return path;
		free(path);
	}
	if (asprintf(&path, PKGLIBDIR "/%s", name) < 0)
		return NULL;
	if (access(path, R_OK) < 0) {
		free(path);
		path = NULL;
	}
	return path;
}

static int set_preload(struct cli *cli, bool record)
{
	CLEANUP_FREE char *library = find_library(record);
	const char *others = getenv("LD_PRELOAD");
	CLEANUP_FREE char *preload = NULL;

	if (!library)
		return cli_fail(cli, PKGLIBDIR "/" LIBRARY ": cannot read it: install softpmem whole");
	/* Blanks and colons separate the names in LD_PRELOAD. */
	if (strpbrk(library, " :"))
		return cli_fail(cli, "softpmem lies in a directory with a blank or a colon in its name: "
				     "no library there can be preloaded: move it");
	if (asprintf(&preload, "%s%s%s", library, others && *others ? ":" : "", others ? others : "") < 0) {
		preload = NULL;
		return cli_fail(cli, "out of memory");
	}
	return setenv("LD_PRELOAD", preload, 1) == 0 ? CLI_OK : cli_fail(cli, "out of memory");
}

static int set_switch(struct cli *cli, const char *name, bool on)
{
	return (on ? setenv(name, "1", 1) : unsetenv(name)) == 0 ? CLI_OK : cli_fail(cli, "out of memory");
}

/* What the library does about flush and fence instructions of the program; unset: it patches them. */
static int set_inline(struct cli *cli, const struct run_program *options)
{
	const char *value = options->no_inline ? "0" : cli->verbose ? "verbose" : NULL;
	int error = value ? setenv("SOFTPMEM_INLINE", value, 1) : unsetenv("SOFTPMEM_INLINE");

	return error == 0 ? CLI_OK : cli_fail(cli, "out of memory");
}

static int set_stack(struct cli *cli, unsigned depth)
{
	char text[16];
	int error;

	snprintf(text, sizeof(text), "%u", depth);
	error = depth ? setenv("SOFTPMEM_STACK", text, 1) : unsetenv("SOFTPMEM_STACK");
	return error == 0 ? CLI_OK : cli_fail(cli, "out of memory");
}

/* Which files are the standard output and the standard error of the recorded program, for marks. */
static int set_outputs(struct cli *cli)
{
	char text[4 * 20] = "";
	size_t used = 0;

	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		struct stat status = { 0 };

		fstat(fd, &status);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%llx:%llx ",
					 (unsigned long long)status.st_dev,
					 (unsigned long long)status.st_ino);
	}
	return setenv("SOFTPMEM_OUTPUTS", text, 1) == 0 ? CLI_OK : cli_fail(cli, "out of memory");
}

static int set_key(struct cli *cli, uint64_t key)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)key);
	return setenv("SOFTPMEM_RECORD", text, 1) == 0 ? CLI_OK : cli_fail(cli, "out of memory");
}

static int set_socket(struct cli *cli, const char *path, const struct run_program *options)
{
	int status = setenv("SOFTPMEM_ATTACH", path, 1) == 0 ? CLI_OK : cli_fail(cli, "out of memory");

	if (status == CLI_OK)
		status = set_switch(cli, "SOFTPMEM_THROUGH", options->through);
	if (status == CLI_OK)
		status = set_switch(cli, "SOFTPMEM_MUST_ATTACH", !options->allow_unattached);
	if (status == CLI_OK && options->record_key)
		status = set_key(cli, options->record_key);
	if (status == CLI_OK && options->record_key)
		status = set_outputs(cli);
	if (status == CLI_OK && options->record_key)
		status = set_stack(cli, options->stack_depth);
	if (status == CLI_OK)
		status = set_inline(cli, options);
	return status;
}

/* Absolute: the program may change its directory. NULL without memory. */
static char *attach_path(const struct cli *cli)
{
	CLEANUP_FREE char *whole = realpath(cli->socket, NULL);
	char *path;

	return whole && asprintf(&path, "%s" ATTACH_SUFFIX, whole) >= 0 ? path : NULL;
}

/* ---- Does the daemon attach us? -------------------------------------------------------- */

/* Longer than the daemon waits for others to make room. */
#define ATTACH_SECONDS 10

static int open_attach_socket(const char *path)
{
	const struct timeval patience = { .tv_sec = ATTACH_SECONDS };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return steal_fd(&fd);
}

/* A refused client is hung up on: the kernel may report that once as a reset before it gives the reply. */
static ssize_t receive_reply(int fd, struct attach_reply *reply)
{
	ssize_t got = recv(fd, reply, sizeof(*reply), 0);

	return got < 0 && errno == ECONNRESET ? recv(fd, reply, sizeof(*reply), 0) : got;
}

/* Greet the daemon as the program will. NULL: it would attach it; else the reason, for the caller to free. */
static char *refusal(const char *path)
{
	const struct attach_request hello = {
		.magic = ATTACH_MAGIC, .version = ATTACH_VERSION, .type = ATTACH_HELLO, .size = sizeof(hello)
	};
	struct attach_reply reply = { 0 };
	CLEANUP_FD int fd = open_attach_socket(path);

	if (fd < 0)
		return strdup(strerror(-fd));
	/* Not sent: the daemon has hung up, and may have said why. */
	if (send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
		return strdup(strerror(errno));
	if (receive_reply(fd, &reply) != sizeof(reply) || reply.magic != ATTACH_MAGIC)
		return strdup("it does not answer");
	if (!reply.error)
		return NULL;
	return strndup(reply.message, sizeof(reply.message));
}

static int check_attach(struct cli *cli, const char *path, const struct run_program *options)
{
	CLEANUP_FREE char *reason = refusal(path);
	CLEANUP_FREE char *text = NULL;

	if (!reason)
		return CLI_OK;
	if (asprintf(&text, "%s: the daemon refuses to attach the program: %s%s", cli->verb->name, reason,
		     options->allow_unattached ? "" : "; --allow-unattached runs it on the mount alone") < 0)
		text = NULL;
	cli_fail(cli, text ? text : "out of memory");
	return options->allow_unattached ? CLI_OK : CLI_FAILED;
}

/* `program` is NULL if it was not found. */
static int fail_program(struct cli *cli, const char *program, int error)
{
	char interpreter[PATH_MAX];
	/* execve(2) does not tell which of the files is missing. */
	const bool names_interpreter = program && !program_file_error(program) &&
				       program_interpreter_error(program, interpreter) == error;
	CLEANUP_FREE char *text = NULL;

	if (asprintf(&text, "%s: %s: %s%s%s%s", cli->verb->name, cli->arguments[0],
		     names_interpreter ? "interpreter " : "", names_interpreter ? interpreter : "",
		     names_interpreter ? ": " : "", strerror(error)) < 0)
		text = NULL;
	cli_fail(cli, text ? text : "out of memory");
	return !program && error == ENOENT ? RUN_NOT_FOUND : RUN_CANNOT;
}

/* What execv(3) would fail with. */
static int check_program(struct cli *cli, bool record)
{
	CLEANUP_FREE char *program = program_find(cli->arguments[0]);
	int error = program ? program_file_error(program) : errno;

	/* run learns it from execv(3) itself. */
	if (!error && record)
		error = program_try(program, cli->arguments);
	return error ? fail_program(cli, program, error) : CLI_OK;
}

int run_program_prepare(struct cli *cli, const struct run_program *options)
{
	CLEANUP_JSON struct json_object *answer = NULL;
	CLEANUP_FREE char *path = NULL;
	int status = cli_ask_status(cli, &answer);

	if (status == CLI_OK)
		path = attach_path(cli);
	if (status == CLI_OK)
		status = path ? check_attach(cli, path, options) : cli_fail(cli, "out of memory");
	if (status == CLI_OK)
		status = set_preload(cli, options->record_key);
	if (status == CLI_OK)
		status = set_socket(cli, path, options);
	/* Before a recording begins, which would replace an older trace. */
	return status == CLI_OK ? check_program(cli, options->record_key) : status;
}

int run_program(struct cli *cli)
{
	CLEANUP_FREE char *program = program_find(cli->arguments[0]);
	int error = program ? 0 : errno;

	if (!error) {
		program_warn(program);
		fflush(stdout);
		execv(program, cli->arguments);
		error = errno;
	}
	return fail_program(cli, program, error);
}
