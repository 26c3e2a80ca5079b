/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * This program has several threads, so until the keeper is alone with its descriptors it calls only functions
 * that are safe in a signal handler. What posix_spawn(3) needs is prepared before the fork.
 */

#include "cli/torture_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/end_children.h"

/* The keeper's descriptors. Commands get 0 as it is, and 1 and 2 from the last two. */
enum { KEEPER_SOCKET = 3, KEEPER_SIGNALS = 4, KEEPER_OUTPUT = 5, KEEPER_ERROR = 6, KEEPER_FDS = 7 };

#define WORDS_MAX 64
#define PLAIN_BYTES 4096

struct keeper {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char *const *environment;
	char plain[PLAIN_BYTES]; /* the words of a command that needs no shell */
};

/* ---- The start of a command ------------------------------------------------------------------ */

/* A command of plain words is started without a shell, if its first word is a program in PATH. */
static bool is_plain(const char *command)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_./:@%+,- ";
	/* In a shell these are not the programs of the same names. */
	static const char *const builtins[] = { "echo", "kill", "printf", "pwd", "test" };
	const size_t first = strcspn(command, " ");

	for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
		if (strlen(builtins[i]) == first && strncmp(command, builtins[i], first) == 0)
			return false;
	return first && strspn(command, plain) == strlen(command) && strlen(command) < PLAIN_BYTES;
}

static bool split(struct keeper *keeper, const char *command, char *words[WORDS_MAX + 1])
{
	char *rest = NULL;
	int count = 0;

	strcpy(keeper->plain, command);
	for (char *word = strtok_r(keeper->plain, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		if (count == WORDS_MAX)
			return false;
		words[count++] = word;
	}
	words[count] = NULL;
	return count > 0;
}

/* The pid, or a negative errno. */
static pid_t start(struct keeper *keeper, const char *command)
{
	char *const shell[] = { (char *)"sh", (char *)"-c", (char *)command, NULL };
	char *words[WORDS_MAX + 1];
	pid_t pid;
	int error;

	if (is_plain(command) && split(keeper, command, words) &&
	    posix_spawnp(&pid, words[0], &keeper->actions, &keeper->attributes, words,
			 keeper->environment) == 0)
		return pid;
	error = posix_spawn(&pid, "/bin/sh", &keeper->actions, &keeper->attributes, shell,
			    keeper->environment);
	return error ? -error : pid;
}

/* ---- Its end ---------------------------------------------------------------------------------- */

/* True: the command has ended. */
static bool reap(pid_t command, int *status)
{
	struct signalfd_siginfo info;
	int ended;
	pid_t pid;

	(void)!read(KEEPER_SIGNALS, &info, sizeof(info));
	while ((pid = waitpid(-1, &ended, WNOHANG)) > 0)
		if (pid == command) {
			*status = ended;
			return true;
		}
	return false;
}

/* Wait for the end of the command, or for the request to end it, or for the end of the socket. */
static void await_end(pid_t command, uint32_t number, int *status)
{
	struct pollfd fds[] = { { .fd = KEEPER_SOCKET, .events = POLLIN },
				{ .fd = KEEPER_SIGNALS, .events = POLLIN } };

	for (;;) {
		struct torture_keeper_request request;

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents && reap(command, status))
			return;
		if (!fds[0].revents)
			continue;
		if (recv(KEEPER_SOCKET, &request, sizeof(request), 0) != (ssize_t)sizeof(request))
			return;
		if (request.stop && request.number == number)
			return;
	}
}

/* ---- Requests ------------------------------------------------------------------------------------ */

