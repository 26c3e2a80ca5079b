/* SPDX-License-Identifier: BSD-3-Clause */

/* fuse/turn: who of a mount's workers reads requests. */

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "turn.h"

#define HELPERS 1u
#define LONG_MS 60000u

/* A worker that stands by, and what it was given to do. */
struct scene {
	struct turn turn;
	pthread_t thread;
	sem_t given;
	enum turn_role role;
};

static void *stand_by(void *context)
{
	struct scene *scene = context;

	scene->role = turn_stand_by(&scene->turn);
	sem_post(&scene->given);
	return NULL;
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	turn_init(&scene->turn, HELPERS);
	sem_init(&scene->given, 0, 0);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	turn_destroy(&scene->turn);
	sem_destroy(&scene->given);
	free(scene);
	return 0;
}

static void start(struct scene *scene)
{
	assert_int_equal(pthread_create(&scene->thread, NULL, stand_by, scene), 0);
}

static void assert_gets(struct scene *scene, enum turn_role role)
{
	const struct timespec until = clock_deadline_ms(LONG_MS);

	assert_int_equal(sem_clockwait(&scene->given, CLOCK_MONOTONIC, &until), 0);
	pthread_join(scene->thread, NULL);
	assert_int_equal(scene->role, role);
}

static bool is_given(struct scene *scene)
{
	int value;

	sem_getvalue(&scene->given, &value);
	return value != 0;
}

static void wait_until_asleep(struct scene *scene)
{
	while (!atomic_load(&scene->turn.asleep))
		usleep(1000);
}

static void a_leader_that_waits_keeps_the_lead(void **state)
{
	struct scene *scene = *state;

	assert_true(turn_done(&scene->turn, turn_got(&scene->turn)));
	start(scene);
	wait_until_asleep(scene);
	assert_false(is_given(scene));
	turn_end(&scene->turn);
	assert_gets(scene, TURN_OVER);
}

static void another_takes_the_lead_while_a_request_is_not_done(void **state)
{
	struct scene *scene = *state;
	uint64_t number = turn_got(&scene->turn);

	start(scene);
	assert_gets(scene, TURN_LEAD);
	assert_false(turn_done(&scene->turn, number));
}

static void the_old_leader_does_not_end_requests_of_the_new_one(void **state)
{
	struct scene *scene = *state;
	uint64_t old = turn_got(&scene->turn), new;

	start(scene);
	assert_gets(scene, TURN_LEAD);
	new = turn_got(&scene->turn);
	assert_false(turn_done(&scene->turn, old));
	assert_true(turn_done(&scene->turn, new));
}

static void nobody_looks_while_there_are_no_requests(void **state)
{
	struct scene *scene = *state;
	uint64_t number;

	start(scene);
	wait_until_asleep(scene);
	/* The first request wakes the one that stands by: it takes the lead, as this one is not done. */
	number = turn_got(&scene->turn);
	assert_gets(scene, TURN_LEAD);
	assert_false(turn_done(&scene->turn, number));
}

static void one_helps_for_one_call(void **state)
{
	struct scene *scene = *state;

	turn_call_help(&scene->turn);
	turn_call_help(&scene->turn);
	start(scene);
	assert_gets(scene, TURN_HELP);
	/* There are helpers enough. */
	turn_call_help(&scene->turn);
	start(scene);
	wait_until_asleep(scene);
	assert_false(is_given(scene));
	turn_helped(&scene->turn);
	turn_call_help(&scene->turn);
	assert_gets(scene, TURN_HELP);
	turn_helped(&scene->turn);
}

static void nobody_helps_where_there_may_be_no_helpers(void **state)
{
	struct scene *scene = *state;

	turn_destroy(&scene->turn);
	turn_init(&scene->turn, 0);
	turn_call_help(&scene->turn);
	start(scene);
	wait_until_asleep(scene);
	assert_false(is_given(scene));
	turn_end(&scene->turn);
	assert_gets(scene, TURN_OVER);
}

static void the_end_reaches_all_that_stand_by(void **state)
{
	struct scene *scene = *state;
	pthread_t more[3];

	start(scene);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&more[i], NULL, stand_by, scene), 0);
	wait_until_asleep(scene);
	turn_end(&scene->turn);
	for (int i = 0; i < 3; i++)
		pthread_join(more[i], NULL);
	assert_gets(scene, TURN_OVER);
	assert_int_equal(turn_stand_by(&scene->turn), TURN_OVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_leader_that_waits_keeps_the_lead, setup, teardown),
		cmocka_unit_test_setup_teardown(another_takes_the_lead_while_a_request_is_not_done, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_old_leader_does_not_end_requests_of_the_new_one, setup,
						teardown),
		cmocka_unit_test_setup_teardown(nobody_looks_while_there_are_no_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(one_helps_for_one_call, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_helps_where_there_may_be_no_helpers, setup, teardown),
		cmocka_unit_test_setup_teardown(the_end_reaches_all_that_stand_by, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
