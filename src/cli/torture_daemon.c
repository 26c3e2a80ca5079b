/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/torture_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/size.h"
#include "wire/frame.h"
#include "wire/spawner_protocol.h"

extern char **environ;

#define START_MS 30000
#define STOP_MS 10000

char *torture_daemon_program(void)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *path, *slash;

	self[length > 0 ? length : 0] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	if (asprintf(&path, "%s/softpmemd", self) < 0)
		return NULL;
	if (access(path, X_OK) == 0)
		return path;
	free(path);
	return NULL;
}

int torture_daemon_create(struct torture_daemon *daemon, const char *program, const char *metadata,
			  const char *directory, struct message *message)
{
	*daemon = (struct torture_daemon){ .program = program, .metadata = metadata, .log = -1, .pidfd = -1 };
	if (asprintf(&daemon->directory, "%s", directory) < 0)
		daemon->directory = NULL;
	if (asprintf(&daemon->image, "%s/image", directory) < 0)
		daemon->image = NULL;
	if (asprintf(&daemon->mount, "%s/mount", directory) < 0)
		daemon->mount = NULL;
	if (asprintf(&daemon->socket, "%s/socket", directory) < 0)
		daemon->socket = NULL;
	if (!daemon->directory || !daemon->image || !daemon->mount || !daemon->socket)
		return message_fail(message, -ENOMEM, "out of memory");
	daemon->log = memfd_create("softpmem-log", MFD_CLOEXEC);
	if (daemon->log < 0)
		return message_fail(message, -errno, "the log of softpmemd: %s", strerror(errno));
	if (mkdir(directory, 0700) < 0 || mkdir(daemon->mount, 0700) < 0)
		return message_fail(message, -errno, "%s: %s", directory, strerror(errno));
	return 0;
}

void torture_daemon_destroy(struct torture_daemon *daemon)
{
	torture_daemon_stop(daemon);
	if (daemon->spawner) {
		close(daemon->spawner_fd);
		while (waitpid(daemon->spawner, NULL, 0) < 0 && errno == EINTR)
			;
	}
	free(daemon->directory);
	free(daemon->image);
	free(daemon->mount);
	free(daemon->socket);
	if (daemon->log >= 0)
		close(daemon->log);
	*daemon = (struct torture_daemon){ .log = -1, .pidfd = -1 };
}

/* ---- The daemon -------------------------------------------------------------------------- */

/* The last line of its log says why it ended. */
static void last_line(const struct torture_daemon *daemon, char *line, size_t size)
{
	struct stat log;
	off_t end = fstat(daemon->log, &log) < 0 ? 0 : log.st_size;
	off_t from = end > (off_t)size - 1 ? end - ((off_t)size - 1) : 0;
	ssize_t got = pread(daemon->log, line, size - 1, from);
	static const char prefix[] = "softpmemd: ";
	char *newline, *start;

	line[got > 0 ? got : 0] = '\0';
	while (got > 0 && line[got - 1] == '\n')
		line[--got] = '\0';
	newline = strrchr(line, '\n');
	start = newline ? newline + 1 : line;
	/* The log of a daemon begins each line with its name. */
	if (strncmp(start, prefix, strlen(prefix)) == 0)
		start += strlen(prefix);
	memmove(line, start, strlen(start) + 1);
}

/* In the child of a process with several threads: only functions that are safe in a signal handler. */
static _Noreturn void execute(const struct torture_daemon *daemon, int socket)
{
	char *const argv[] = { (char *)"softpmemd", (char *)SPAWNER_OPTION, NULL };
	sigset_t none;

	/* If this program is killed, its daemons stop and take their mounts away. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* A session of its own: the Ctrl-C of a terminal is for this program, which then stops them. */
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(socket, STDIN_FILENO) >= 0 && dup2(daemon->log, STDOUT_FILENO) >= 0 &&
	    dup2(daemon->log, STDERR_FILENO) >= 0 && close_range(STDERR_FILENO + 1, ~0U, 0) == 0)
		execve(daemon->program, argv, environ);
	_exit(127);
}

static int start_spawner(struct torture_daemon *daemon)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	daemon->spawner = fork();
	if (daemon->spawner == 0)
		execute(daemon, sockets[1]);
	close(sockets[1]);
	if (daemon->spawner < 0) {
		const int error = -errno;

		daemon->spawner = 0;
		close(sockets[0]);
		return error;
	}
	daemon->spawner_fd = sockets[0];
	return 0;
}

/* The pidfd of the new daemon, or a negative errno. */
static int receive_pidfd(const struct torture_daemon *daemon)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	int error = 0, pidfd;
	struct iovec iov = { .iov_base = &error, .iov_len = sizeof(error) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t got;

	do
		got = recvmsg(daemon->spawner_fd, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(error) || (!error && !CMSG_FIRSTHDR(&message)))
		return -EIO;
	if (error)
		return error;
	memcpy(&pidfd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(pidfd));
	return pidfd;
}

static int spawn(struct torture_daemon *daemon, const char *region)
{
	const char *argv[12] = { "softpmemd",  "--region", region,	 "--mount",	   daemon->mount,
				 "--socket",   daemon->socket, "--metadata", daemon->metadata };
	size_t count = 9;
	char bytes[SPAWNER_BYTES];
	size_t length = 0;
	int error = daemon->spawner ? 0 : start_spawner(daemon);

	if (daemon->mode) {
		argv[count++] = "--mode";
		argv[count++] = daemon->mode;
	}
	if (daemon->auto_da_alloc)
		argv[count++] = "--auto-da-alloc";
	for (size_t i = 0; i < count; i++) {
		size_t size = strlen(argv[i]) + 1;

		if (size > sizeof(bytes) - length)
			return -ENAMETOOLONG;
		memcpy(bytes + length, argv[i], size);
		length += size;
	}
	if (!error && send(daemon->spawner_fd, bytes, length, MSG_NOSIGNAL) < 0)
		error = -errno;
	if (error)
		return error;
	daemon->pidfd = receive_pidfd(daemon);
	return daemon->pidfd < 0 ? daemon->pidfd : 0;
}

