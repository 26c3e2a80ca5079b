/* SPDX-License-Identifier: BSD-3-Clause */

/* Compares the free space with a model that has an array element for each block. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/align.h"
#include "common/rng.h"
#include "pool/space.h"

/* Three groups, and an incomplete last one. */
#define BLOCKS (3 * GROUP_BLOCKS + 100)
#define STEPS 20000u

struct model {
	bool used[BLOCKS];
	bool released[BLOCKS]; /* and not discarded or taken since */
	uint64_t free, promised;
};

static uint64_t unpromised(const struct space *space, const struct model *model)
{
	const uint64_t kept = model->promised + space->metadata_only;

	return model->free > kept ? model->free - kept : 0;
}

static bool model_is_free(const struct model *model, uint64_t block, uint64_t count)
{
	for (uint64_t at = block; at < block + count; at++)
		if (at >= BLOCKS || model->used[at])
			return false;
	return true;
}

static void model_set(struct model *model, uint64_t block, uint64_t count, bool used)
{
	for (uint64_t at = block; at < block + count; at++) {
		assert_int_not_equal(model->used[at], used);
		model->used[at] = used;
		model->released[at] = !used;
	}
	model->free = used ? model->free - count : model->free + count;
}

static void assert_same(struct space *space, const struct model *model)
{
	uint64_t group_free[4] = { 0 };

	for (uint64_t block = 0; block < BLOCKS; block++) {
		assert_int_equal(space->used[block / 64] >> (block % 64) & 1, model->used[block]);
		group_free[block / GROUP_BLOCKS] += !model->used[block];
	}
	for (unsigned group = 0; group < 4; group++)
		assert_int_equal(space->group_free[group], group_free[group]);
	assert_int_equal(space->free, model->free);
	assert_int_equal(space->promised, model->promised);
	assert_int_equal(pool_space_free_for_data(space), unpromised(space, model));
}

static void take(struct space *space, struct model *model, struct rng *rng)
{
	const enum space_purpose purpose = (enum space_purpose)rng_below(rng, 3);
	const uint64_t goal = rng_below(rng, 2) ? rng_below(rng, BLOCKS) : 0;
	const bool align = rng_below(rng, 2);
	uint64_t want = 1 + rng_below(rng, 2 * GROUP_BLOCKS), block = 0, allowed, got;

	if (purpose == SPACE_PROMISED)
		want = min_u64(want, model->promised);
	if (want == 0)
		return;
	allowed = purpose == SPACE_PROMISED ? want :
		  purpose == SPACE_DATA	    ? unpromised(space, model) :
					      model->free - model->promised;
	got = pool_space_take(space, purpose, goal, want, align, &block);
	assert_true(got <= min_u64(want, allowed));
	/* A promise always finds a run. The other purposes get one if they may have any block. */
	assert_int_equal(got > 0, allowed > 0);
	if (!got)
		return;
	assert_true(model_is_free(model, block, got));
	if (goal && model_is_free(model, goal, 1))
		assert_int_equal(block, goal);
	model_set(model, block, got, true);
	if (purpose == SPACE_PROMISED)
		model->promised -= got;
}

static void release(struct space *space, struct model *model, struct rng *rng)
{
	const uint64_t block = rng_below(rng, BLOCKS), most = 1 + rng_below(rng, 700);
	uint64_t count = 0;

	while (count < most && block + count < BLOCKS && model->used[block + count])
		count++;
	if (!count)
		return;
	pool_space_release(space, block, count);
	model_set(model, block, count, false);
}

static void claim(struct space *space, struct model *model, struct rng *rng)
{
	const uint64_t block = rng_below(rng, BLOCKS + 2), count = rng_below(rng, 100);
	const bool allowed = count > 0 && model_is_free(model, block, count) &&
			     model->free - model->promised >= count;

	/* Claiming promised blocks would break the promise. Loading, which claims blocks, promises none. */
	if (count > 0 && model_is_free(model, block, count) && !allowed)
		return;
	assert_int_equal(pool_space_claim(space, block, count), allowed);
	if (allowed)
		model_set(model, block, count, true);
}

static void promise(struct space *space, struct model *model, struct rng *rng)
{
	const uint64_t count = rng_below(rng, 300);
	const bool allowed = count <= unpromised(space, model);

	assert_int_equal(pool_space_promise(space, count), allowed ? 0 : -ENOSPC);
	if (allowed)
		model->promised += count;
}

static void unpromise(struct space *space, struct model *model, struct rng *rng)
{
	const uint64_t count = model->promised ? rng_below(rng, model->promised) + 1 : 0;

	pool_space_unpromise(space, count);
	model->promised -= count;
}

static void model_discard(void *context, uint64_t block, uint64_t count)
{
	struct model *model = context;

	for (uint64_t at = block; at < block + count; at++) {
		assert_true(model->released[at] && !model->used[at]);
		model->released[at] = false;
	}
}

