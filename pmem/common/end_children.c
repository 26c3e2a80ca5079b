/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/end_children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

void signal_children(int signal)
{
	char text[4096];
	int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text));
	pid_t pid = 0;

	/* A number that the buffer cuts off gets the signal of the next call. */
	for (ssize_t i = 0; i < got; i++) {
		if (text[i] >= '0' && text[i] <= '9') {
			pid = pid * 10 + (text[i] - '0');
			continue;
		}
		if (pid > 0)
			kill(pid, signal);
		pid = 0;
	}
	if (fd >= 0)
		close(fd);
}

void end_children(pid_t group, int *status)
{
	pid_t pid;
	int ended;

	do {
		/* The children of killed ones become direct children, for the next turn. */
		kill(-group, SIGKILL);
		signal_children(SIGKILL);
		pid = waitpid(-1, &ended, 0);
		if (pid == group)
			*status = ended;
	} while (pid > 0 || errno == EINTR);
}
