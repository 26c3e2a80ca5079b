/* SPDX-License-Identifier: BSD-3-Clause */

/* From the view to the media: in place by lines, or by whole sectors to new blocks. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mediatest.h"
#include "pool/placement.h"
#include "pool/pools.h"
#include "pool/writeback.h"
#include "pooltest.h"

static uint64_t media_offset(const struct pooltest_bench *bench, uint64_t page)
{
	const struct placement place = pool_find_pages(bench->pool, page, 1);

	assert_true(place.placed);
	return place.media_offset;
}

static void a_sync_makes_bytes_size_and_times_durable(void **state)
{
	struct pooltest_bench *bench = *state;

	pooltest_fill(bench, 0, 5000, 3);
	assert_int_equal(bench->pool->durable_size, 0);
	assert_true(pool_is_volatile(bench->pool));
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_false(pool_is_volatile(bench->pool));
	assert_int_equal(bench->pool->durable_size, 5000);
	assert_memory_equal(&bench->pool->durable_mtime, &bench->pool->mtime, sizeof(bench->pool->mtime));
	assert_int_equal(mediatest_byte(bench->region, media_offset(bench, 1) + 903), 3);
}

static void a_sync_of_a_file_without_volatile_state_writes_nothing(void **state)
{
	struct pooltest_bench *bench = *state;
	uint64_t sequence;

	pooltest_fill(bench, 0, 5000, 3);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	sequence = bench->pools->sequences[bench->pool->index];
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_int_equal(bench->pools->sequences[bench->pool->index], sequence);
	/* A write is followed by a commit of the entry. */
	pooltest_fill(bench, 0, 5000, 4);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_true(bench->pools->sequences[bench->pool->index] > sequence);
}

static void an_fsdax_file_is_written_in_place(void **state)
{
	struct pooltest_bench *bench = *state;
	uint64_t offset;

	pooltest_fill(bench, 0, PAGE_BYTES, 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	offset = media_offset(bench, 0);
	pooltest_fill(bench, 0, PAGE_BYTES, 2);
	assert_int_equal(mediatest_byte(bench->region, offset), 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_int_equal(media_offset(bench, 0), offset);
	assert_int_equal(mediatest_byte(bench->region, offset), 2);
}

static void a_sector_file_is_written_to_new_blocks_and_the_old_ones_are_freed(void **state)
{
	struct pooltest_bench *bench = *state;
	uint64_t offset, free_before;

	bench->pool->pool_mode = POOL_MODE_SECTOR_4096;
	pooltest_fill(bench, 0, 2 * PAGE_BYTES, 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	offset = media_offset(bench, 0);
	free_before = bench->pools->space.free;
	pooltest_fill(bench, 0, PAGE_BYTES, 2);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_int_not_equal(media_offset(bench, 0), offset);
	/* The old sector is whole until the commit, and free after it. */
	assert_int_equal(mediatest_byte(bench->region, offset), 1);
	assert_int_equal(mediatest_byte(bench->region, media_offset(bench, 0)), 2);
	assert_int_equal(mediatest_byte(bench->region, media_offset(bench, 1)), 1);
	assert_int_equal(bench->pools->space.free, free_before);
	assert_int_equal(bench->pool->retired.count, 0);
}

static void an_attached_sector_file_is_written_in_place(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pool_attachment attachment;
	uint64_t offset;

	bench->pool->pool_mode = POOL_MODE_SECTOR_4096;
	pooltest_fill(bench, 0, PAGE_BYTES, 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	offset = media_offset(bench, 0);
	assert_int_equal(pool_attach(bench->pool, &attachment), 0);
	pooltest_fill(bench, 0, PAGE_BYTES, 2);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_int_equal(media_offset(bench, 0), offset);
	assert_int_equal(mediatest_byte(bench->region, offset), 2);
}

/* Take all blocks but the promised ones. Each run of them is appended to `taken`. */
static void fill_region(struct space *space, struct extmap *taken)
{
	uint64_t block, got, page = 0;

	while ((got = pool_space_take(space, SPACE_METADATA, 0, 1000, false, &block))) {
		assert_int_equal(pool_extmap_reserve(taken, 1), 0);
		pool_extmap_insert(taken, page, got, block, false);
		page += got;
	}
}

static void a_sync_that_fails_for_lack_of_space_succeeds_once_there_is_some(void **state)
{
	struct pooltest_bench *bench = *state;
	struct extmap taken = { 0 };

	bench->pool->pool_mode = POOL_MODE_SECTOR_4096;
	pooltest_fill(bench, 0, PAGE_BYTES, 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	pooltest_fill(bench, 0, 2 * PAGE_BYTES, 2);
	fill_region(&bench->pools->space, &taken);
	assert_int_equal(pool_sync(bench->handle, false), -ENOSPC);
	assert_int_equal(bench->pool->durable_size, PAGE_BYTES);
	assert_int_equal(mediatest_byte(bench->region, media_offset(bench, 0)), 1);
	assert_true(pool_is_volatile(bench->pool));
	pooltest_expect(bench, 0, 2 * PAGE_BYTES, 2);

	pool_space_release_extents(&bench->pools->space, &taken);
	pool_extmap_free(&taken);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_int_equal(bench->pool->durable_size, 2 * PAGE_BYTES);
	assert_int_equal(mediatest_byte(bench->region, media_offset(bench, 0)), 2);
	assert_false(pool_is_volatile(bench->pool));
}

struct progress {
	unsigned calls;
	uint64_t done, total;
};

static void note_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	struct progress *progress = context;

	assert_string_equal(what, "draining");
	assert_true(done >= progress->done && done <= total);
	progress->calls++;
	progress->done = done;
	progress->total = total;
}

static void a_sync_of_all_pools_reports_progress_up_to_the_total(void **state)
{
	struct pooltest_bench *bench = *state;
	struct progress progress = { 0 };
	struct pools_info info;

	bench->pools->options.progress = note_progress;
	bench->pools->options.progress_context = &progress;
	pooltest_make(bench->pools, "/other", S_IFREG | 0600, 0);
	pooltest_put(bench->pools, "/other", "text", 0, false);
	pooltest_fill(bench, 0, 3 * PAGE_BYTES, 1);
	pools_info(bench->pools, &info);
	assert_int_equal(info.volatile_bytes, 4 * PAGE_BYTES);
	assert_int_equal(pools_sync(bench->pools), 0);
	pools_info(bench->pools, &info);
	assert_int_equal(info.volatile_bytes, 0);
	assert_false(pool_is_volatile(bench->pool));
	assert_int_equal(progress.calls, 2);
	assert_int_equal(progress.done, 4 * PAGE_BYTES);
	assert_int_equal(progress.total, 4 * PAGE_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(a_sync_makes_bytes_size_and_times_durable),
		POOLTEST(a_sync_of_a_file_without_volatile_state_writes_nothing),
		POOLTEST(an_fsdax_file_is_written_in_place),
		POOLTEST(a_sector_file_is_written_to_new_blocks_and_the_old_ones_are_freed),
		POOLTEST(an_attached_sector_file_is_written_in_place),
		POOLTEST(a_sync_that_fails_for_lack_of_space_succeeds_once_there_is_some),
		POOLTEST(a_sync_of_all_pools_reports_progress_up_to_the_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
