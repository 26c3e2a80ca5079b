/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

static void __attribute__((noreturn)) wait_for(pid_t child, int fd)
{
	char byte;
	int status;

	/* End of file without a byte: the child exited before it was ready, after printing the reason. */
	if (read(fd, &byte, 1) == 1)
		_exit(0);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int process_background(int *ready_fd)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0) {
		int error = -errno;

		close(fds[0]);
		close(fds[1]);
		return error;
	}
	if (child > 0) {
		close(fds[1]);
		wait_for(child, fds[0]);
	}
	close(fds[0]);
	setsid();
	*ready_fd = fds[1];
	return 0;
}

void process_ready(int ready_fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)!chdir("/");
	(void)!write(ready_fd, "", 1);
	close(ready_fd);
	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

void process_raise_files(void)
{
	struct rlimit limit;
	rlim_t most = 1048576; /* the default of fs.nr_open, beyond which setrlimit fails */

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_max < most) {
		struct rlimit raised = { most, most };

		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			return;
	}
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

bool process_may_all(void)
{
	static const int needed[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID };

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (prctl(PR_CAPBSET_READ, needed[i], 0, 0, 0) != 1)
			return false;
	return geteuid() == 0;
}

int process_drop_privileges(bool mounts)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	const uint64_t for_mount = 1u << CAP_SYS_ADMIN | 1u << CAP_DAC_READ_SEARCH;
	const uint64_t for_clients = 1u << CAP_KILL | 1u << CAP_SYS_PTRACE;
	const uint64_t keep = mounts ? for_mount | for_clients : for_clients;

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	/* The bounding set comes first: changing it needs CAP_SETPCAP. */
	if (data[0].effective & 1u << CAP_SETPCAP)
		for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
			if (!(keep >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
				return -errno;
	for (int word = 0; word < 2; word++) {
		data[word].effective &= (uint32_t)(keep >> 32 * word);
		data[word].permitted &= (uint32_t)(keep >> 32 * word);
		data[word].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

void process_notify(const char *format, ...)
{
#ifdef HAVE_SYSTEMD
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sd_notify(0, text);
#endif
}
