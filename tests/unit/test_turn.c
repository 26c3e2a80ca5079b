/* SPDX-License-Identifier: BSD-3-Clause */

/* fuse/turn: who of a mount's workers waits for requests. */

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/clock.h"
#include "turn.h"

#define LONG_MS 60000u

/* A worker that stands by. */
struct scene {
	struct turn turn;
	pthread_t thread;
	sem_t left; /* it stands by no more */
};

static void *stand_by(void *context)
{
	struct scene *scene = context;

	turn_stand_by(&scene->turn);
	sem_post(&scene->left);
	return NULL;
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	turn_init(&scene->turn);
	sem_init(&scene->left, 0, 0);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	turn_destroy(&scene->turn);
	sem_destroy(&scene->left);
	free(scene);
	return 0;
}

static void start(struct scene *scene)
{
	assert_int_equal(pthread_create(&scene->thread, NULL, stand_by, scene), 0);
}

static void assert_leaves(struct scene *scene)
{
	const struct timespec until = clock_deadline_ms(LONG_MS);

	assert_int_equal(sem_clockwait(&scene->left, CLOCK_MONOTONIC, &until), 0);
	pthread_join(scene->thread, NULL);
}

static void one_leads_at_a_time(void **state)
{
	struct scene *scene = *state;
	uint64_t lead = turn_take(&scene->turn);

	assert_int_not_equal(lead, 0);
	assert_int_equal(turn_take(&scene->turn), 0);
	turn_leave(&scene->turn, lead);
	assert_int_not_equal(turn_take(&scene->turn), 0);
}

static void a_lead_goes_on_from_request_to_request(void **state)
{
	struct scene *scene = *state;
	uint64_t lead = turn_take(&scene->turn);

	for (int i = 0; i < 100; i++) {
		lead = turn_got(&scene->turn, lead);
		assert_int_not_equal(lead, 0);
		lead = turn_done(&scene->turn, lead);
		assert_int_not_equal(lead, 0);
	}
}

static void nobody_stands_by_without_a_leader(void **state)
{
	struct scene *scene = *state;

	turn_stand_by(&scene->turn);
	turn_leave(&scene->turn, turn_take(&scene->turn));
	turn_stand_by(&scene->turn);
}

static void the_lead_ends_while_a_request_is_not_served(void **state)
{
	struct scene *scene = *state;
	uint64_t lead = turn_got(&scene->turn, turn_take(&scene->turn));

	start(scene);
	assert_leaves(scene);
	assert_int_equal(turn_done(&scene->turn, lead), 0);
}

static void the_lead_ends_if_no_request_comes(void **state)
{
	struct scene *scene = *state;
	uint64_t lead = turn_take(&scene->turn);

	start(scene);
	assert_leaves(scene);
	assert_int_equal(turn_got(&scene->turn, lead), 0);
}

static void a_leader_of_before_does_not_end_the_next_lead(void **state)
{
	struct scene *scene = *state;
	uint64_t before = turn_got(&scene->turn, turn_take(&scene->turn)), lead;

	start(scene);
	assert_leaves(scene);
	lead = turn_take(&scene->turn);
	assert_int_equal(turn_done(&scene->turn, before), 0);
	turn_leave(&scene->turn, before);
	assert_int_not_equal(turn_got(&scene->turn, lead), 0);
}

static void a_leader_that_leaves_wakes_all_who_stand_by(void **state)
{
	struct scene *scene = *state;
	uint64_t lead = turn_take(&scene->turn);
	pthread_t more[3];

	start(scene);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&more[i], NULL, stand_by, scene), 0);
	turn_leave(&scene->turn, lead);
	for (int i = 0; i < 3; i++)
		pthread_join(more[i], NULL);
	assert_leaves(scene);
}

static void nobody_stands_by_after_the_end(void **state)
{
	struct scene *scene = *state;

	turn_take(&scene->turn);
	start(scene);
	turn_end(&scene->turn);
	assert_leaves(scene);
	turn_stand_by(&scene->turn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_leads_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lead_goes_on_from_request_to_request, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_stands_by_without_a_leader, setup, teardown),
		cmocka_unit_test_setup_teardown(the_lead_ends_while_a_request_is_not_served, setup, teardown),
		cmocka_unit_test_setup_teardown(the_lead_ends_if_no_request_comes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_leader_of_before_does_not_end_the_next_lead, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_leader_that_leaves_wakes_all_who_stand_by, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_stands_by_after_the_end, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