/* False: the socket has ended. */
static bool receive(struct torture_keeper_request *request)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = request, .iov_len = sizeof(*request) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	const struct cmsghdr *header;
	int fds[2];

	if (recvmsg(KEEPER_SOCKET, &message, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*request))
		return false;
	header = CMSG_FIRSTHDR(&message);
	if (!header)
		return request->stop;
	memcpy(fds, CMSG_DATA(header), sizeof(fds));
	/* They may have these numbers already, but not each other's: 5 is free before 6 is. */
	if (fds[0] != KEEPER_OUTPUT)
		dup3(fds[0], KEEPER_OUTPUT, O_CLOEXEC);
	if (fds[1] != KEEPER_ERROR)
		dup3(fds[1], KEEPER_ERROR, O_CLOEXEC);
	close_range(KEEPER_FDS, ~0U, 0);
	return true;
}

static void run(struct keeper *keeper, const struct torture_keeper_request *request)
{
	const pid_t command = start(keeper, request->command);
	int status = 0;

	/* Else these would stay open until the next command. */
	close(KEEPER_OUTPUT);
	close(KEEPER_ERROR);
	(void)!send(KEEPER_SOCKET, &command, sizeof(command), MSG_NOSIGNAL);
	if (command < 0)
		return;
	await_end(command, request->number, &status);
	end_children(command, &status);
	(void)!send(KEEPER_SOCKET, &status, sizeof(status), MSG_NOSIGNAL);
}

/* Keep only the keeper's own descriptors: those of other jobs must end with these jobs. False: it cannot. */
static bool arrange_descriptors(int socket, const sigset_t *signals)
{
	const int null = open("/dev/null", O_RDWR);
	const int moved = fcntl(socket, F_DUPFD_CLOEXEC, KEEPER_FDS);

	if (null < 0 || moved < 0)
		return false;
	for (int fd = 0; fd < KEEPER_SOCKET; fd++)
		if (null != fd && dup2(null, fd) < 0)
			return false;
	if (dup3(moved, KEEPER_SOCKET, O_CLOEXEC) < 0 || close_range(KEEPER_SIGNALS, ~0U, 0) < 0)
		return false;
	return signalfd(-1, signals, SFD_CLOEXEC) == KEEPER_SIGNALS;
}

static _Noreturn void keep(struct keeper *keeper, int socket)
{
	struct torture_keeper_request request;
	sigset_t signals;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	setsid();
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	if (!arrange_descriptors(socket, &signals))
		_exit(1);
	while (receive(&request))
		/* The command of a late request to stop has ended. */
		if (!request.stop)
			run(keeper, &request);
	_exit(0);
}

/* ---- The fork ---------------------------------------------------------------------------------------- */

/* Ignored signals stay ignored in a program, and so do blocked ones. */
static int prepare_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, defaults;

	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	sigaddset(&defaults, SIGINT);
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setsigdefault(attributes, &defaults);
	/* A session of its own: a command that signals its group does not reach the keeper. */
	return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
							    POSIX_SPAWN_SETSID);
}

static int prepare(struct keeper *keeper, const char *directory)
{
	int error = posix_spawn_file_actions_init(&keeper->actions);

	if (error)
		return -error;
	error = posix_spawnattr_init(&keeper->attributes);
	if (!error)
		error = prepare_attributes(&keeper->attributes);
	if (!error)
		error = posix_spawn_file_actions_addchdir_np(&keeper->actions, directory);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&keeper->actions, KEEPER_OUTPUT, STDOUT_FILENO);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&keeper->actions, KEEPER_ERROR, STDERR_FILENO);
	return -error;
}

int torture_keeper_fork(const char *directory, char *const *environment, int *fd)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	int sockets[2], error;
	pid_t pid = -1;

	if (!keeper)
		return -ENOMEM;
	keeper->environment = environment;
	error = prepare(keeper, directory);
	if (!error && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		error = -errno;
	if (!error) {
		pid = fork();
		if (pid == 0)
			keep(keeper, sockets[1]);
		error = pid < 0 ? -errno : 0;
		close(sockets[1]);
		if (error)
			close(sockets[0]);
	}
	posix_spawn_file_actions_destroy(&keeper->actions);
	posix_spawnattr_destroy(&keeper->attributes);
	free(keeper);
	if (error)
		return error;
	*fd = sockets[0];
	return pid;
}
