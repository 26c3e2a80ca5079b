/* SPDX-License-Identifier: BSD-3-Clause */

/* The memory of free blocks, and chunks of the table that are not needed any more, are given back. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/align.h"
#include "mediatest.h"
#include "pool/load.h"
#include "pool/pools.h"
#include "pool/table.h"
#include "pooltest.h"

#define MIB (1u << 20)
#define LENGTH (8u * MIB)
/* After so many calls every block that was freed before them has been given back. */
#define CALLS (POOLS_TRIM_REST + 2)

static void trim(struct pooltest_bench *bench, unsigned calls)
{
	for (unsigned i = 0; i < calls; i++)
		pools_trim(bench->pools);
}

/* Of all memory files with this name that this process has open. */
static uint64_t memory_of(const char *name)
{
	uint64_t bytes = 0;

	for (int fd = 3; fd < 100; fd++) {
		char path[32], target[64] = "";
		struct stat st;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) < 0 || !strstr(target, name))
			continue;
		assert_int_equal(fstat(fd, &st), 0);
		bytes += (uint64_t)st.st_blocks * 512;
	}
	return bytes;
}

/* Of the only region that is open in this process. */
static uint64_t memory_of_region(void)
{
	return memory_of("memfd:softpmem-region");
}

static uint64_t memory_of_views(void)
{
	return memory_of("memfd:softpmem-view");
}

static void remove_path(struct pools *pools, const char *path)
{
	const char *name;
	struct pool *parent = pooltest_parent(pools, path, &name);

	assert_int_equal(pool_unlink(parent, name), 0);
	pool_unref(parent, 1);
}

static void remove_file(struct pooltest_bench *bench)
{
	pool_close(bench->handle);
	bench->handle = NULL;
	remove_path(bench->pools, "/file");
}

static void the_memory_of_a_removed_file_is_given_back(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t before = memory_of_region();

	pooltest_make(bench->pools, "/stays", S_IFREG | 0600, 0);
	pooltest_put(bench->pools, "/stays", "bytes that stay", 0, true);
	pooltest_fill(bench, 0, LENGTH, 0x55);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_true(memory_of_region() >= before + LENGTH);
	/* Negative control: a file that exists keeps its memory. */
	trim(bench, CALLS);
	assert_true(memory_of_region() >= before + LENGTH);
	pooltest_expect(bench, 0, LENGTH, 0x55);

	remove_file(bench);
	assert_true(memory_of_region() >= before + LENGTH);
	trim(bench, CALLS);
	assert_in_range(memory_of_region(), 0, before + 64 * 1024);
	pooltest_assert_sound(bench->region);
}

static void what_a_truncate_a_punch_and_a_sector_write_free_is_given_back(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t before = memory_of_region();
	const struct pool_attributes sectors = { .pool_mode = POOL_MODE_SECTOR_4096 };

	pooltest_fill(bench, 0, LENGTH, 0x55);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_int_equal(pool_fallocate(bench->handle, 0x01 | 0x02, 0, LENGTH / 4), 0);
	assert_int_equal(pool_truncate(bench->pool, NULL, LENGTH / 2), 0);
	trim(bench, CALLS);
	assert_in_range(memory_of_region(), before + LENGTH / 4, before + LENGTH / 4 + 64 * 1024);
	pooltest_expect(bench, LENGTH / 4, LENGTH / 4, 0x55);

	assert_int_equal(pool_set_attributes(bench->pool, POOL_SET_POOL_MODE, &sectors), 0);
	pooltest_fill(bench, LENGTH / 4, LENGTH / 4, 0x66);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_true(memory_of_region() >= before + LENGTH / 2);
	trim(bench, CALLS);
	assert_in_range(memory_of_region(), before + LENGTH / 4, before + LENGTH / 4 + 64 * 1024);
	pooltest_restart(bench);
	bench->handle = pooltest_handle(bench->pools, "/file");
	pooltest_expect(bench, LENGTH / 4, LENGTH / 4, 0x66);
}

/* ---- Removals that are not durable yet -------------------------------------------- */

