/* SPDX-License-Identifier: BSD-3-Clause */

/* Slots of hostile clients. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/rng.h"
#include "wpqtest.h"

static void assert_only_zero_died(struct machine *m)
{
	machine_only_zero_dies(m);
	assert_int_equal(machine_settle(m, CHOOSER_RANDOM, 1), 0);
}

static struct wpq_slot *wild(struct machine *m)
{
	machine_fill_slot(m, 0, 5);
	machine_persist(m, 0, 5, 'v');
	return machine_slot(m, 0, 5);
}

static void a_slot_with_a_wild_offset_ends_only_its_own_wpq(void **state)
{
	wild(*state)->offset = (uint64_t)1 << 60;
	assert_only_zero_died(*state);
}

static void a_slot_with_an_offset_that_wraps_ends_only_its_own_wpq(void **state)
{
	wild(*state)->offset = UINT64_MAX - 63;
	assert_only_zero_died(*state);
}

static void a_slot_with_an_unaligned_offset_ends_only_its_own_wpq(void **state)
{
	wild(*state)->offset = 321;
	assert_only_zero_died(*state);
}

static void a_slot_of_an_unknown_view_ends_only_its_own_wpq(void **state)
{
	wild(*state)->view = 77;
	assert_only_zero_died(*state);
}

static void a_number_of_counts_that_is_too_large_ends_only_its_own_wpq(void **state)
{
	wild(*state);
	atomic_store(&((struct machine *)*state)->producers[0].header->combining.counted, UINT32_MAX);
	assert_only_zero_died(*state);
}

/* These numbers are possible, so the client harms only its own lines. */
static void wild_flush_numbers_harm_only_the_clients_own_lines(void **state)
{
	struct machine *m = *state;
	struct wpq_combining *shared = &m->producers[0].header->combining;
	struct rng rng = { 9 };

	for (unsigned i = 0; i < 3000; i++) {
		struct wpq_slot *line = wild(m);
		uint64_t wildest[] = { 0, 1, UINT64_MAX, rng_next(&rng), shared->fenced };

		atomic_store(&line->number[rng_below(&rng, WPQ_COPIES)], wildest[rng_below(&rng, 5)]);
		line->batch[rng_below(&rng, WPQ_COPIES)] = wildest[rng_below(&rng, 5)];
		atomic_store(&shared->until[rng_below(&rng, WPQ_SLOTS)], wildest[rng_below(&rng, 5)]);
		shared->from[rng_below(&rng, WPQ_SLOTS)] = wildest[rng_below(&rng, 5)];
		shared->counts[0].view = (uint32_t)wildest[rng_below(&rng, 5)];
		atomic_store(&shared->fenced, wildest[rng_below(&rng, 5)]);
		assert_int_equal(domain_drain(m->domain), 0);
		assert_int_equal(machine_settle(m, CHOOSER_RANDOM, i), 0);
		machine_end_wpqs(m);
		machine_make_wpqs(m, WPQ_BYTES);
	}
	machine_persist(m, 1, 128, 'y');
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_has(m, 128), 'y');
}

static void a_slot_of_a_destroyed_view_is_dropped(void **state)
{
	struct machine *m = *state;
	struct view *gone;

	assert_int_equal(view_create(m->domain, &machine_identity, NULL, &gone), 0);
	assert_int_equal(view_attach(gone, VIEW_SIZE), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(wpq_flush(&m->producers[0], view_id(gone), view_memory(gone), 64, 1, 0));
		wpq_fence(&m->producers[0]);
	}
	view_destroy(gone);
	assert_int_equal(domain_drain(m->domain), 0);
	assert_false(wpq_is_dead(m->wpqs[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		machine_test(a_slot_with_a_wild_offset_ends_only_its_own_wpq),
		machine_test(a_slot_with_an_offset_that_wraps_ends_only_its_own_wpq),
		machine_test(a_slot_with_an_unaligned_offset_ends_only_its_own_wpq),
		machine_test(a_slot_of_an_unknown_view_ends_only_its_own_wpq),
		machine_test(a_number_of_counts_that_is_too_large_ends_only_its_own_wpq),
		machine_test(wild_flush_numbers_harm_only_the_clients_own_lines),
		machine_test(a_slot_of_a_destroyed_view_is_dropped),
	};

	return cmocka_run_group_tests_name("combining_hostile", tests, NULL, NULL);
}
