/* SPDX-License-Identifier: BSD-3-Clause */

/* What an outage takes back besides names: bytes that a resize cut off, blocks, attributes; and what that may
 * cost. */

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "pooltest.h"

#define SIZE (5u * 4096 + 100)

static struct pooltest_bench *begin(void **state, enum metadata_mode mode)
{
	struct pooltest_bench *bench = *state;
	const struct pools_options options = { .metadata = mode };

	assert_int_equal(pools_close(bench->pools, NULL), 0);
	assert_int_equal(pools_open(bench->region, &options, &bench->pools, NULL), 0);
	return bench;
}

static void open_file(struct pooltest_bench *bench, const char *path)
{
	assert_int_equal(pool_lookup_path(bench->pools, path, &bench->pool), 0);
	assert_int_equal(pool_open(bench->pool, &bench->handle), 0);
}

static void close_file(struct pooltest_bench *bench)
{
	pool_close(bench->handle);
	pool_unref(bench->pool, 1);
	bench->handle = NULL;
	bench->pool = NULL;
}

/* "/file" with SIZE durable bytes of the value 'a'. */
static struct pooltest_bench *begin_with_file(void **state, enum metadata_mode mode)
{
	struct pooltest_bench *bench = begin(state, mode);

	pooltest_make(bench->pools, "/file", S_IFREG | 0640, 0);
	open_file(bench, "/file");
	pooltest_fill(bench, 0, SIZE, 'a');
	assert_int_equal(pools_sync(bench->pools), 0);
	return bench;
}

static void fail_power(struct pooltest_bench *bench, enum chooser_policy policy)
{
	pooltest_fail_power(bench->pools, METADATA_STRICT, &(struct chooser){ .policy = policy });
}

static uint64_t size_of(struct pooltest_bench *bench)
{
	struct pool_attributes attributes;

	assert_int_equal(pool_get_attributes(bench->pool, &attributes), 0);
	return attributes.size;
}

/* The file has its SIZE bytes of 'a', in memory and after loading the region. */
static void expect_old_file(struct pooltest_bench *bench)
{
	close_file(bench);
	open_file(bench, "/file");
	assert_int_equal(size_of(bench), SIZE);
	pooltest_expect(bench, 0, SIZE, 'a');
	pooltest_restart(bench);
	pooltest_assert_sound(bench->region);
	open_file(bench, "/file");
	assert_int_equal(size_of(bench), SIZE);
	pooltest_expect(bench, 0, SIZE, 'a');
}

/* ---- Bytes -------------------------------------------------------------------------- */

static void truncate_to(struct pooltest_bench *bench, uint64_t size)
{
	assert_int_equal(pool_truncate(bench->pool, bench->handle, size), 0);
}

static void test_lost_truncate_brings_bytes_back(void **state)
{
	struct pooltest_bench *bench = begin_with_file(state, METADATA_ORDERED);

	truncate_to(bench, 4096 + 10);
	fail_power(bench, CHOOSER_LOSE);
	expect_old_file(bench);
}

static void test_kept_truncate_stays(void **state)
{
	struct pooltest_bench *bench = begin_with_file(state, METADATA_ORDERED);

	truncate_to(bench, 10);
	fail_power(bench, CHOOSER_KEEP);
	close_file(bench);
	open_file(bench, "/file");
	assert_int_equal(size_of(bench), 10);
	truncate_to(bench, SIZE);
	pooltest_expect(bench, 10, SIZE - 10, 0);
}

static void test_synced_truncate_stays(void **state)
{
	struct pooltest_bench *bench = begin_with_file(state, METADATA_ORDERED);

	truncate_to(bench, 10);
	assert_int_equal(pool_sync(bench->handle, true), 0);
	fail_power(bench, CHOOSER_LOSE);
	close_file(bench);
	open_file(bench, "/file");
	assert_int_equal(size_of(bench), 10);
}

/* What was written over the pages that a truncate freed, and was not synced, goes with it. */
static void test_lost_truncate_after_new_bytes(void **state)
{
	struct pooltest_bench *bench = begin_with_file(state, METADATA_ORDERED);

	truncate_to(bench, 0);
	pooltest_fill(bench, 0, SIZE + 5000, 'b');
	truncate_to(bench, 3000);
	truncate_to(bench, 9000);
	fail_power(bench, CHOOSER_LOSE);
	expect_old_file(bench);
}

static void test_lost_hole_is_filled_again(void **state)
{
	struct pooltest_bench *bench = begin_with_file(state, METADATA_ORDERED);

	assert_int_equal(
		pool_fallocate(bench->handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192), 0);
	pooltest_expect(bench, 4096, 8192, 0);
	fail_power(bench, CHOOSER_LOSE);
	expect_old_file(bench);
}