/* Operations on names may be lost from here on. */
static void begin_ordered(struct pooltest_bench *bench)
{
	const struct pools_options options = { .metadata = METADATA_ORDERED };

	if (bench->handle)
		pool_close(bench->handle);
	if (bench->pool)
		pool_unref(bench->pool, 1);
	bench->handle = NULL;
	bench->pool = NULL;
	assert_int_equal(pools_close(bench->pools, NULL), 0);
	assert_int_equal(pools_open(bench->region, &options, &bench->pools, NULL), 0);
}

static void fill_file(struct pooltest_bench *bench, size_t length, bool sync)
{
	bench->handle = pooltest_handle(bench->pools, "/file");
	pooltest_fill(bench, 0, length, 0x55);
	if (sync)
		assert_int_equal(pool_sync(bench->handle, false), 0);
}

static void a_removed_file_has_its_bytes_once_until_the_removal_is_durable(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t before = memory_of_region();

	begin_ordered(bench);
	fill_file(bench, 2 * MIB, true);
	assert_true(memory_of_views() >= 2 * MIB);
	remove_file(bench);
	assert_int_equal(memory_of_views(), 0);
	/* An outage may bring the name back. */
	trim(bench, CALLS);
	assert_true(memory_of_region() >= before + 2 * MIB);
	pooltest_fail_power(bench->pools, METADATA_ORDERED, &(struct chooser){ .policy = CHOOSER_LOSE });
	bench->handle = pooltest_handle(bench->pools, "/file");
	pooltest_expect(bench, 0, 2 * MIB, 0x55);

	remove_file(bench);
	assert_int_equal(pools_sync(bench->pools), 0);
	trim(bench, CALLS);
	assert_in_range(memory_of_region(), 0, before + 64 * 1024);
	pooltest_assert_sound(bench->region);
}

/* The region has 16 MiB. */
static void more_than_a_quarter_of_the_region_in_removed_files_is_given_back_without_a_sync(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t before = memory_of_region();

	begin_ordered(bench);
	fill_file(bench, LENGTH, true);
	remove_file(bench);
	trim(bench, CALLS);
	assert_in_range(memory_of_region(), 0, before + 64 * 1024);
}

static void bytes_that_are_nowhere_else_stay_in_the_view_of_a_removed_file(void **state)
{
	struct pooltest_bench *bench = *state;

	begin_ordered(bench);
	assert_int_equal(pools_sync(bench->pools), 0);
	fill_file(bench, 2 * MIB, false);
	remove_file(bench);
	assert_true(memory_of_views() >= 2 * MIB);
	assert_int_equal(pools_sync(bench->pools), 0);
	trim(bench, 1);
	assert_int_equal(memory_of_views(), 0);
}

/* ---- The observer ---------------------------------------------------------------- */

struct watch {
	struct pooltest_bench *bench;
	uint64_t discarded; /* bytes */
};

/* Load the media as they are, as after a crash at this moment: no file may have the blocks. */
static void assert_unused_on_media(void *context, uint64_t offset, uint64_t length)
{
	struct watch *watch = context;
	struct pools_check_result result = { 0 };
	const struct load_report report = { .result = &result };
	struct pools *loaded = NULL;

	assert_int_equal(pool_load_all(watch->bench->region, &report, &loaded, NULL), 0);
	assert_true(pool_space_claim(&loaded->space, offset / BLOCK_BYTES, length / BLOCK_BYTES));
	pools_free(loaded);
	watch->discarded += length;
}

static void what_is_given_back_is_not_referred_to_on_the_media(void **state)
{
	struct pooltest_bench *bench = *state;
	struct watch watch = { .bench = bench };
	const struct media_observer observer = { .zeroed = assert_unused_on_media, .context = &watch };

	pooltest_make(bench->pools, "/stays", S_IFREG | 0600, 0);
	pooltest_put(bench->pools, "/stays", "bytes that stay", 0, true);
	pooltest_fill(bench, 0, LENGTH, 0x55);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	media_observe(bench->region, &observer);
	/* Unlinked and open: the entry on the media has the blocks. */
	remove_path(bench->pools, "/file");
	trim(bench, CALLS);
	assert_int_equal(watch.discarded, 0);
	pool_close(bench->handle);
	bench->handle = NULL;
	trim(bench, CALLS);
	media_observe(bench->region, NULL);
	assert_in_range(watch.discarded, LENGTH, LENGTH + 64 * 1024);
}

