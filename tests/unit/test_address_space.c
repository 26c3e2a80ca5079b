/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose memory it is: in children of fork(2), of the bare system call, and of vfork(2). */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/address_space.h"

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void a_process_owns_its_memory(void **state)
{
	(void)state;
	assert_int_equal(address_space_owner(), getpid());
	assert_int_equal(address_space_thread(), gettid());
}

static void a_child_of_fork_owns_its_memory(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(address_space_owner() != getpid() || address_space_thread() != gettid());
	assert_int_equal(status_of(pid), 0);
	assert_int_equal(address_space_owner(), getpid());
}

static void so_does_a_child_of_the_bare_system_call(void **state)
{
	pid_t pid = (pid_t)syscall(SYS_fork);

	(void)state;
	if (!pid)
		_exit(address_space_owner() != getpid());
	assert_int_equal(status_of(pid), 0);
}

static void *vfork_in_thread(void *unused)
{
	static volatile long owner, thread, own;
	pid_t pid = vfork();

	if (!pid) {
		owner = address_space_owner();
		thread = address_space_thread();
		own = getpid();
		_exit(0);
	}
	assert_int_equal(status_of(pid), 0);
	assert_int_equal(own, pid);
	assert_int_equal(owner, getpid());
	assert_int_equal(thread, gettid());
	return unused;
}

static void a_child_of_vfork_acts_for_the_thread_that_waits_for_it(void **state)
{
	pthread_t thread;

	(void)state;
	vfork_in_thread(NULL);
	assert_int_equal(pthread_create(&thread, NULL, vfork_in_thread, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void a_child_of_vfork_in_a_forked_child_acts_for_that(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		vfork_in_thread(NULL);
		_exit(0);
	}
	assert_int_equal(status_of(pid), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_owns_its_memory),
		cmocka_unit_test(a_child_of_fork_owns_its_memory),
		cmocka_unit_test(so_does_a_child_of_the_bare_system_call),
		cmocka_unit_test(a_child_of_vfork_acts_for_the_thread_that_waits_for_it),
		cmocka_unit_test(a_child_of_vfork_in_a_forked_child_acts_for_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