static void test_lost_zeros_are_bytes_again(void **state)
{
	struct pooltest_bench *bench = begin_with_file(state, METADATA_ORDERED);

	assert_int_equal(pool_fallocate(bench->handle, FALLOC_FL_ZERO_RANGE, 4096, 3 * 4096), 0);
	pooltest_fill(bench, 2 * 4096, 4096, 'c');
	fail_power(bench, CHOOSER_LOSE);
	expect_old_file(bench);
}

static void test_lost_growth_frees_its_blocks(void **state)
{
	struct pooltest_bench *bench = begin_with_file(state, METADATA_ORDERED);
	struct pools_info before, after;

	pools_info(bench->pools, &before);
	assert_int_equal(pool_fallocate(bench->handle, 0, SIZE, 4u << 20), 0);
	fail_power(bench, CHOOSER_LOSE);
	pools_info(bench->pools, &after);
	assert_int_equal(after.free, before.free);
	expect_old_file(bench);
}

/* ---- Attributes --------------------------------------------------------------------- */

static void test_lost_attributes_are_the_old_ones(void **state)
{
	struct pooltest_bench *bench = begin_with_file(state, METADATA_ORDERED);
	const struct pool_attributes new = { .mode = 0600, .uid = 17, .gid = 18 };
	struct pool_attributes now;
	char value[8];

	assert_int_equal(pool_xattr_set(bench->pool, "user.a", "old", 3, 0), 0);
	assert_int_equal(pools_sync(bench->pools), 0);
	assert_int_equal(pool_set_attributes(bench->pool, POOL_SET_MODE | POOL_SET_UID | POOL_SET_GID, &new),
			 0);
	assert_int_equal(pool_xattr_set(bench->pool, "user.a", "newer", 5, 0), 0);
	assert_int_equal(pool_xattr_set(bench->pool, "user.b", "b", 1, 0), 0);
	fail_power(bench, CHOOSER_LOSE);
	for (int restarted = 0; restarted < 2; restarted++) {
		assert_int_equal(pool_get_attributes(bench->pool, &now), 0);
		assert_int_equal(now.mode, S_IFREG | 0640);
		assert_int_equal(now.uid, 7);
		assert_int_equal(now.gid, 8);
		assert_int_equal(pool_xattr_get(bench->pool, "user.a", value, sizeof(value)), 3);
		assert_memory_equal(value, "old", 3);
		assert_int_equal(pool_xattr_get(bench->pool, "user.b", value, sizeof(value)), -ENODATA);
		if (restarted)
			break;
		pooltest_restart(bench);
		pooltest_assert_sound(bench->region);
		open_file(bench, "/file");
	}
}

/* ---- Space -------------------------------------------------------------------------- */

static struct pool *root_of(struct pooltest_bench *bench)
{
	struct pool *root = pool_root(bench->pools);

	pool_unref(root, 1);
	return root;
}

/* Each round takes more than half of the region: what the one before had must be free by then. */
static void test_full_region_commits_before_it_refuses(void **state)
{
	struct pooltest_bench *bench = begin(state, METADATA_STRICT);

	for (int round = 0; round < 4; round++) {
		pooltest_make(bench->pools, "/big", S_IFREG | 0640, 9u << 20);
		assert_int_equal(pool_unlink(root_of(bench), "big"), 0);
	}
	for (int round = 0; round < 4; round++) {
		pooltest_make(bench->pools, "/file", S_IFREG | 0640, 0);
		open_file(bench, "/file");
		for (unsigned i = 0; i < 9; i++)
			pooltest_fill(bench, (uint64_t)i << 20, 1u << 20, 'x');
		assert_int_equal(pool_sync(bench->handle, false), 0);
		close_file(bench);
		assert_int_equal(pool_unlink(root_of(bench), "file"), 0);
	}
}