static uint64_t released_blocks(const struct model *model)
{
	uint64_t count = 0;

	for (uint64_t block = 0; block < BLOCKS; block++)
		count += model->released[block];
	return count;
}

static void discard(struct space *space, struct model *model, struct rng *rng)
{
	/* Without a rest, and not limited, all of them. */
	const uint32_t rest = (uint32_t)rng_below(rng, 2);
	const uint64_t before = released_blocks(model);
	const uint64_t done = pool_space_discard(space, rest, UINT64_MAX, model_discard, model);

	assert_int_equal(before - released_blocks(model), done);
	assert_int_equal(space->released_count, released_blocks(model));
	if (rest == 0)
		assert_int_equal(space->released_count, 0);
}

static void random_changes_agree_with_a_model_of_each_block(void **state)
{
	struct rng rng = { .state = 30 };
	struct model model = { .free = BLOCKS };
	struct space space;

	(void)state;
	assert_int_equal(pool_space_init(&space, BLOCKS), 0);
	assert_int_equal(pool_space_note_released(&space), 0);
	assert_same(&space, &model);
	for (unsigned step = 0; step < STEPS; step++) {
		switch (rng_below(&rng, 7)) {
		case 0:
			take(&space, &model, &rng);
			break;
		case 1:
		case 2:
			release(&space, &model, &rng);
			break;
		case 3:
			claim(&space, &model, &rng);
			break;
		case 4:
			promise(&space, &model, &rng);
			break;
		case 5:
			unpromise(&space, &model, &rng);
			break;
		case 6:
			discard(&space, &model, &rng);
			break;
		}
		assert_same(&space, &model);
	}
	pool_space_destroy(&space);
}

static void a_long_run_is_aligned_if_there_is_such_a_run(void **state)
{
	struct space space;
	uint64_t block = 0;

	(void)state;
	assert_int_equal(pool_space_init(&space, BLOCKS), 0);
	assert_true(pool_space_claim(&space, 0, 10));
	assert_int_equal(pool_space_take(&space, SPACE_DATA, 0, GROUP_BLOCKS, true, &block), GROUP_BLOCKS);
	assert_int_equal(block, GROUP_BLOCKS);
	/* Negative control: without `align` the run begins where the search does. */
	assert_int_equal(pool_space_take(&space, SPACE_DATA, 0, 20, false, &block), 20);
	assert_int_equal(block, 10);
	pool_space_destroy(&space);
}

static void data_does_not_take_what_is_promised_or_the_reserve_of_metadata(void **state)
{
	struct space space;
	uint64_t block, got, taken = 0;

	(void)state;
	assert_int_equal(pool_space_init(&space, BLOCKS), 0);
	assert_int_equal(pool_space_promise(&space, 50), 0);
	while ((got = pool_space_take(&space, SPACE_DATA, 0, BLOCKS, false, &block)))
		taken += got;
	assert_int_equal(taken, BLOCKS - 50 - space.metadata_only);
	assert_int_equal(pool_space_promise(&space, 1), -ENOSPC);
	for (taken = 0; (got = pool_space_take(&space, SPACE_METADATA, 0, 1, false, &block));)
		taken += got;
	assert_int_equal(taken, space.metadata_only);
	for (taken = 0; taken < 50; taken += got) {
		got = pool_space_take(&space, SPACE_PROMISED, 0, 50 - taken, false, &block);
		assert_true(got > 0);
	}
	assert_int_equal(space.free, 0);
	assert_int_equal(space.promised, 0);
	pool_space_destroy(&space);
}

static void the_blocks_of_a_map_are_released(void **state)
{
	struct extmap map = { 0 };
	struct space space;

	(void)state;
	assert_int_equal(pool_space_init(&space, BLOCKS), 0);
	assert_true(pool_space_claim(&space, 100, 50));
	assert_int_equal(pool_extmap_reserve(&map, 2), 0);
	pool_extmap_insert(&map, 0, 10, 100, true);
	pool_extmap_insert(&map, 20, 10, 140, false);
	pool_space_release_extents(&space, &map);
	assert_int_equal(space.free, BLOCKS - 30);
	assert_true(pool_space_claim(&space, 100, 10));
	assert_false(pool_space_claim(&space, 110, 1));
	assert_true(pool_space_claim(&space, 140, 10));
	pool_extmap_free(&map);
	pool_space_destroy(&space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_changes_agree_with_a_model_of_each_block),
		cmocka_unit_test(a_long_run_is_aligned_if_there_is_such_a_run),
		cmocka_unit_test(data_does_not_take_what_is_promised_or_the_reserve_of_metadata),
		cmocka_unit_test(the_blocks_of_a_map_are_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
