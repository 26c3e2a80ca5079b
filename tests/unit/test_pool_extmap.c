/* SPDX-License-Identifier: BSD-3-Clause */

/* Extent maps against a model that has an array element for each page. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/align.h"
#include "common/rng.h"
#include "pool/extmap.h"

#define PAGES 200u
#define STEPS 20000u

struct model {
	uint64_t block[PAGES]; /* 0: a hole */
	bool unwritten[PAGES];
};

static bool model_continues(const struct model *model, uint64_t page)
{
	return page > 0 && model->block[page] && model->block[page - 1] &&
	       model->block[page] == model->block[page - 1] + 1 &&
	       model->unwritten[page] == model->unwritten[page - 1];
}

static uint32_t model_extents(const struct model *model)
{
	uint32_t extents = 0;

	for (uint64_t page = 0; page < PAGES; page++)
		extents += model->block[page] && !model_continues(model, page);
	return extents;
}

static void assert_page(const struct extmap *map, const struct model *model, uint64_t page)
{
	uint64_t end = 0, expected = page + 1;
	const struct extent *extent = pool_extmap_at(map, page, PAGES, &end);

	if (model->block[page]) {
		assert_non_null(extent);
		assert_int_equal(extent_block(extent, page), model->block[page]);
		assert_int_equal(extent_unwritten(extent), model->unwritten[page]);
		while (expected < PAGES && model_continues(model, expected))
			expected++;
	} else {
		assert_null(extent);
		while (expected < PAGES && !model->block[expected])
			expected++;
	}
	assert_int_equal(end, expected);
}

/* Assert that the map and the model agree on each page, and that the map has as few extents as possible. */
static void assert_same(const struct extmap *map, const struct model *model)
{
	uint64_t pages = 0, last_end = 0;

	assert_int_equal(map->count, model_extents(model));
	for (uint32_t i = 0; i < map->count; i++) {
		assert_true(map->items[i].page >= last_end);
		last_end = extent_end(&map->items[i]);
	}
	for (uint64_t page = 0; page < PAGES; page++) {
		assert_page(map, model, page);
		pages += model->block[page] != 0;
	}
	assert_int_equal(pool_extmap_pages(map), pages);
}

static void insert_run(struct extmap *map, struct model *model, struct rng *rng, uint64_t page,
		       uint64_t pages)
{
	const bool unwritten = rng_below(rng, 2);
	/* Often choose the block that continues the previous extent, so that runs merge. */
	uint64_t block = rng_below(rng, 2) ? pool_extmap_goal(map, page) : 0;
	uint64_t stop = page;

	while (stop < page + pages && !model->block[stop])
		stop++;
	if (stop == page)
		return;
	if (!block)
		block = 1000 + rng_below(rng, 1000000);
	assert_int_equal(pool_extmap_reserve(map, 1), 0);
	pool_extmap_insert(map, page, stop - page, block, unwritten);
	for (uint64_t at = page; at < stop; at++) {
		model->block[at] = block + (at - page);
		model->unwritten[at] = unwritten;
	}
}

static void remove_run(struct extmap *map, struct model *model, uint64_t page, uint64_t pages)
{
	struct extmap removed = { 0 };
	uint64_t expected = 0;

	for (uint64_t at = page; at < page + pages; at++)
		expected += model->block[at] != 0;
	assert_int_equal(pool_extmap_remove(map, page, pages, &removed), 0);
	assert_int_equal(pool_extmap_pages(&removed), expected);
	for (uint32_t i = 0; i < removed.count; i++) {
		const struct extent *extent = &removed.items[i];

		assert_true(extent->page >= page && extent_end(extent) <= page + pages);
		for (uint64_t at = extent->page; at < extent_end(extent); at++)
			assert_int_equal(extent_block(extent, at), model->block[at]);
	}
	pool_extmap_free(&removed);
	for (uint64_t at = page; at < page + pages; at++) {
		model->block[at] = 0;
		model->unwritten[at] = false;
	}
}

