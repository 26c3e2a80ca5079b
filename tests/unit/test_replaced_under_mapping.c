/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A pool that is removed, replaced, given another mode or taken back to a snapshot while copies of its lines
 * wait in a WPQ: they reach no other pool, and what was fenced is not lost with a change of the mode.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "mappedtest.h"
#include "pooltest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Removing ---------------------------------------------------------------------- */

static struct pool *root_of(struct mapped *scene)
{
	struct pool *root;

	assert_int_equal(pool_lookup_path(scene->pools, "/", &root), 0);
	return root;
}

static void unlink_it(struct mapped *scene)
{
	struct pool *root = root_of(scene);

	assert_int_equal(pool_unlink(root, "pool"), 0);
	pool_unref(root, 1);
}

static void rename_over_it(struct mapped *scene)
{
	struct pool *root = root_of(scene);

	pooltest_make(scene->pools, "/new", S_IFREG | 0644, 0);
	assert_int_equal(pool_rename(root, "new", root, "pool", 0), 0);
	pool_unref(root, 1);
}

static void exchange_and_unlink_it(struct mapped *scene)
{
	struct pool *root = root_of(scene);

	pooltest_make(scene->pools, "/new", S_IFREG | 0644, 0);
	assert_int_equal(pool_rename(root, "new", root, "pool", RENAME_EXCHANGE), 0);
	assert_int_equal(pool_unlink(root, "new"), 0);
	pool_unref(root, 1);
}

static const struct removal {
	const char *name;
	void (*remove)(struct mapped *scene);
} removals[] = {
	{ "unlink", unlink_it },
	{ "rename over it", rename_over_it },
	{ "exchange and unlink", exchange_and_unlink_it },
};

/* A new pool has all blocks that are free now, and bytes of 'n' in them. Returns its size. */
static uint64_t fill_other(struct mapped *scene, const char *path)
{
	static unsigned char bytes[256 * PAGE_BYTES];
	struct pool_handle *other;
	uint64_t size = 0;

	memset(bytes, 'n', sizeof(bytes));
	pooltest_make(scene->pools, path, S_IFREG | 0644, 0);
	other = pooltest_handle(scene->pools, path);
	for (size_t length = sizeof(bytes); length; length /= 4)
		while (pool_write(other, bytes, length, size, POOL_WRITE_FILE) == (ssize_t)length)
			size += length;
	assert_int_equal(pool_sync(other, false), 0);
	pool_close(other);
	return size;
}

static void expect_other(struct mapped *scene, const char *path, uint64_t size)
{
	static unsigned char bytes[256 * PAGE_BYTES], expected[256 * PAGE_BYTES];
	struct pool_handle *other = pooltest_handle(scene->pools, path);

	memset(expected, 'n', sizeof(expected));
	for (uint64_t at = 0; at < size;) {
		const ssize_t got = pool_read(other, bytes, sizeof(bytes), at);

		assert_true(got > 0);
		assert_memory_equal(bytes, expected, (size_t)got);
		at += (uint64_t)got;
	}
	pool_close(other);
}

/* The blocks of the removed pool belong to another one when its records are drained, or the power fails. */
static void remove_and_fill(const struct mapped_wait *wait, const struct removal *removal,
			    enum metadata_mode metadata, const enum chooser_policy *policy)
{
	const struct pools_options options = { .metadata = metadata };
	struct mapped scene;
	struct pool *removed;
	uint64_t size;

	mapped_begin_with(&scene, &options);
	memset(scene.memory, 'a', MAPPED_BYTES);
	wait->before(&scene);
	removal->remove(&scene);
	/* The kernel, too, may still have its inode. */
	removed = pool_of(scene.handle);
	pool_ref(removed, 1);
	mapped_close(&scene);
	size = fill_other(&scene, "/other");
	wait->after(&scene);
	if (policy)
		mapped_outage(&scene, *policy, 1);
	else
		assert_int_equal(pools_drain(scene.pools), 0);
	expect_other(&scene, "/other", size);
	pool_unref(removed, 1);
	mapped_end(&scene);
}

static void copies_that_wait_for_a_removed_pool_reach_no_other(void **state)
{
	static const enum chooser_policy policies[] = { CHOOSER_LOSE, CHOOSER_KEEP, CHOOSER_RANDOM };
	static const enum metadata_mode modes[] = { METADATA_DURABLE, METADATA_ORDERED };

	for (size_t w = 0; w < MAPPED_WAITS; w++)
		for (size_t r = 0; r < COUNT(removals); r++)
			for (size_t m = 0; m < COUNT(modes); m++) {
				print_message("# %s, %s, %s\n", mapped_waits[w].name, removals[r].name,
					      metadata_mode_name(modes[m]));
				remove_and_fill(&mapped_waits[w], &removals[r], modes[m], NULL);
				for (size_t p = 0; p < COUNT(policies); p++)
					remove_and_fill(&mapped_waits[w], &removals[r], modes[m],
							&policies[p]);
			}
}

