/* SPDX-License-Identifier: BSD-3-Clause */

/* The gate between calls and an outage. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "pool/gate.h"
#include "pooltest.h"

/* A thread that waits in `run`. The test sets `released` right before it lets the thread go on. */
struct waiter {
	struct pools *pools;
	pthread_t thread;
	_Atomic bool running, released, saw_release;
};

static void start(struct waiter *waiter, struct pools *pools, void *(*run)(void *waiter))
{
	waiter->pools = pools;
	assert_int_equal(pthread_create(&waiter->thread, NULL, run, waiter), 0);
	while (!atomic_load(&waiter->running))
		usleep(100);
	/* Give a thread that does not wait, though it should, the time to show it. */
	usleep(20000);
}

static void *enter_and_leave(void *argument)
{
	struct waiter *waiter = argument;

	atomic_store(&waiter->running, true);
	pool_gate_enter(waiter->pools);
	atomic_store(&waiter->saw_release, atomic_load(&waiter->released));
	pool_gate_leave(waiter->pools);
	return NULL;
}

static void *stop_and_resume(void *argument)
{
	struct waiter *waiter = argument;

	atomic_store(&waiter->running, true);
	pools_stop(waiter->pools);
	atomic_store(&waiter->saw_release, atomic_load(&waiter->released));
	pools_resume(waiter->pools);
	return NULL;
}

static void a_call_without_a_handle_waits_for_the_end_of_an_outage(void **state)
{
	struct pooltest_bench *bench = *state;
	struct waiter waiter = { 0 };

	pools_stop(bench->pools);
	start(&waiter, bench->pools, enter_and_leave);
	atomic_store(&waiter.released, true);
	pools_resume(bench->pools);
	pthread_join(waiter.thread, NULL);
	assert_true(waiter.saw_release);
}

static void a_call_without_a_handle_does_not_wait_while_the_power_is_on(void **state)
{
	struct pooltest_bench *bench = *state;
	struct waiter waiter = { 0 };

	start(&waiter, bench->pools, enter_and_leave);
	pthread_join(waiter.thread, NULL);
	assert_false(waiter.saw_release);
}

static void pools_stop_returns_after_the_last_call_has_left(void **state)
{
	struct pooltest_bench *bench = *state;
	struct waiter waiter = { 0 };

	assert_int_equal(pool_gate_enter_handle(bench->handle), 0);
	start(&waiter, bench->pools, stop_and_resume);
	atomic_store(&waiter.released, true);
	pool_gate_leave(bench->pools);
	pthread_join(waiter.thread, NULL);
	assert_true(waiter.saw_release);
}

static void pools_stop_does_not_wait_when_no_call_is_inside(void **state)
{
	struct pooltest_bench *bench = *state;
	struct waiter waiter = { 0 };

	start(&waiter, bench->pools, stop_and_resume);
	pthread_join(waiter.thread, NULL);
	assert_false(waiter.saw_release);
}

static void a_handle_is_refused_at_once_while_the_power_is_off(void **state)
{
	struct pooltest_bench *bench = *state;

	assert_int_equal(pool_gate_enter_handle(bench->handle), 0);
	pool_gate_leave(bench->pools);
	pools_stop(bench->pools);
	assert_int_equal(pool_gate_enter_handle(bench->handle), -EIO);
	pools_resume(bench->pools);
}

static void a_handle_of_an_older_generation_is_refused_after_the_outage(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pool_handle *newer;

	pools_stop(bench->pools);
	pools_resume(bench->pools);
	assert_int_equal(pool_gate_enter_handle(bench->handle), -EIO);
	newer = pooltest_handle(bench->pools, "/file");
	assert_int_equal(pool_gate_enter_handle(newer), 0);
	pool_gate_leave(bench->pools);
	pool_close(newer);
}

static void trying_to_enter_fails_only_while_the_power_is_off(void **state)
{
	struct pooltest_bench *bench = *state;

	pools_stop(bench->pools);
	assert_false(pool_gate_try_enter(bench->pools));
	pools_resume(bench->pools);
	assert_true(pool_gate_try_enter(bench->pools));
	pool_gate_leave(bench->pools);
}

static bool nobody_is_inside(struct pools *pools)
{
	if (pthread_rwlock_trywrlock(&pools->power) != 0)
		return false;
	pthread_rwlock_unlock(&pools->power);
	return true;
}

static int through_a_handle(struct pool_handle *handle)
{
	HANDLE_SCOPE(handle);
	assert_false(nobody_is_inside(handle->pool->pools));
	return 0;
}

static void without_a_handle(struct pools *pools)
{
	GATE_SCOPE(pools);
	assert_false(nobody_is_inside(pools));
}

static void a_scope_is_inside_until_its_end_and_not_longer(void **state)
{
	struct pooltest_bench *bench = *state;

	without_a_handle(bench->pools);
	assert_true(nobody_is_inside(bench->pools));
	assert_int_equal(through_a_handle(bench->handle), 0);
	assert_true(nobody_is_inside(bench->pools));
	pools_stop(bench->pools);
	pools_resume(bench->pools);
	assert_int_equal(through_a_handle(bench->handle), -EIO);
	assert_true(nobody_is_inside(bench->pools));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(a_call_without_a_handle_waits_for_the_end_of_an_outage),
		POOLTEST(a_call_without_a_handle_does_not_wait_while_the_power_is_on),
		POOLTEST(pools_stop_returns_after_the_last_call_has_left),
		POOLTEST(pools_stop_does_not_wait_when_no_call_is_inside),
		POOLTEST(a_handle_is_refused_at_once_while_the_power_is_off),
		POOLTEST(a_handle_of_an_older_generation_is_refused_after_the_outage),
		POOLTEST(trying_to_enter_fails_only_while_the_power_is_off),
		POOLTEST(a_scope_is_inside_until_its_end_and_not_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