static void flag_run(struct extmap *map, struct model *model, struct rng *rng, uint64_t page, uint64_t pages)
{
	const bool unwritten = rng_below(rng, 2);

	assert_int_equal(pool_extmap_reserve(map, 2), 0);
	pool_extmap_flag(map, page, pages, unwritten);
	for (uint64_t at = page; at < page + pages; at++)
		if (model->block[at])
			model->unwritten[at] = unwritten;
}

static void random_changes_agree_with_a_model_of_each_page(void **state)
{
	struct rng rng = { .state = 20 };
	struct model model = { 0 };
	struct extmap map = { 0 };

	(void)state;
	for (unsigned step = 0; step < STEPS; step++) {
		const uint64_t page = rng_below(&rng, PAGES);
		const uint64_t pages = 1 + rng_below(&rng, min_u64(PAGES - page, 40));

		switch (rng_below(&rng, 4)) {
		case 0:
		case 1:
			insert_run(&map, &model, &rng, page, pages);
			break;
		case 2:
			remove_run(&map, &model, page, pages);
			break;
		case 3:
			flag_run(&map, &model, &rng, page, pages);
			break;
		}
		assert_same(&map, &model);
	}
	pool_extmap_free(&map);
	assert_int_equal(map.count, 0);
	assert_null(map.items);
}

static void a_copy_does_not_change_with_the_original(void **state)
{
	struct extmap map = { 0 }, copy;

	(void)state;
	assert_int_equal(pool_extmap_reserve(&map, 1), 0);
	pool_extmap_insert(&map, 10, 5, 100, false);
	assert_int_equal(pool_extmap_copy(&map, &copy), 0);
	assert_int_equal(pool_extmap_remove(&map, 11, 1, NULL), 0);
	assert_int_equal(map.count, 2);
	assert_int_equal(copy.count, 1);
	assert_int_equal(copy.items[0].page, 10);
	assert_int_equal(extent_pages(&copy.items[0]), 5);
	pool_extmap_free(&map);
	pool_extmap_free(&copy);
}

static void a_run_is_not_merged_beyond_the_length_that_an_extent_can_have(void **state)
{
	const uint64_t most = EXTENT_UNWRITTEN - 1;
	struct extmap map = { 0 };

	(void)state;
	assert_int_equal(pool_extmap_reserve(&map, 3), 0);
	pool_extmap_insert(&map, 0, most - 1, 5, false);
	pool_extmap_insert(&map, most - 1, 1, 5 + most - 1, false);
	assert_int_equal(map.count, 1);
	assert_int_equal(extent_pages(&map.items[0]), most);
	assert_false(extent_unwritten(&map.items[0]));
	pool_extmap_insert(&map, most, 1, 5 + most, false);
	assert_int_equal(map.count, 2);
	assert_int_equal(pool_extmap_pages(&map), most + 1);
	pool_extmap_free(&map);
}

static void the_goal_keeps_a_gap_of_the_file_as_a_gap_on_the_media(void **state)
{
	struct extmap map = { 0 };

	(void)state;
	assert_int_equal(pool_extmap_goal(&map, 7), 0);
	assert_int_equal(pool_extmap_reserve(&map, 1), 0);
	pool_extmap_insert(&map, 10, 5, 100, false);
	assert_int_equal(pool_extmap_goal(&map, 7), 0);
	assert_int_equal(pool_extmap_goal(&map, 15), 105);
	assert_int_equal(pool_extmap_goal(&map, 20), 110);
	pool_extmap_free(&map);
}

static void an_empty_map_is_one_hole(void **state)
{
	struct extmap map = { 0 };
	uint64_t end = 0;

	(void)state;
	assert_int_equal(pool_extmap_find(&map, 0), 0);
	assert_null(pool_extmap_at(&map, 3, 9, &end));
	assert_int_equal(end, 9);
	assert_int_equal(pool_extmap_pages(&map), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_map_is_one_hole),
		cmocka_unit_test(random_changes_agree_with_a_model_of_each_page),
		cmocka_unit_test(a_copy_does_not_change_with_the_original),
		cmocka_unit_test(a_run_is_not_merged_beyond_the_length_that_an_extent_can_have),
		cmocka_unit_test(the_goal_keeps_a_gap_of_the_file_as_a_gap_on_the_media),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