/* True if it has ended within so many milliseconds. */
static bool has_ended(const struct torture_daemon *daemon, int milliseconds)
{
	struct pollfd ended = { .fd = daemon->pidfd, .events = POLLIN };

	return poll(&ended, 1, milliseconds) > 0;
}

/* Its socket is there before it serves; the answer to a request comes when it does. */
static int await_service(struct torture_daemon *daemon, struct message *message)
{
	const uint64_t until = clock_ms() + START_MS;
	CLEANUP_JSON struct json_object *request = cli_request("status");
	CLEANUP_JSON struct json_object *result = NULL;
	int error;

	if (!request)
		return message_fail(message, -ENOMEM, "out of memory");
	while ((error = torture_daemon_ask(daemon, request, NULL, NULL, &result, message)) < 0) {
		char line[512];

		if (has_ended(daemon, 1)) {
			last_line(daemon, line, sizeof(line));
			return message_fail(message, -EIO, "softpmemd: %s",
					    *line ? line : "it ended before it was ready");
		}
		if (clock_ms() > until)
			return message_fail(message, -ETIMEDOUT, "softpmemd: it does not become ready");
	}
	return error;
}

/* The name of the snapshot that torture_daemon_reset() goes back to. */
#define SNAPSHOT "start"

static int ask_only(struct torture_daemon *daemon, struct json_object *request, struct message *message)
{
	CLEANUP_JSON struct json_object *result = NULL;

	if (!request)
		return message_fail(message, -ENOMEM, "out of memory");
	return torture_daemon_ask(daemon, request, NULL, NULL, &result, message);
}

static int take_snapshot(struct torture_daemon *daemon, struct message *message)
{
	CLEANUP_JSON struct json_object *request = cli_request("snapshot");

	cli_put(request, "path", "/");
	cli_put(request, "name", SNAPSHOT);
	return ask_only(daemon, request, message);
}

int torture_daemon_reset(struct torture_daemon *daemon, struct message *message)
{
	CLEANUP_JSON struct json_object *request = cli_request("restore");

	cli_put(request, "name", SNAPSHOT);
	return ask_only(daemon, request, message);
}

/* The daemon does not know that the place of its region is that of temporary files. */
static int explain_space(const struct torture_daemon *daemon, uint64_t size, int error,
			 struct message *message)
{
	struct statvfs disk;
	char text[32];

	if (statvfs(daemon->directory, &disk) < 0 || disk.f_bavail * disk.f_frsize >= size)
		return error;
	size_format(size, text, sizeof(text));
	return message_fail(message, -ENOSPC,
			    "%s: %s: a region of %s is made there: free space, or set TMPDIR to a directory "
			    "with more",
			    daemon->directory, strerror(ENOSPC), text);
}

int torture_daemon_start(struct torture_daemon *daemon, uint64_t size, const char *image,
			 struct message *message)
{
	CLEANUP_FREE char *region = NULL;
	int error;

	if (image ? asprintf(&region, "copy:%s", image) < 0 :
		    asprintf(&region, "file:%s,%llu", daemon->image, (unsigned long long)size) < 0) {
		region = NULL;
		return message_fail(message, -ENOMEM, "out of memory");
	}
	error = spawn(daemon, region);
	if (error)
		message_fail(message, error, "%s: cannot start it: %s", daemon->program, strerror(-error));
	else
		error = await_service(daemon, message);
	if (error && !image)
		error = explain_space(daemon, size, error, message);
	if (!error && image)
		error = take_snapshot(daemon, message);
	if (error)
		torture_daemon_stop(daemon);
	return error;
}

/* The mount of a daemon that was killed. */
static void take_mount_away(const struct torture_daemon *daemon)
{
	char *argv[] = { (char *)"fusermount3", (char *)"-uzq", daemon->mount, NULL };
	pid_t pid;

	if (umount2(daemon->mount, MNT_DETACH) == 0 || errno != EPERM ||
	    posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
		return;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* A daemon that ends by itself takes its mount away. */
static bool is_mounted(const struct torture_daemon *daemon)
{
	struct stat mount, directory;

	return stat(daemon->mount, &mount) < 0 || stat(daemon->directory, &directory) < 0 ||
	       mount.st_dev != directory.st_dev;
}

void torture_daemon_stop(struct torture_daemon *daemon)
{
	if (daemon->pidfd < 0)
		return;
	syscall(SYS_pidfd_send_signal, daemon->pidfd, SIGTERM, NULL, 0);
	if (!has_ended(daemon, STOP_MS)) {
		syscall(SYS_pidfd_send_signal, daemon->pidfd, SIGKILL, NULL, 0);
		has_ended(daemon, -1);
	}
	if (is_mounted(daemon))
		take_mount_away(daemon);
	close(daemon->pidfd);
	daemon->pidfd = -1;
}

int torture_daemon_ask(const struct torture_daemon *daemon, struct json_object *request,
		       void (*item)(void *context, struct json_object *item), void *context,
		       struct json_object **result, struct message *message)
{
	const struct client_answer answer = { .item = item, .context = context };
	struct client *client;
	int error = client_connect(daemon->socket, &client, message);

	*result = NULL;
	if (error)
		return error;
	error = client_ask(client, request, &answer, result, message);
	client_close(client);
	return error;
}
