/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/torture_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/torture_keeper.h"
#include "common/cleanup.h"
#include "common/end_children.h"
#include "common/write_all.h"

/* ---- For the caller --------------------------------------------------------------------- */

static bool receive_number(int fd, int *number)
{
	ssize_t got;

	do
		got = recv(fd, number, sizeof(*number), 0);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(*number);
}

/* With the write ends of its outputs. */
static int send_command(const struct torture_keeper *keeper, const char *command, int output, int error)
{
	const struct torture_keeper_request request = { .number = keeper->number, .command = command };
	const int fds[] = { output, error };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)&request, .iov_len = sizeof(request) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	return sendmsg(keeper->fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void reap_keeper(struct torture_keeper *keeper)
{
	close(keeper->fd);
	while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*keeper = (struct torture_keeper){ .fd = -1 };
}

static int start_keeper(struct torture_keeper *keeper, const char *directory, char *const *environment)
{
	const pid_t pid = torture_keeper_fork(directory, environment, &keeper->fd);

	if (pid < 0) {
		keeper->fd = -1;
		return pid;
	}
	keeper->pid = pid;
	return 0;
}

void torture_keeper_end(struct torture_keeper *keeper)
{
	if (keeper->pid > 0)
		reap_keeper(keeper);
}

/*
 * The pid of the command, or a negative errno. 0: the command has killed its keeper before that could tell
 * the pid. torture_process_end_strays() ends it.
 */
static int start_command(struct torture_keeper *keeper, const char *command, int output, int error)
{
	int result, pid;

	keeper->number++;
	result = send_command(keeper, command, output, error);
	if (result)
		return result;
	return receive_number(keeper->fd, &pid) ? pid : 0;
}

int torture_process_start(struct torture_keeper *keeper, const char *command, const char *directory,
			  char *const *environment, struct torture_process *process, struct message *message)
{
	CLEANUP_FD int output = -1, error = -1;
	int outputs[2], errors[2], result;

	result = keeper->pid > 0 ? 0 : start_keeper(keeper, directory, environment);
	if (!result && pipe2(outputs, O_CLOEXEC) < 0)
		result = -errno;
	if (result)
		return message_fail(message, result, "%s: cannot start it: %s", command, strerror(-result));
	output = outputs[1];
	*process = (struct torture_process){ .keeper = keeper, .output_fd = outputs[0], .error_fd = -1 };
	if (pipe2(errors, O_CLOEXEC) < 0) {
		result = -errno;
	} else {
		error = errors[1];
		process->error_fd = errors[0];
		result = start_command(keeper, command, output, error);
	}
	if (result < 0) {
		close(process->output_fd);
		if (process->error_fd >= 0)
			close(process->error_fd);
		return message_fail(message, result, "%s: cannot start it: %s", command, strerror(-result));
	}
	process->command = result;
	fcntl(process->output_fd, F_SETFL, O_NONBLOCK);
	fcntl(process->error_fd, F_SETFL, O_NONBLOCK);
	return 0;
}

int torture_process_status_fd(const struct torture_process *process)
{
	return process->keeper->fd;
}

void torture_process_stop(const struct torture_process *process)
{
	const struct torture_keeper_request request = { .stop = true, .number = process->keeper->number };

	/* A keeper that was killed is noticed by torture_process_wait(). */
	(void)!send(process->keeper->fd, &request, sizeof(request), MSG_NOSIGNAL);
}

int torture_process_wait(struct torture_process *process)
{
	int status;
	bool ended = receive_number(process->keeper->fd, &status);

	if (!ended) {
		if (process->command > 0)
			kill(-process->command, SIGKILL);
		reap_keeper(process->keeper);
	}
	if (process->output_fd >= 0)
		close(process->output_fd);
	if (process->error_fd >= 0)
		close(process->error_fd);
	*process = (struct torture_process){ .output_fd = -1, .error_fd = -1 };
	return ended ? status : -1;
}

void torture_process_end_strays(void)
{
	pid_t pid;

	do {
		/* The children of killed ones become direct children, for the next turn. */
		signal_children(SIGKILL);
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