/* A client stores to holes of a pool that it maps. */
static void test_msync_of_holes_commits_before_it_refuses(void **state)
{
	struct pooltest_bench *bench = begin(state, METADATA_STRICT);
	struct pool_attachment attachment;
	unsigned char *memory;

	pooltest_make(bench->pools, "/big", S_IFREG | 0640, 9u << 20);
	assert_int_equal(pool_unlink(root_of(bench), "big"), 0);
	pooltest_make(bench->pools, "/file", S_IFREG | 0640, 0);
	open_file(bench, "/file");
	truncate_to(bench, 9u << 20);
	assert_int_equal(pool_attach(bench->pool, &attachment), 0);
	memory = mmap(NULL, 9u << 20, PROT_READ | PROT_WRITE, MAP_SHARED, attachment.fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	memset(memory, 'm', 9u << 20);
	assert_int_equal(pool_sync_range(bench->pool, 0, 9u << 20), 0);
	munmap(memory, 9u << 20);
}

static void test_removed_files_count_as_free(void **state)
{
	struct pooltest_bench *bench = begin(state, METADATA_ORDERED);
	struct pools_info before, after;

	pools_info(bench->pools, &before);
	pooltest_make(bench->pools, "/big", S_IFREG | 0640, 1u << 20);
	assert_int_equal(pool_unlink(root_of(bench), "big"), 0);
	pools_info(bench->pools, &after);
	assert_int_equal(after.free, before.free);
	assert_int_equal(after.pools, before.pools);
	pools_commit(bench->pools);
	pools_info(bench->pools, &after);
	assert_int_equal(after.free, before.free);
	assert_int_equal(after.pools, before.pools);
}

/* Programs close a file after its name was removed, too: its blocks are free from then on. */
static void test_files_closed_after_their_removal_count_as_free(void **state)
{
	struct pooltest_bench *bench = begin(state, METADATA_ORDERED);
	struct pools_info before, after;
	struct pool_handle *again;

	pools_info(bench->pools, &before);
	pooltest_make(bench->pools, "/big", S_IFREG | 0640, 1u << 20);
	open_file(bench, "/big");
	assert_int_equal(pool_unlink(root_of(bench), "big"), 0);
	pools_info(bench->pools, &after);
	assert_true(after.free < before.free);
	pool_close(bench->handle);
	pools_info(bench->pools, &after);
	assert_int_equal(after.free, before.free);

	/* A path descriptor opens it once more. */
	assert_int_equal(pool_open(bench->pool, &again), 0);
	pools_info(bench->pools, &after);
	assert_true(after.free < before.free);
	bench->handle = again;
	close_file(bench);
	pools_info(bench->pools, &after);
	assert_int_equal(after.free, before.free);

	fail_power(bench, CHOOSER_LOSE);
	pooltest_make(bench->pools, "/big", S_IFREG | 0640, 1u << 20);
	pools_commit(bench->pools);
	assert_int_equal(pool_unlink(root_of(bench), "big"), 0);
	fail_power(bench, CHOOSER_LOSE);
	pools_info(bench->pools, &after);
	assert_true(after.free < before.free);
	assert_int_equal(pool_unlink(root_of(bench), "big"), 0);
	pools_commit(bench->pools);
	pools_info(bench->pools, &after);
	assert_int_equal(after.free, before.free);
}

/* Their pages have no blocks, which are only promised to them. */
static void test_removed_files_that_were_never_synced_count_as_free(void **state)
{
	struct pooltest_bench *bench = begin(state, METADATA_ORDERED);
	struct pools_info before, after;

	pools_info(bench->pools, &before);
	for (int open = 0; open < 2; open++) {
		pooltest_make(bench->pools, "/big", S_IFREG | 0640, 0);
		open_file(bench, "/big");
		pooltest_fill(bench, 0, 1u << 20, 'b');
		if (!open)
			close_file(bench);
		assert_int_equal(pool_unlink(root_of(bench), "big"), 0);
		pools_info(bench->pools, &after);
		assert_int_equal(after.free, open ? before.free - (1u << 20) : before.free);
		if (open)
			close_file(bench);
		pools_info(bench->pools, &after);
		assert_int_equal(after.free, before.free);
	}
	fail_power(bench, CHOOSER_LOSE);
	pools_commit(bench->pools);
	pools_info(bench->pools, &after);
	assert_int_equal(after.free, before.free);
}

/* A map of many pieces and attributes have blocks of their own. */
static void test_removed_files_of_many_pieces_with_attributes_count_as_free(void **state)
{
	struct pooltest_bench *bench = begin(state, METADATA_ORDERED);
	struct pools_info before, with_file, after;

	pools_info(bench->pools, &before);
	pooltest_make(bench->pools, "/pieces", S_IFREG | 0640, 0);
	open_file(bench, "/pieces");
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(pool_fallocate(bench->handle, 0, 2 * i * 4096, 4096), 0);
	assert_int_equal(pool_xattr_set(bench->pool, "user.a", "b", 1, 0), 0);
	assert_int_equal(pools_sync(bench->pools), 0);
	close_file(bench);
	pools_info(bench->pools, &with_file);
	/* The map and the attributes have two blocks each, at least. */
	assert_true(with_file.free <= before.free - 104 * 4096);
	assert_int_equal(pool_unlink(root_of(bench), "pieces"), 0);
	pools_info(bench->pools, &after);
	assert_int_equal(after.free, before.free);
	pools_commit(bench->pools);
	pools_info(bench->pools, &after);
	assert_int_equal(after.free, before.free);
}

/* Names that come back need entries; new files must not take them. */
static void test_names_come_back_in_a_full_table(void **state)
{
	struct pooltest_bench *bench = begin(state, METADATA_ORDERED);
	char path[32];

	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "/old%d", i);
		pooltest_make(bench->pools, path, S_IFREG | 0640, 0);
	}
	pools_commit(bench->pools);
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "old%d", i);
		assert_int_equal(pool_unlink(root_of(bench), path), 0);
		snprintf(path, sizeof(path), "/new%d", i);
		pooltest_make(bench->pools, path, S_IFREG | 0640, 0);
	}
	fail_power(bench, CHOOSER_LOSE);
	for (int i = 0; i < 300; i++) {
		struct pool *pool;

		snprintf(path, sizeof(path), "/old%d", i);
		assert_int_equal(pool_lookup_path(bench->pools, path, &pool), 0);
		pool_unref(pool, 1);
		snprintf(path, sizeof(path), "/new%d", i);
		assert_int_equal(pool_lookup_path(bench->pools, path, &pool), -ENOENT);
	}
	pooltest_restart(bench);
	pooltest_assert_sound(bench->region);
}

