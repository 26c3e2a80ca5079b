/* SPDX-License-Identifier: BSD-3-Clause */

/* The size of a pool, and the bytes behind it. */

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mediatest.h"
#include "pool/placement.h"
#include "pool/pools.h"
#include "pool/resize.h"
#include "pooltest.h"

static void bytes_behind_the_end_read_as_zero_when_the_pool_grows_over_them(void **state)
{
	struct pooltest_bench *bench = *state;

	pooltest_fill(bench, 0, 100, 1);
	/* As after a shorter size was decided in an outage: the view has bytes behind the end. */
	bench->pool->size = 60;
	assert_int_equal(pool_extend(bench->pool, 5000), 0);
	assert_int_equal(bench->pool->size, 5000);
	assert_int_equal(bench->pool->durable_size, 0);
	pooltest_expect(bench, 0, 60, 1);
	pooltest_expect(bench, 60, 4940, 0);
}

static void extending_to_a_smaller_size_does_nothing(void **state)
{
	struct pooltest_bench *bench = *state;

	pooltest_fill(bench, 0, 100, 1);
	assert_int_equal(pool_extend(bench->pool, 60), 0);
	assert_int_equal(bench->pool->size, 100);
	pooltest_expect(bench, 0, 100, 1);
}

static void the_tail_of_the_last_page_is_zeroed_in_the_view_and_on_the_media(void **state)
{
	struct pooltest_bench *bench = *state;
	uint64_t offset;

	pooltest_fill(bench, 0, 100, 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	offset = pool_find_pages(bench->pool, 0, 1).media_offset;
	assert_int_equal(mediatest_byte(bench->region, offset + 60), 1);
	bench->pool->size = bench->pool->durable_size = 60;
	pool_zero_tail(bench->pool);
	assert_int_equal(mediatest_byte(bench->region, offset + 59), 1);
	assert_int_equal(mediatest_byte(bench->region, offset + 60), 0);
	assert_int_equal(mediatest_byte(bench->region, offset + 99), 0);
	bench->pool->size = 100;
	pooltest_expect(bench, 0, 60, 1);
	pooltest_expect(bench, 60, 40, 0);
}

static void a_shorter_size_is_durable_and_frees_what_was_cut_off(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t free_before = bench->pools->space.free;

	pooltest_fill(bench, 0, 4 * PAGE_BYTES, 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_int_equal(bench->pools->space.free, free_before - 4);
	assert_int_equal(pool_truncate(bench->pool, NULL, PAGE_BYTES + 1), 0);
	assert_int_equal(bench->pools->space.free, free_before - 2);
	assert_int_equal(bench->pool->durable_size, PAGE_BYTES + 1);
	assert_int_equal(pool_truncate(bench->pool, bench->handle, 2 * PAGE_BYTES), 0);
	pooltest_expect(bench, 0, PAGE_BYTES + 1, 1);
	pooltest_expect(bench, PAGE_BYTES + 1, PAGE_BYTES - 1, 0);
}

static void a_shorter_size_gives_back_the_promise_to_pages_that_were_cut_off(void **state)
{
	struct pooltest_bench *bench = *state;

	pooltest_fill(bench, 0, 4 * PAGE_BYTES, 1);
	assert_int_equal(bench->pools->space.promised, 4);
	assert_int_equal(pool_truncate(bench->pool, NULL, PAGE_BYTES), 0);
	assert_int_equal(bench->pools->space.promised, 1);
	assert_int_equal(bench->pool->promised, 1);
}

static void allocating_more_than_is_free_changes_nothing(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t free_before = bench->pools->space.free;
	const uint64_t sequence = bench->pools->sequences[bench->pool->index];

	assert_int_equal(pool_fallocate(bench->handle, 0, 0, 64u << 20), -ENOSPC);
	assert_int_equal(bench->pools->space.free, free_before);
	assert_int_equal(bench->pools->space.promised, 0);
	assert_int_equal(bench->pool->size, 0);
	assert_int_equal(bench->pool->map.count, 0);
	assert_int_equal(bench->pools->sequences[bench->pool->index], sequence);
}

static void allocating_sets_the_size_unless_it_is_to_be_kept(void **state)
{
	struct pooltest_bench *bench = *state;

	assert_int_equal(pool_fallocate(bench->handle, FALLOC_FL_KEEP_SIZE, 0, 3 * PAGE_BYTES), 0);
	assert_int_equal(bench->pool->size, 0);
	assert_int_equal(pool_extmap_pages(&bench->pool->map), 3);
	assert_int_equal(pool_fallocate(bench->handle, 0, 0, PAGE_BYTES + 1), 0);
	assert_int_equal(bench->pool->durable_size, PAGE_BYTES + 1);
	assert_int_equal(pool_extmap_pages(&bench->pool->map), 3);
}

static void the_size_that_a_pool_has_frees_what_is_allocated_behind_it(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t free_before = bench->pools->space.free;

	assert_int_equal(pool_fallocate(bench->handle, FALLOC_FL_KEEP_SIZE, 0, 8 * PAGE_BYTES), 0);
	assert_int_equal(bench->pools->space.free, free_before - 8);
	assert_int_equal(pool_truncate(bench->pool, bench->handle, 0), 0);
	assert_int_equal(bench->pools->space.free, free_before);

	pooltest_fill(bench, 0, PAGE_BYTES + 100, 1);
	assert_int_equal(pool_fallocate(bench->handle, FALLOC_FL_KEEP_SIZE, 0, 8 * PAGE_BYTES), 0);
	/* A larger size keeps them. */
	assert_int_equal(pool_truncate(bench->pool, bench->handle, PAGE_BYTES + 200), 0);
	assert_int_equal(bench->pools->space.free, free_before - 8);
	assert_int_equal(pool_truncate(bench->pool, NULL, PAGE_BYTES + 200), 0);
	assert_int_equal(bench->pools->space.free, free_before - 2);
	assert_int_equal(bench->pool->size, PAGE_BYTES + 200);
	pooltest_expect(bench, 0, PAGE_BYTES + 100, 1);
	pooltest_expect(bench, PAGE_BYTES + 100, 100, 0);
}

static void a_punched_hole_frees_whole_pages_and_zeroes_the_edges(void **state)
{
	struct pooltest_bench *bench = *state;
	uint64_t free_before;

	pooltest_fill(bench, 0, 4 * PAGE_BYTES, 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	free_before = bench->pools->space.free;
	assert_int_equal(pool_fallocate(bench->handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100,
					3 * PAGE_BYTES),
			 0);
	assert_int_equal(bench->pools->space.free, free_before + 2);
	assert_int_equal(bench->pool->size, 4 * PAGE_BYTES);
	pooltest_expect(bench, 0, 100, 1);
	pooltest_expect(bench, 100, 3 * PAGE_BYTES, 0);
	pooltest_expect(bench, 3 * PAGE_BYTES + 100, PAGE_BYTES - 100, 1);
}

static void a_zeroed_range_keeps_its_blocks(void **state)
{
	struct pooltest_bench *bench = *state;
	uint64_t free_before;

	pooltest_fill(bench, 0, 4 * PAGE_BYTES, 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	free_before = bench->pools->space.free;
	assert_int_equal(pool_fallocate(bench->handle, FALLOC_FL_ZERO_RANGE, 100, 3 * PAGE_BYTES), 0);
	assert_int_equal(bench->pools->space.free, free_before);
	pooltest_expect(bench, 0, 100, 1);
	pooltest_expect(bench, 100, 3 * PAGE_BYTES, 0);
	pooltest_expect(bench, 3 * PAGE_BYTES + 100, PAGE_BYTES - 100, 1);
}

static void sizes_and_modes_out_of_range_are_refused(void **state)
{
	struct pooltest_bench *bench = *state;

	assert_int_equal(pool_truncate(bench->pool, NULL, POOL_SIZE_MAX + 1), -EFBIG);
	assert_int_equal(pool_fallocate(bench->handle, 0, POOL_SIZE_MAX, 1), -EFBIG);
	assert_int_equal(pool_fallocate(bench->handle, 0, 0, 0), -EINVAL);
	assert_int_equal(pool_fallocate(bench->handle, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE_BYTES), -EOPNOTSUPP);
	assert_int_equal(bench->pool->size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(bytes_behind_the_end_read_as_zero_when_the_pool_grows_over_them),
		POOLTEST(extending_to_a_smaller_size_does_nothing),
		POOLTEST(the_tail_of_the_last_page_is_zeroed_in_the_view_and_on_the_media),
		POOLTEST(a_shorter_size_is_durable_and_frees_what_was_cut_off),
		POOLTEST(a_shorter_size_gives_back_the_promise_to_pages_that_were_cut_off),
		POOLTEST(allocating_more_than_is_free_changes_nothing),
		POOLTEST(allocating_sets_the_size_unless_it_is_to_be_kept),
		POOLTEST(the_size_that_a_pool_has_frees_what_is_allocated_behind_it),
		POOLTEST(a_punched_hole_frees_whole_pages_and_zeroes_the_edges),
		POOLTEST(a_zeroed_range_keeps_its_blocks),
		POOLTEST(sizes_and_modes_out_of_range_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
