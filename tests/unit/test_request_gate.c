/* SPDX-License-Identifier: BSD-3-Clause */

/* fuse/request_gate: phases, and tokens that outlive the thread that took them. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "request_gate.h"

static int setup(void **state)
{
	static struct request_gate gate;

	fusefs_gate_init(&gate);
	*state = &gate;
	return 0;
}

static int teardown(void **state)
{
	struct request_gate *gate = *state;

	assert_int_equal(atomic_load(&gate->inside[0]), 0);
	assert_int_equal(atomic_load(&gate->inside[1]), 0);
	fusefs_gate_destroy(gate);
	return 0;
}

static void a_token_keeps_the_phase_it_was_taken_in(void **state)
{
	struct request_gate *gate = *state;
	struct gate_token early, late;

	fusefs_gate_enter(gate, &early);
	fusefs_gate_change(gate, GATE_WRITE_BACK);
	fusefs_gate_enter(gate, &late);
	assert_int_equal(fusefs_gate_token_phase(&early), GATE_OPEN);
	assert_int_equal(fusefs_gate_token_phase(&late), GATE_WRITE_BACK);
	assert_int_equal(fusefs_gate_phase(gate), GATE_WRITE_BACK);
	fusefs_gate_leave(&early);
	fusefs_gate_wait(gate);
	fusefs_gate_leave(&late);
}

static void a_token_is_given_back_once(void **state)
{
	struct request_gate *gate = *state;
	struct gate_token token, moved;

	fusefs_gate_enter(gate, &token);
	moved = fusefs_gate_token_steal(&token);
	fusefs_gate_leave(&token);
	assert_int_equal(atomic_load(&gate->inside[0]), 1);
	fusefs_gate_leave(&moved);
	fusefs_gate_leave(&moved);
	assert_int_equal(atomic_load(&gate->inside[0]), 0);
}

struct waiter {
	struct request_gate *gate;
	void (*wait)(struct request_gate *gate);
	atomic_bool done;
};

static void *wait_in_thread(void *argument)
{
	struct waiter *waiter = argument;

	waiter->wait(waiter->gate);
	atomic_store(&waiter->done, true);
	return NULL;
}

/* That it has not returned cannot be proved by waiting, but what returns too early is seen. */
static void expect_waiting(struct waiter *waiter)
{
	usleep(20000);
	assert_false(atomic_load(&waiter->done));
}

static void *leave_in_thread(void *argument)
{
	fusefs_gate_leave(argument);
	return NULL;
}

static void leave_from_another_thread(struct gate_token *token)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, leave_in_thread, token), 0);
	pthread_join(thread, NULL);
}

static void a_wait_ends_when_another_thread_gives_the_token_back(void **state)
{
	struct waiter waiter = { .gate = *state, .wait = fusefs_gate_wait };
	struct gate_token token, deferred, later;
	pthread_t thread;

	fusefs_gate_enter(waiter.gate, &token);
	deferred = fusefs_gate_token_steal(&token);
	/* As at the end of a handler that replies later. */
	fusefs_gate_leave(&token);
	fusefs_gate_change(waiter.gate, GATE_WRITE_BACK);
	assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &waiter), 0);
	expect_waiting(&waiter);
	/* Requests of the new phase come and go meanwhile, and do not end the wait. */
	fusefs_gate_enter(waiter.gate, &later);
	fusefs_gate_leave(&later);
	expect_waiting(&waiter);
	fusefs_gate_enter(waiter.gate, &later);
	leave_from_another_thread(&deferred);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&waiter.done));
	fusefs_gate_leave(&later);
}

static void a_request_may_change_the_phase_in_the_middle_of_its_work(void **state)
{
	struct waiter waiter = { .gate = *state, .wait = fusefs_gate_wait };
	struct gate_token token;
	pthread_t thread;

	fusefs_gate_enter(waiter.gate, &token);
	fusefs_gate_change(waiter.gate, GATE_WRITE_BACK);
	assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &waiter), 0);
	expect_waiting(&waiter);
	fusefs_gate_leave(&token);
	pthread_join(thread, NULL);
}

static void a_flush_waits_for_earlier_requests_and_keeps_the_phase(void **state)
{
	struct waiter waiter = { .gate = *state, .wait = fusefs_gate_flush };
	struct gate_token token;
	pthread_t thread;

	fusefs_gate_enter(waiter.gate, &token);
	assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &waiter), 0);
	expect_waiting(&waiter);
	fusefs_gate_leave(&token);
	pthread_join(thread, NULL);
	assert_int_equal(fusefs_gate_phase(waiter.gate), GATE_OPEN);
}

#define RUNNERS 4
#define CHANGES 2000

struct run {
	struct request_gate *gate;
	/* What requests of each phase see and set: exclusive phases never overlap others. */
	atomic_int running[3];
	atomic_bool stop, broken;
};

static void *run_requests(void *argument)
{
	struct run *run = argument;

	while (!atomic_load(&run->stop)) {
		struct gate_token token;
		enum gate_phase phase;

		fusefs_gate_enter(run->gate, &token);
		phase = fusefs_gate_token_phase(&token);
		atomic_fetch_add(&run->running[phase], 1);
		atomic_fetch_sub(&run->running[phase], 1);
		fusefs_gate_leave(&token);
	}
	return NULL;
}

static void after_a_wait_no_request_of_an_earlier_phase_runs(void **state)
{
	static const enum gate_phase phases[] = { GATE_WRITE_BACK, GATE_DISCARD, GATE_OPEN };
	struct run run = { .gate = *state };
	pthread_t threads[RUNNERS];

	for (int i = 0; i < RUNNERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_requests, &run), 0);
	for (int change = 0; change < CHANGES; change++) {
		enum gate_phase phase = phases[change % 3];

		fusefs_gate_change(run.gate, phase);
		fusefs_gate_wait(run.gate);
		for (int other = 0; other < 3; other++)
			if (other != (int)phase && atomic_load(&run.running[other]))
				atomic_store(&run.broken, true);
	}
	atomic_store(&run.stop, true);
	for (int i = 0; i < RUNNERS; i++)
		pthread_join(threads[i], NULL);
	assert_false(atomic_load(&run.broken));
}

static void without_a_wait_requests_of_an_earlier_phase_may_run(void **state)
{
	struct request_gate *gate = *state;
	struct gate_token token;

	/* Negative control: the change alone does not wait. */
	fusefs_gate_enter(gate, &token);
	fusefs_gate_change(gate, GATE_DISCARD);
	assert_int_equal(atomic_load(&gate->inside[0]) + atomic_load(&gate->inside[1]), 1);
	fusefs_gate_leave(&token);
}

#define gate_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		gate_test(a_token_keeps_the_phase_it_was_taken_in),
		gate_test(a_token_is_given_back_once),
		gate_test(a_wait_ends_when_another_thread_gives_the_token_back),
		gate_test(a_request_may_change_the_phase_in_the_middle_of_its_work),
		gate_test(a_flush_waits_for_earlier_requests_and_keeps_the_phase),
		gate_test(after_a_wait_no_request_of_an_earlier_phase_runs),
		gate_test(without_a_wait_requests_of_an_earlier_phase_may_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
