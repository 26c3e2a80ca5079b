/* SPDX-License-Identifier: BSD-3-Clause */

/* Where the pages of a file live on the media, and the blocks that are promised to pages without one. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "mediatest.h"
#include "pool/placement.h"
#include "pool/pools.h"
#include "pooltest.h"

static void a_page_that_was_never_written_is_a_hole(void **state)
{
	struct pooltest_bench *bench = *state;
	struct placement place = pool_find_pages(bench->pool, 3, 4);

	assert_false(place.placed);
	assert_int_equal(place.pages, 4);
	assert_int_equal(pool_absent_pages(bench->pool, 0, 10), 10);
	assert_int_equal(pool_promised_pages(bench->pool, 0, 10), 0);
}

static void a_store_promises_a_block_to_each_page_that_has_none(void **state)
{
	struct pooltest_bench *bench = *state;

	pooltest_fill(bench, 0, 3 * PAGE_BYTES, 1);
	assert_int_equal(bench->pool->promised, 3);
	assert_int_equal(bench->pools->space.promised, 3);
	assert_int_equal(pool_promised_pages(bench->pool, 0, 10), 3);
	assert_int_equal(pool_promised_pages(bench->pool, 2, 10), 1);
	assert_int_equal(pool_absent_pages(bench->pool, 0, 10), 7);
	assert_false(pool_find_pages(bench->pool, 0, 3).placed);
	/* A second store to the same pages promises no more. */
	pooltest_fill(bench, 0, 3 * PAGE_BYTES, 2);
	assert_int_equal(bench->pools->space.promised, 3);
}

static void a_sync_turns_promised_blocks_into_placed_ones(void **state)
{
	struct pooltest_bench *bench = *state;
	struct placement place;

	pooltest_fill(bench, 0, 3 * PAGE_BYTES, 0x5a);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_int_equal(bench->pool->promised, 0);
	assert_int_equal(bench->pools->space.promised, 0);
	place = pool_find_pages(bench->pool, 0, 5);
	assert_true(place.placed);
	assert_int_equal(place.pages, 3);
	assert_int_equal(mediatest_byte(bench->region, place.media_offset + 2 * PAGE_BYTES), 0x5a);
}

static void reserved_pages_have_unwritten_blocks(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t free_before = bench->pools->space.free;

	assert_int_equal(pool_reserve_pages(bench->pool, 2, 6), 0);
	assert_int_equal(bench->pools->space.free, free_before - 6);
	assert_int_equal(bench->pools->space.promised, 0);
	assert_int_equal(bench->pool->map.count, 1);
	assert_true(extent_unwritten(&bench->pool->map.items[0]));
	assert_false(pool_find_pages(bench->pool, 2, 6).placed);
	assert_int_equal(pool_absent_pages(bench->pool, 0, 8), 2);
	/* All of them have a block, so a second time takes nothing. */
	assert_int_equal(pool_reserve_pages(bench->pool, 2, 6), 0);
	assert_int_equal(bench->pools->space.free, free_before - 6);
}

static void reserving_more_than_is_free_changes_nothing(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t free_before = bench->pools->space.free;

	assert_int_equal(pool_reserve_pages(bench->pool, 0, free_before + 1), -ENOSPC);
	assert_int_equal(bench->pools->space.free, free_before);
	assert_int_equal(bench->pools->space.promised, 0);
	assert_int_equal(bench->pool->promised, 0);
	assert_int_equal(bench->pool->map.count, 0);
}

static double processor_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Who may write to a file may ask for 16 TiB: at a nanosecond a page that would be 4 seconds each time. */
static void reserving_costs_what_is_there_and_not_what_is_asked_for(void **state)
{
	struct pooltest_bench *bench = *state;
	double from;

	pooltest_fill(bench, 0, 3 * PAGE_BYTES, 1);
	pooltest_fill(bench, (uint64_t)POOL_PAGES_MAX * PAGE_BYTES / 2, PAGE_BYTES, 1);
	from = processor_seconds();
	for (int i = 0; i < 10; i++) {
		assert_true(pool_absent_pages(bench->pool, 1, POOL_PAGES_MAX - 1) == POOL_PAGES_MAX - 1 - 3);
		assert_int_equal(pool_reserve_pages(bench->pool, 0, POOL_PAGES_MAX), -ENOSPC);
	}
	assert_true(processor_seconds() - from < 5);
}

