/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "wire/spawner_protocol.h"

/* The number of arguments; 0: the request is malformed. */
static int split(char *bytes, size_t length, char *argv[SPAWNER_ARGUMENTS + 1])
{
	int argc = 0;

	if (!length || bytes[length - 1])
		return 0;
	for (char *at = bytes; at < bytes + length; at += strlen(at) + 1) {
		if (argc == SPAWNER_ARGUMENTS)
			return 0;
		argv[argc++] = at;
	}
	argv[argc] = NULL;
	return argc;
}

static _Noreturn void start(int (*run)(int argc, char **argv), int argc, char **argv, pid_t spawner)
{
	int input = open("/dev/null", O_RDONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* The spawner may have ended before. */
	if (getppid() != spawner || input < 0 || dup2(input, STDIN_FILENO) < 0)
		exit(1);
	exit(run(argc, argv));
}

/* A pidfd, or a negative errno. */
static int spawn(int (*run)(int argc, char **argv), char *bytes, size_t length)
{
	char *argv[SPAWNER_ARGUMENTS + 1];
	const int argc = split(bytes, length, argv);
	const pid_t spawner = getpid();
	pid_t pid;
	int pidfd;

	if (!argc)
		return -EINVAL;
	pid = fork();
	if (pid == 0)
		start(run, argc, argv, spawner);
	/* It is reaped later, so the number is still its own. */
	pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		const int error = errno;

		if (pid > 0)
			kill(pid, SIGKILL);
		return -error;
	}
	return pidfd;
}

static int answer(int pidfd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	int error = pidfd < 0 ? pidfd : 0;
	struct iovec iov = { .iov_base = &error, .iov_len = sizeof(error) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (pidfd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &pidfd, sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	return sendmsg(STDIN_FILENO, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int spawner_run(int (*run)(int argc, char **argv))
{
	char bytes[SPAWNER_BYTES];
	ssize_t got;

	while ((got = recv(STDIN_FILENO, bytes, sizeof(bytes), 0)) > 0 || (got < 0 && errno == EINTR)) {
		CLEANUP_FD int pidfd = -1;

		if (got < 0)
			continue;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		pidfd = spawn(run, bytes, (size_t)got);
		if (answer(pidfd) < 0)
			break;
	}
	return got < 0;
}