static void a_removed_pool_that_is_still_mapped_has_what_was_stored(void **state)
{
	for (size_t w = 0; w < MAPPED_WAITS; w++) {
		struct mapped scene;
		unsigned char byte = 0;

		mapped_begin(&scene);
		memset(scene.memory + MAPPED_WAITS_AT, 'a', PAGE_BYTES);
		mapped_waits[w].before(&scene);
		unlink_it(&scene);
		mapped_waits[w].after(&scene);
		assert_int_equal(pools_drain(scene.pools), 0);
		assert_int_equal(pool_read(scene.handle, &byte, 1, MAPPED_WAITS_AT + 5), 1);
		assert_int_equal(byte, 'a');
		assert_int_equal(scene.memory[MAPPED_WAITS_AT + 5], 'a');
		mapped_end(&scene);
	}
}

/* ---- Changing the mode ----------------------------------------------------------------- */

static void set_mode(struct mapped *scene, enum pool_mode mode)
{
	const struct pool_attributes attributes = { .pool_mode = mode };

	assert_int_equal(pool_set_attributes(pool_of(scene->handle), POOL_SET_POOL_MODE, &attributes), 0);
}

static void to_sectors(struct mapped *scene)
{
	set_mode(scene, POOL_MODE_SECTOR_4096);
}

static void to_small_sectors(struct mapped *scene)
{
	set_mode(scene, POOL_MODE_SECTOR_512);
}

static void to_sectors_and_back(struct mapped *scene)
{
	set_mode(scene, POOL_MODE_SECTOR_4096);
	set_mode(scene, POOL_MODE_FSDAX);
}

/* The sectors get other blocks. */
static void to_sectors_with_a_write(struct mapped *scene)
{
	set_mode(scene, POOL_MODE_SECTOR_4096);
	assert_int_equal(pool_write(scene->handle, "a", 1, MAPPED_WAITS_AT + 700, POOL_WRITE_FILE), 1);
}

static void to_sectors_with_a_sync(struct mapped *scene)
{
	to_sectors_with_a_write(scene);
	assert_int_equal(pool_sync(scene->handle, false), 0);
}

static const struct mode_change {
	const char *name;
	void (*make)(struct mapped *scene);
} mode_changes[] = {
	{ "to sectors of 4096", to_sectors },
	{ "to sectors of 512", to_small_sectors },
	{ "to sectors and back", to_sectors_and_back },
	{ "to sectors, and a write", to_sectors_with_a_write },
	{ "to sectors, and a write and a sync", to_sectors_with_a_sync },
};

static void change_mode(const struct mapped_wait *wait, const struct mode_change *change, bool drain)
{
	struct mapped scene;

	mapped_begin(&scene);
	memset(scene.memory + MAPPED_WAITS_AT, 'a', PAGE_BYTES);
	wait->before(&scene);
	change->make(&scene);
	wait->after(&scene);
	if (drain)
		assert_int_equal(pools_drain(scene.pools), 0);
	/* Without its fence it guarantees nothing. */
	if (wait->fenced) {
		mapped_outage(&scene, CHOOSER_LOSE, 0);
		for (uint64_t at = 0; at < PAGE_BYTES; at += LINE_SIZE)
			assert_int_equal(mapped_byte_at(&scene, MAPPED_WAITS_AT + at), 'a');
	}
	mapped_end(&scene);
}

static void what_was_fenced_survives_a_change_of_the_mode(void **state)
{
	for (size_t w = 0; w < MAPPED_WAITS; w++)
		for (size_t c = 0; c < COUNT(mode_changes); c++) {
			print_message("# %s, %s\n", mapped_waits[w].name, mode_changes[c].name);
			change_mode(&mapped_waits[w], &mode_changes[c], false);
			change_mode(&mapped_waits[w], &mode_changes[c], true);
		}
}

/* ---- Snapshots ------------------------------------------------------------------------- */

static void restore(const struct mapped_wait *wait)
{
	struct region_snapshot *snapshot;
	struct mapped scene;

	mapped_begin(&scene);
	memset(scene.memory + MAPPED_WAITS_AT, 'o', PAGE_BYTES);
	assert_int_equal(pools_snapshot(scene.pools, &snapshot), 0);
	memset(scene.memory + MAPPED_WAITS_AT, 'a', PAGE_BYTES);
	wait->before(&scene);
	wait->after(&scene);
	pools_stop(scene.pools);
	assert_int_equal(pools_restore(scene.pools, snapshot), 0);
	pools_resume(scene.pools);
	assert_int_equal(pools_drain(scene.pools), 0);
	for (uint64_t at = 0; at < PAGE_BYTES; at += LINE_SIZE)
		assert_int_equal(mapped_byte_at(&scene, MAPPED_WAITS_AT + at), 'o');
	pools_drop_snapshot(scene.pools, snapshot);
	mapped_end(&scene);
}

static void copies_that_wait_do_not_reach_a_restored_pool(void **state)
{
	for (size_t w = 0; w < MAPPED_WAITS; w++) {
		print_message("# %s\n", mapped_waits[w].name);
		restore(&mapped_waits[w]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_that_wait_for_a_removed_pool_reach_no_other),
		cmocka_unit_test(a_removed_pool_that_is_still_mapped_has_what_was_stored),
		cmocka_unit_test(what_was_fenced_survives_a_change_of_the_mode),
		cmocka_unit_test(copies_that_wait_do_not_reach_a_restored_pool),
	};

	return cmocka_run_group_tests_name("replaced_under_mapping", tests, NULL, NULL);
}