static void count_discarded(void *context, uint64_t offset, uint64_t length)
{
	struct watch *watch = context;

	(void)offset;
	watch->discarded += length;
}

static void blocks_that_are_used_again_soon_keep_their_memory(void **state)
{
	struct pooltest_bench *bench = *state;
	struct watch watch = { .bench = bench };
	const struct media_observer observer = { .zeroed = count_discarded, .context = &watch };

	media_observe(bench->region, &observer);
	for (unsigned round = 0; round < 3 * POOLS_TRIM_REST; round++) {
		pooltest_fill(bench, 0, MIB, 0x55);
		assert_int_equal(pool_sync(bench->handle, false), 0);
		assert_int_equal(pool_truncate(bench->pool, NULL, 0), 0);
		trim(bench, 1);
	}
	assert_int_equal(watch.discarded, 0);
	/* Negative control: left alone, they are given back. */
	trim(bench, CALLS);
	media_observe(bench->region, NULL);
	assert_true(watch.discarded >= MIB);
}

/* ---- The table ------------------------------------------------------------------- */

#define FILES 400

/* All but the last `fewer`. */
static void make_files(struct pools *pools, unsigned fewer)
{
	for (unsigned i = 0; i < FILES - fewer; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/many%u", i);
		pooltest_make(pools, path, S_IFREG | 0600, 0);
	}
}

static void remove_files(struct pools *pools, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/many%u", i);
		remove_path(pools, path);
	}
}

static void the_table_shrinks_when_its_files_are_removed(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t free_before = pool_space_free_for_data(&bench->pools->space);

	pooltest_make(bench->pools, "/stays", S_IFREG | 0600, 0);
	pooltest_put(bench->pools, "/stays", "bytes that stay", 0, true);
	make_files(bench->pools, 0);
	assert_true(bench->pools->superblock.table_chunks > 2);
	/* Negative control: a table in use stays. */
	trim(bench, CALLS);
	assert_true(bench->pools->superblock.table_chunks > 2);
	remove_files(bench->pools, FILES);
	trim(bench, CALLS);
	assert_int_equal(bench->pools->superblock.table_chunks, 1);
	assert_int_equal(pool_space_free_for_data(&bench->pools->space), free_before - 1);
	pooltest_assert_sound(bench->region);
	pooltest_restart(bench);
	assert_int_equal(bench->pools->superblock.table_chunks, 1);
	make_files(bench->pools, 0);
	pooltest_assert_sound(bench->region);
	remove_files(bench->pools, FILES);
}

static void the_table_shrinks_when_removals_are_durable(void **state)
{
	struct pooltest_bench *bench = *state;

	begin_ordered(bench);
	make_files(bench->pools, 0);
	remove_files(bench->pools, FILES);
	/* Negative control: an outage may bring the names back. */
	trim(bench, CALLS);
	assert_true(bench->pools->superblock.table_chunks > 2);
	assert_int_equal(pools_sync(bench->pools), 0);
	trim(bench, CALLS);
	assert_int_equal(bench->pools->superblock.table_chunks, 1);
}

static void a_file_that_is_created_later_keeps_no_chunk(void **state)
{
	struct pooltest_bench *bench = *state;

	make_files(bench->pools, 0);
	/* From both ends, so that neither the first nor the last free entry is the lowest. */
	for (unsigned i = 0; i < FILES / 2; i++) {
		char low[32], high[32];

		snprintf(low, sizeof(low), "/many%u", i);
		snprintf(high, sizeof(high), "/many%u", FILES - 1 - i);
		remove_path(bench->pools, i % 2 ? low : high);
		remove_path(bench->pools, i % 2 ? high : low);
	}
	pooltest_make(bench->pools, "/later", S_IFREG | 0600, 0);
	trim(bench, CALLS);
	assert_int_equal(bench->pools->superblock.table_chunks, 1);
	make_files(bench->pools, 0);
	pooltest_assert_sound(bench->region);
	pooltest_restart(bench);
	remove_files(bench->pools, FILES);
}

static int reserve(struct pools *pools, const char *path, uint64_t bytes)
{
	struct pool_handle *handle = pooltest_handle(pools, path);
	int error = pool_fallocate(handle, 0, 0, bytes);

	pool_close(handle);
	return error;
}

