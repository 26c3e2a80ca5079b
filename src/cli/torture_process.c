/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/torture_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/write_all.h"

/* A keeper writes two numbers to its status pipe: the pid of the command, and at the end its wait status. */

/* ---- The keeper ------------------------------------------------------------------------ */

/*
 * This program has several threads, so the keeper, which is forked and executes nothing, may only call
 * functions that are safe in a signal handler.
 */

enum { KEEPER_OUTPUT = 1, KEEPER_ERROR = 2, KEEPER_STATUS = 3, KEEPER_FDS = 4 };

/* Kill the direct children. The children of these become direct children, for the next call. */
static void kill_children(void)
{
	char text[4096];
	int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text));
	pid_t pid = 0;

	/* A number that the buffer cuts off is killed by the next call. */
	for (ssize_t i = 0; i < got; i++) {
		if (text[i] >= '0' && text[i] <= '9') {
			pid = pid * 10 + (text[i] - '0');
			continue;
		}
		if (pid > 0)
			kill(pid, SIGKILL);
		pid = 0;
	}
	if (fd >= 0)
		close(fd);
}

/* Kill and reap until no child is left. *status is updated if the command is among them. */
static void end_all(pid_t command, int *status)
{
	pid_t pid;
	int ended;

	do {
		/* Without CONFIG_PROC_CHILDREN only the command's own group is found. */
		kill(-command, SIGKILL);
		kill_children();
		pid = waitpid(-1, &ended, 0);
		if (pid == command)
			*status = ended;
	} while (pid > 0 || errno == EINTR);
}

/* Wait for the end of the command, or for a SIGTERM. */
static void await_command(pid_t command, const sigset_t *signals, int *status)
{
	for (;;) {
		int number = sigwaitinfo(signals, NULL), ended;
		pid_t pid;

		if (number == SIGTERM)
			return;
		while ((pid = waitpid(-1, &ended, WNOHANG)) > 0)
			if (pid == command) {
				*status = ended;
				return;
			}
	}
}

static _Noreturn void run_command(const char *command, const char *directory, char *const *environment)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)command, NULL };
	sigset_t none;

	/* Ignored signals stay ignored in the program, and so do blocked ones. */
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* A session of its own: a command that signals its group does not reach the keeper. */
	setsid();
	if (chdir(directory) == 0)
		execve("/bin/sh", argv, environment);
	_exit(127);
}

static _Noreturn void keep(const char *command, const char *directory, char *const *environment)
{
	sigset_t signals;
	pid_t child;
	int status = 0;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	setsid();
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	child = fork();
	if (child == 0) {
		close(KEEPER_STATUS);
		run_command(command, directory, environment);
	}
	/* Else these would stay open until the keeper ends. */
	close(KEEPER_OUTPUT);
	close(KEEPER_ERROR);
	if (child < 0)
		_exit(1);
	(void)!write(KEEPER_STATUS, &child, sizeof(child));
	await_command(child, &signals, &status);
	end_all(child, &status);
	(void)!write(KEEPER_STATUS, &status, sizeof(status));
	_exit(0);
}

/* Keep only the keeper's own descriptors: those of other jobs must end with these jobs. False: it cannot. */
static bool arrange_descriptors(int output, int error, int status)
{
	const int given[] = { open("/dev/null", O_RDONLY), output, error, status };
	int moved[KEEPER_FDS];

	for (int i = 0; i < KEEPER_FDS; i++) {
		moved[i] = fcntl(given[i], F_DUPFD, KEEPER_FDS);
		if (moved[i] < 0)
			return false;
	}
	for (int i = 0; i < KEEPER_FDS; i++)
		if (dup2(moved[i], i) < 0)
			return false;
	return close_range(KEEPER_FDS, ~0U, 0) == 0;
}

/* ---- For the caller --------------------------------------------------------------------- */

static bool read_whole(int fd, void *bytes, size_t length)
{
	ssize_t got;

	do
		got = read(fd, bytes, length);
	while (got < 0 && errno == EINTR);
	/* The keeper writes each number with one call. */
	return got == (ssize_t)length;
}

int torture_process_start(const char *command, const char *directory, char *const *environment,
			  struct torture_process *process, struct message *message)
{
	int output[2] = { -1, -1 }, error[2] = { -1, -1 }, status[2] = { -1, -1 };
	pid_t keeper = -1;
	int failed = 0;