static void test_long_list_commits_its_oldest(void **state)
{
	struct pooltest_bench *bench = begin_with_file(state, METADATA_STRICT);
	struct pool_attributes now, new = { .uid = 0 };

	/* More than the list keeps. */
	for (new.uid = 1; new.uid <= 140000; new.uid++)
		assert_int_equal(pool_set_attributes(bench->pool, POOL_SET_UID, &new), 0);
	fail_power(bench, CHOOSER_LOSE);
	assert_int_equal(pool_get_attributes(bench->pool, &now), 0);
	assert_in_range(now.uid, 140000 - 114688, 139999);
}

/* ---- A daemon that is killed ------------------------------------------------------- */

static void test_killed_daemon_keeps_everything(void **state)
{
	struct pooltest_bench *bench = begin_with_file(state, METADATA_STRICT);
	struct pool *pool;

	pooltest_make(bench->pools, "/new", S_IFREG | 0640, 0);
	truncate_to(bench, 10);
	assert_int_equal(pool_rename(root_of(bench), "file", root_of(bench), "new", 0), 0);
	pooltest_restart(bench);
	open_file(bench, "/new");
	assert_int_equal(size_of(bench), 10);
	assert_int_equal(pool_lookup_path(bench->pools, "/file", &pool), -ENOENT);
	pooltest_restart(bench);
	pooltest_assert_sound(bench->region);
}

/* ---- Attached pools ------------------------------------------------------------------ */

/* As a page fault through a mapping with MAP_SYNC, to attach a pool commits its creation and size. */
static void test_attached_pool_is_committed(void **state)
{
	struct pooltest_bench *bench = begin(state, METADATA_ORDERED);
	struct pool_attachment attachment;

	pooltest_make(bench->pools, "/file", S_IFREG | 0640, 0);
	open_file(bench, "/file");
	truncate_to(bench, 8192);
	assert_int_equal(pool_attach(bench->pool, &attachment), 0);
	truncate_to(bench, 3 * 4096);
	fail_power(bench, CHOOSER_LOSE);
	close_file(bench);
	open_file(bench, "/file");
	assert_int_equal(size_of(bench), 3 * 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST_EMPTY(test_lost_truncate_brings_bytes_back),
		POOLTEST_EMPTY(test_kept_truncate_stays),
		POOLTEST_EMPTY(test_synced_truncate_stays),
		POOLTEST_EMPTY(test_lost_truncate_after_new_bytes),
		POOLTEST_EMPTY(test_lost_hole_is_filled_again),
		POOLTEST_EMPTY(test_lost_zeros_are_bytes_again),
		POOLTEST_EMPTY(test_lost_growth_frees_its_blocks),
		POOLTEST_EMPTY(test_lost_attributes_are_the_old_ones),
		POOLTEST_EMPTY(test_full_region_commits_before_it_refuses),
		POOLTEST_EMPTY(test_msync_of_holes_commits_before_it_refuses),
		POOLTEST_EMPTY(test_removed_files_count_as_free),
		POOLTEST_EMPTY(test_files_closed_after_their_removal_count_as_free),
		POOLTEST_EMPTY(test_removed_files_that_were_never_synced_count_as_free),
		POOLTEST_EMPTY(test_removed_files_of_many_pieces_with_attributes_count_as_free),
		POOLTEST_EMPTY(test_names_come_back_in_a_full_table),
		POOLTEST_EMPTY(test_long_list_commits_its_oldest),
		POOLTEST_EMPTY(test_killed_daemon_keeps_everything),
		POOLTEST_EMPTY(test_attached_pool_is_committed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
