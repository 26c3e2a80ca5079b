/* SPDX-License-Identifier: BSD-3-Clause */

/* From the media to memory: what loading finds, what it notes for recovery, and that it writes nothing. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mediatest.h"
#include "pool/load.h"
#include "pool/superblock.h"
#include "pool/table.h"
#include "pooltest.h"

#define SIZE ((uint64_t)16 << 20)

struct found {
	unsigned problems;
	struct pools_problem last;
};

static void note_problem(void *context, const struct pools_problem *problem)
{
	struct found *found = context;

	found->problems++;
	found->last = *problem;
}

/* Load what is on the media, beside the pools of the bench; pools_free() ends it. */
static int load(struct pooltest_bench *bench, struct pools_check_result *result, struct pools **pools)
{
	const struct load_report report = { .result = result };

	*result = (struct pools_check_result){ 0 };
	*pools = NULL;
	return pool_load_all(bench->region, &report, pools, NULL);
}

static void make_tree(struct pooltest_bench *bench)
{
	pooltest_make(bench->pools, "/directory", S_IFDIR | 0700, 0);
	pooltest_make(bench->pools, "/directory/file", S_IFREG | 0600, 3 * PAGE_BYTES);
	pooltest_fill(bench, 0, 100, 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
}

static void what_was_made_durable_is_loaded(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pools_check_result result;
	struct pools *loaded;

	make_tree(bench);
	assert_int_equal(load(bench, &result, &loaded), 0);
	assert_int_equal(result.leftovers + result.redundant + result.damaged, 0);
	assert_int_equal(result.files, 2);
	assert_int_equal(result.directories, 2);
	assert_int_equal(result.entries, bench->pools->entries);
	assert_int_equal(loaded->name_count, 3);
	assert_int_equal(loaded->space.free, bench->pools->space.free);
	assert_int_equal(loaded->free_count, bench->pools->free_count);
	assert_int_equal(loaded->files[bench->pool->index]->size, 100);
	pools_free(loaded);
}

static void loading_writes_nothing(void **state)
{
	struct pooltest_bench *bench = *state;
	unsigned char *before = malloc(SIZE), *after = malloc(SIZE);
	struct pools_check_result result;
	struct pools *loaded;

	make_tree(bench);
	mediatest_flip(bench->region,
		       pool_table_slot_offset(&bench->pools->superblock, bench->pool->index, 1) + 50);
	mediatest_read(bench->region, 0, before, SIZE);
	assert_int_equal(load(bench, &result, &loaded), 0);
	pools_free(loaded);
	mediatest_read(bench->region, 0, after, SIZE);
	assert_memory_equal(before, after, SIZE);
	free(before);
	free(after);
}

static void a_damaged_slot_is_noted_for_recovery(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pools_check_result result;
	struct pools *loaded;

	for (unsigned copy = 0; copy < 2; copy++) {
		const uint64_t offset =
			pool_table_slot_offset(&bench->pools->superblock, bench->pool->index, copy) + 50;

		mediatest_flip(bench->region, offset);
		assert_int_equal(load(bench, &result, &loaded), 0);
		assert_int_equal(result.redundant, 1);
		assert_int_equal(result.damaged, 0);
		assert_int_equal(loaded->fixes.count, 1);
		assert_int_equal(loaded->fixes.items[0].kind, FIX_COPIES);
		assert_int_equal(loaded->fixes.items[0].index, bench->pool->index);
		assert_non_null(loaded->files[bench->pool->index]);
		pools_free(loaded);
		mediatest_flip(bench->region, offset);
	}
}

static void an_entry_with_two_damaged_slots_is_neither_used_nor_free(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pools_check_result result;
	struct pools *loaded;

	for (unsigned copy = 0; copy < 2; copy++)
		mediatest_flip(
			bench->region,
			pool_table_slot_offset(&bench->pools->superblock, bench->pool->index, copy) + 50);
	assert_int_equal(load(bench, &result, &loaded), 0);
	assert_true(result.damaged > 0);
	assert_null(loaded->files[bench->pool->index]);
	for (uint32_t i = 0; i < loaded->free_count; i++)
		assert_int_not_equal(loaded->free_entries[i], bench->pool->index);
	pools_free(loaded);
}

static void a_file_without_a_name_is_noted_for_recovery(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pool *root = pool_root(bench->pools);
	struct pools_check_result result;
	struct pools *loaded;

	assert_int_equal(pool_unlink(root, "file"), 0);
	pool_unref(root, 1);
	assert_int_equal(load(bench, &result, &loaded), 0);
	assert_int_equal(result.leftovers, 1);
	assert_int_equal(loaded->fixes.count, 1);
	assert_int_equal(loaded->fixes.items[0].kind, FIX_FREE_FILE);
	assert_int_equal(loaded->fixes.items[0].index, bench->pool->index);
	pools_free(loaded);
}

static void a_block_that_two_files_claim_is_damage(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pools_check_result result;
	struct pool *other = NULL;
	struct pools *loaded;

	pooltest_make(bench->pools, "/other", S_IFREG | 0600, PAGE_BYTES);
	assert_int_equal(pool_lookup_path(bench->pools, "/other", &other), 0);
	assert_int_equal(load(bench, &result, &loaded), 0);
	pools_free(loaded);
	assert_int_equal(pool_extmap_reserve(&bench->pool->map, 1), 0);
	pool_extmap_insert(&bench->pool->map, 0, 1, other->map.items[0].block, false);
	bench->pool->map_changed = true;
	assert_int_equal(pool_inode_commit(bench->pool), 0);
	pool_unref(other, 1);
	assert_int_equal(load(bench, &result, &loaded), 0);
	assert_int_equal(result.damaged, 1);
	pools_free(loaded);
}

static void one_damaged_superblock_is_redundant_and_two_are_fatal(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pools_check_result result;
	struct pools *loaded;

	mediatest_flip(bench->region, 200);
	assert_int_equal(load(bench, &result, &loaded), 0);
	assert_int_equal(result.redundant, 1);
	pools_free(loaded);
	mediatest_flip(bench->region, SIZE - BLOCK_BYTES + 200);
	assert_int_equal(load(bench, &result, &loaded), -EUCLEAN);
	assert_int_equal(result.damaged, 1);
	assert_null(loaded);
}

static void a_region_of_zeros_is_not_formatted(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pools_check_result result;
	struct pools *loaded;

	assert_int_equal(media_zero(bench->region, 0, SIZE), 0);
	assert_int_equal(load(bench, &result, &loaded), -ENODATA);
}

static void a_newer_format_is_refused(void **state)
{
	struct pooltest_bench *bench = *state;
	struct superblock newer = bench->pools->superblock;
	struct pools_check_result result;
	struct pools *loaded;

	newer.features_incompat = 1;
	assert_int_equal(pool_superblock_write(bench->region, &newer), 0);
	assert_int_equal(load(bench, &result, &loaded), -EPROTONOSUPPORT);
	newer.features_incompat = 0;
	newer.version++;
	assert_int_equal(pool_superblock_write(bench->region, &newer), 0);
	assert_int_equal(load(bench, &result, &loaded), -EPROTONOSUPPORT);
	newer.version--;
	newer.features_compat = 1;
	assert_int_equal(pool_superblock_write(bench->region, &newer), 0);
	assert_int_equal(load(bench, &result, &loaded), 0);
	pools_free(loaded);
}

static void each_problem_is_counted_by_its_kind_and_passed_on(void **state)
{
	struct pools_check_result result = { 0 };
	struct found found = { 0 };
	const struct load_report report = { .problem = note_problem, .context = &found, .result = &result };

	(void)state;
	pool_load_problem(&report, POOLS_LEFTOVER, 1, "left %d", 1);
	pool_load_problem(&report, POOLS_REDUNDANT, 2, "redundant");
	pool_load_problem(&report, POOLS_DAMAGE, 3, "damage");
	pool_load_problem(&report, POOLS_DAMAGE, 4096, "entry %u: damaged", 7);
	pool_load_problem(NULL, POOLS_DAMAGE, 5, "dropped");
	assert_int_equal(result.leftovers, 1);
	assert_int_equal(result.redundant, 1);
	assert_int_equal(result.damaged, 2);
	assert_int_equal(found.problems, 4);
	assert_int_equal(found.last.kind, POOLS_DAMAGE);
	assert_int_equal(found.last.offset, 4096);
	assert_string_equal(found.last.text, "entry 7: damaged");
}

static void fixes_are_noted_in_their_order(void **state)
{
	struct pooltest_bench *bench = *state;

	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(pool_load_note_fix(bench->pools, i % 2 ? FIX_FREE : FIX_COPIES, i), 0);
	assert_int_equal(bench->pools->fixes.count, 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(bench->pools->fixes.items[i].kind, i % 2 ? FIX_FREE : FIX_COPIES);
		assert_int_equal(bench->pools->fixes.items[i].index, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(what_was_made_durable_is_loaded),
		POOLTEST(loading_writes_nothing),
		POOLTEST(a_damaged_slot_is_noted_for_recovery),
		POOLTEST(an_entry_with_two_damaged_slots_is_neither_used_nor_free),
		POOLTEST(a_file_without_a_name_is_noted_for_recovery),
		POOLTEST(a_block_that_two_files_claim_is_damage),
		POOLTEST(one_damaged_superblock_is_redundant_and_two_are_fatal),
		POOLTEST(a_region_of_zeros_is_not_formatted),
		POOLTEST(a_newer_format_is_refused),
		POOLTEST(fixes_are_noted_in_their_order),
		cmocka_unit_test(each_problem_is_counted_by_its_kind_and_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
