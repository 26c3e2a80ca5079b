/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/sandbox.h"

static bool can_make_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && close(fd) == 0;
}

static bool can_execute(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool can_map(int protection)
{
	void *memory = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory != MAP_FAILED && munmap(memory, 4096) == 0;
}

/* The kernel refuses this too, but with ENOENT or, without privileges, EPERM after it has looked. */
static bool kernel_sees_mount(void)
{
	return mount("none", "/softpmem-nowhere", "tmpfs", 0, NULL) < 0 && errno == ENOENT;
}

static void *start(void *unused)
{
	return unused;
}

static bool can_start_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, start, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

enum { ENTERED = 1, SOCKET = 2, EXECUTE = 4, CODE = 8, PTRACE = 16, MOUNT = 32, NAMESPACE = 64,
       WORKS = 128 };

/* Which of the above a process can do. */
static int abilities(void)
{
	int can = 0;

	can |= prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? ENTERED : 0;
	can |= can_make_socket(AF_INET) ? SOCKET : 0;
	can |= can_execute() ? EXECUTE : 0;
	can |= can_map(PROT_READ | PROT_EXEC) ? CODE : 0;
	can |= kernel_sees_mount() ? MOUNT : 0;
	can |= can_make_socket(AF_UNIX) && can_start_thread() && can_map(PROT_READ | PROT_WRITE) ? WORKS : 0;
	can |= unshare(CLONE_NEWUTS) == 0 ? NAMESPACE : 0;
	can |= ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? PTRACE : 0;
	return can;
}

/* The abilities of a child that has called these functions; -1 if one of them failed. */
static int abilities_after(bool enter, bool mounts, bool deny_mounting)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		if ((enter && sandbox_enter(mounts) < 0) || (deny_mounting && sandbox_deny_mounting() < 0))
			_exit(255);
		_exit(abilities());
	}
	assert_true(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status) == 255 && enter ? -1 : WEXITSTATUS(status);
}

static void outside_of_the_sandbox_everything_is_allowed(void **state)
{
	const int all = SOCKET | EXECUTE | CODE | PTRACE | WORKS;
	const int root = geteuid() == 0 ? MOUNT | NAMESPACE : 0;

	(void)state;
	assert_int_equal(abilities_after(false, false, false) & (all | root), all | root);
	assert_int_equal(abilities_after(false, false, true) & (all | root), all | root);
}

static void the_sandbox_allows_what_a_daemon_does_and_nothing_else(void **state)
{
	const int root = geteuid() == 0 ? MOUNT : 0;

	(void)state;
	assert_int_equal(abilities_after(true, false, false), ENTERED | WORKS | root);
}

static void mounting_is_denied_once_the_mount_is_there(void **state)
{
	(void)state;
	assert_int_equal(abilities_after(true, false, true), ENTERED | WORKS);
}

static void a_daemon_that_needs_fusermount_stays_outside(void **state)
{
	(void)state;
	if (geteuid() == 0)
		assert_int_equal(abilities_after(true, true, true), ENTERED | WORKS);
	else
		assert_int_equal(abilities_after(true, true, true), abilities_after(false, false, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outside_of_the_sandbox_everything_is_allowed),
		cmocka_unit_test(the_sandbox_allows_what_a_daemon_does_and_nothing_else),
		cmocka_unit_test(mounting_is_denied_once_the_mount_is_there),
		cmocka_unit_test(a_daemon_that_needs_fusermount_stays_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