/* At once: trim() is not called. */
static void assert_taken_from_the_table(struct pooltest_bench *bench)
{
	uint64_t bytes;

	pooltest_make(bench->pools, "/large", S_IFREG | 0600, 0);
	/* A few blocks are for its map. */
	bytes = (pool_space_free_for_data(&bench->pools->space) - 4) * BLOCK_BYTES;
	make_files(bench->pools, 0);
	/* Negative control: a table in use stays. */
	assert_int_equal(reserve(bench->pools, "/large", bytes), -ENOSPC);
	remove_files(bench->pools, FILES);
	assert_int_equal(reserve(bench->pools, "/large", bytes), 0);
	assert_int_equal(bench->pools->superblock.table_chunks, 1);
	pooltest_assert_sound(bench->region);
}

static void a_file_gets_the_space_that_the_table_does_not_need(void **state)
{
	assert_taken_from_the_table(*state);
}

static void a_file_gets_the_space_of_removals_that_were_not_durable(void **state)
{
	begin_ordered(*state);
	assert_taken_from_the_table(*state);
}

/*
 * A name replaces one whose entry is in the last chunk of the table, and keeps that entry as its peer. Then
 * the table shrinks, and the region is opened again.
 */
static void leave_an_old_rename(struct pooltest_bench *bench)
{
	struct pool *root;

	pooltest_make(bench->pools, "/low", S_IFREG | 0600, 0);
	make_files(bench->pools, 0);
	assert_int_equal(pool_lookup_path(bench->pools, "/", &root), 0);
	assert_int_equal(pool_rename(root, "low", root, "many399", 0), 0);
	pool_unref(root, 1);
	remove_files(bench->pools, FILES - 1);
	trim(bench, CALLS);
	assert_int_equal(bench->pools->superblock.table_chunks, 1);
	pooltest_restart(bench);
}

static bool a_restart_keeps_the_tree(struct pooltest_bench *bench)
{
	char *before = pooltest_fingerprint(bench->pools), *after;
	bool equal;

	pooltest_restart(bench);
	after = pooltest_fingerprint(bench->pools);
	equal = strcmp(before, after) == 0;
	free(before);
	free(after);
	return equal;
}

static void entries_of_a_new_chunk_are_not_the_peers_of_old_renames(void **state)
{
	struct pooltest_bench *bench = *state;

	leave_an_old_rename(bench);
	make_files(bench->pools, 1);
	pooltest_make(bench->pools, "/extra", S_IFREG | 0600, 0);
	assert_true(a_restart_keeps_the_tree(bench));
}

static void entries_of_a_new_chunk_would_be_peers_if_their_sequence_began_with_1(void **state)
{
	struct pooltest_bench *bench = *state;

	leave_an_old_rename(bench);
	assert_true(bench->pools->new_sequence > 1);
	bench->pools->new_sequence = 1;
	make_files(bench->pools, 1);
	pooltest_make(bench->pools, "/extra", S_IFREG | 0600, 0);
	assert_false(a_restart_keeps_the_tree(bench));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(the_memory_of_a_removed_file_is_given_back),
		POOLTEST(what_a_truncate_a_punch_and_a_sector_write_free_is_given_back),
		POOLTEST(a_removed_file_has_its_bytes_once_until_the_removal_is_durable),
		POOLTEST(more_than_a_quarter_of_the_region_in_removed_files_is_given_back_without_a_sync),
		POOLTEST(bytes_that_are_nowhere_else_stay_in_the_view_of_a_removed_file),
		POOLTEST(what_is_given_back_is_not_referred_to_on_the_media),
		POOLTEST(blocks_that_are_used_again_soon_keep_their_memory),
		POOLTEST_EMPTY(the_table_shrinks_when_its_files_are_removed),
		POOLTEST_EMPTY(the_table_shrinks_when_removals_are_durable),
		POOLTEST_EMPTY(a_file_that_is_created_later_keeps_no_chunk),
		POOLTEST_EMPTY(a_file_gets_the_space_that_the_table_does_not_need),
		POOLTEST_EMPTY(a_file_gets_the_space_of_removals_that_were_not_durable),
		POOLTEST_EMPTY(entries_of_a_new_chunk_are_not_the_peers_of_old_renames),
		POOLTEST_EMPTY(entries_of_a_new_chunk_would_be_peers_if_their_sequence_began_with_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