	if (pipe2(output, O_CLOEXEC) < 0 || pipe2(error, O_CLOEXEC) < 0 || pipe2(status, O_CLOEXEC) < 0)
		failed = -errno;
	if (!failed) {
		keeper = fork();
		if (keeper == 0) {
			if (!arrange_descriptors(output[1], error[1], status[1]))
				_exit(1);
			keep(command, directory, environment);
		}
		if (keeper < 0)
			failed = -errno;
	}
	if (output[1] >= 0)
		close(output[1]);
	if (error[1] >= 0)
		close(error[1]);
	if (status[1] >= 0)
		close(status[1]);
	if (failed) {
		if (output[0] >= 0)
			close(output[0]);
		if (error[0] >= 0)
			close(error[0]);
		if (status[0] >= 0)
			close(status[0]);
		return message_fail(message, failed, "%s: cannot start it: %s", command, strerror(-failed));
	}
	fcntl(output[0], F_SETFL, O_NONBLOCK);
	fcntl(error[0], F_SETFL, O_NONBLOCK);
	*process = (struct torture_process){
		.keeper = keeper, .status_fd = status[0], .output_fd = output[0], .error_fd = error[0]
	};
	if (read_whole(process->status_fd, &process->command, sizeof(process->command)))
		return 0;
	process->command = 0;
	torture_process_wait(process);
	return message_fail(message, -EAGAIN, "%s: cannot start it: there are too many processes", command);
}

void torture_process_stop(const struct torture_process *process)
{
	kill(process->keeper, SIGTERM);
}

int torture_process_wait(struct torture_process *process)
{
	int status;
	bool ended = read_whole(process->status_fd, &status, sizeof(status));

	if (!ended && process->command > 0)
		kill(-process->command, SIGKILL);
	while (waitpid(process->keeper, NULL, 0) < 0 && errno == EINTR)
		;
	close(process->status_fd);
	if (process->output_fd >= 0)
		close(process->output_fd);
	if (process->error_fd >= 0)
		close(process->error_fd);
	*process = (struct torture_process){
		.keeper = -1, .status_fd = -1, .output_fd = -1, .error_fd = -1
	};
	return ended ? status : -1;
}

void torture_process_end_strays(void)
{
	pid_t pid;

	do {
		kill_children();
		pid = waitpid(-1, NULL, 0);
	} while (pid > 0 || (pid < 0 && errno == EINTR));
}

/* ---- Outputs ------------------------------------------------------------------------------ */

static void add_to_tail(struct torture_tail *tail, const char *bytes, size_t length)
{
	size_t kept;

	if (length > TORTURE_TAIL_BYTES) {
		bytes += length - TORTURE_TAIL_BYTES;
		length = TORTURE_TAIL_BYTES;
	}
	kept = tail->length + length > TORTURE_TAIL_BYTES ? TORTURE_TAIL_BYTES - length : tail->length;
	memmove(tail->text, tail->text + tail->length - kept, kept);
	memcpy(tail->text + kept, bytes, length);
	tail->length = kept + length;
	tail->text[tail->length] = '\0';
	/* It is shown as a text. */
	for (size_t i = 0; i < tail->length; i++)
		if (!tail->text[i])
			tail->text[i] = '?';
}

static void keep_bytes(int fd, off_t most, const char *bytes, size_t length)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0 || end >= most)
		return;
	if ((off_t)length > most - end)
		length = (size_t)(most - end);
	/* Without space later acknowledgements are missing, which hides a fault and invents none. */
	(void)!write_all_at(fd, bytes, length, (uint64_t)end);
}

void torture_output_read(int *fd, int keep_fd, off_t most, struct torture_tail *tail)
{
	char bytes[16 << 10];
	ssize_t got;

	/* At most a few rounds: a program that never stops printing must not keep the caller here. */
	for (int i = 0; *fd >= 0 && i < 16; i++) {
		got = read(*fd, bytes, sizeof(bytes));
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0) {
			close(*fd);
			*fd = -1;
			return;
		}
		if (keep_fd >= 0)
			keep_bytes(keep_fd, most, bytes, (size_t)got);
		if (tail)
			add_to_tail(tail, bytes, (size_t)got);
	}
}