static void reserving_uses_the_blocks_that_were_promised(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t free_before = bench->pools->space.free;

	pooltest_fill(bench, 0, 2 * PAGE_BYTES, 1);
	assert_int_equal(pool_reserve_pages(bench->pool, 0, 4), 0);
	assert_int_equal(bench->pool->promised, 0);
	assert_int_equal(bench->pools->space.promised, 0);
	assert_int_equal(bench->pools->space.free, free_before - 4);
}

/* The first write to an unwritten extent makes the pages around it written: they must read as zeros. */
static void old_bytes_around_the_first_write_to_unwritten_blocks_are_zeroed(void **state)
{
	static unsigned char garbage[4 * PAGE_BYTES];
	struct pooltest_bench *bench = *state;
	struct placement place;
	uint64_t offset;

	assert_int_equal(pool_fallocate(bench->handle, 0, 0, sizeof(garbage)), 0);
	offset = pool_find_pages(bench->pool, 0, 1).media_offset;
	memset(garbage, 0xee, sizeof(garbage));
	mediatest_write(bench->region, offset, garbage, sizeof(garbage));
	pooltest_fill(bench, PAGE_BYTES, PAGE_BYTES, 7);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	place = pool_find_pages(bench->pool, 0, 4);
	assert_true(place.placed);
	assert_int_equal(place.pages, 4);
	assert_int_equal(place.media_offset, offset);
	for (unsigned page = 0; page < 4; page++)
		assert_int_equal(mediatest_byte(bench->region, offset + page * PAGE_BYTES + 9),
				 page == 1 ? 7 : 0);
}

static void a_page_to_which_no_block_was_promised_gets_a_free_block(void **state)
{
	struct pooltest_bench *bench = *state;
	struct placement place;

	/* As after a store through a mapping to a page that was punched. */
	assert_int_equal(pool_view_ops.place(bench->pool, 0, 1, &place), 0);
	assert_true(place.placed);
	assert_int_equal(bench->pool->map.count, 1);
	assert_int_equal(bench->pool->promised, 0);
	assert_int_equal(bench->pools->space.promised, 0);
}

static void discarding_pages_gives_their_promise_back(void **state)
{
	struct pooltest_bench *bench = *state;

	pooltest_fill(bench, 0, 3 * PAGE_BYTES, 1);
	pool_discard_pages(bench->pool, 1, 2, pool_promised_pages(bench->pool, 1, 2));
	assert_int_equal(bench->pool->promised, 1);
	assert_int_equal(bench->pools->space.promised, 1);
	assert_int_equal(pool_absent_pages(bench->pool, 0, 3), 2);
	pooltest_expect(bench, 0, PAGE_BYTES, 1);
	pooltest_expect(bench, PAGE_BYTES, 2 * PAGE_BYTES, 0);
}

static void a_recount_finds_the_pages_that_need_a_block(void **state)
{
	struct pooltest_bench *bench = *state;

	pooltest_fill(bench, 0, 2 * PAGE_BYTES, 1);
	assert_int_equal(pool_space_promise(&bench->pools->space, 5), 0);
	bench->pool->promised += 5;
	pool_recount_promised(bench->pool);
	assert_int_equal(bench->pool->promised, 2);
	assert_int_equal(bench->pools->space.promised, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(a_page_that_was_never_written_is_a_hole),
		POOLTEST(a_store_promises_a_block_to_each_page_that_has_none),
		POOLTEST(a_sync_turns_promised_blocks_into_placed_ones),
		POOLTEST(reserved_pages_have_unwritten_blocks),
		POOLTEST(reserving_more_than_is_free_changes_nothing),
		POOLTEST(reserving_costs_what_is_there_and_not_what_is_asked_for),
		POOLTEST(reserving_uses_the_blocks_that_were_promised),
		POOLTEST(old_bytes_around_the_first_write_to_unwritten_blocks_are_zeroed),
		POOLTEST(a_page_to_which_no_block_was_promised_gets_a_free_block),
		POOLTEST(discarding_pages_gives_their_promise_back),
		POOLTEST(a_recount_finds_the_pages_that_need_a_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
