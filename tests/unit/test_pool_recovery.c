/* SPDX-License-Identifier: BSD-3-Clause */

/* What opening a region repairs that a crash left half done. */

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
#include "pool/recovery.h"
#include "pool/table.h"
#include "pooltest.h"

/* Find the file again after pooltest_restart(). */
static void find_file(struct pooltest_bench *bench)
{
	assert_int_equal(pool_lookup_path(bench->pools, "/file", &bench->pool), 0);
	assert_int_equal(pool_open(bench->pool, &bench->handle), 0);
}

static union slot read_slot(const struct pooltest_bench *bench, uint32_t index, unsigned copy)
{
	union slot slot;

	mediatest_read(bench->region, pool_table_slot_offset(&bench->pools->superblock, index, copy), &slot,
		       SLOT_SIZE);
	return slot;
}

static void a_damaged_slot_is_replaced_by_its_copy(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint32_t index = bench->pool->index;

	for (unsigned copy = 0; copy < 2; copy++) {
		const union slot good = read_slot(bench, index, copy);
		const uint64_t offset = pool_table_slot_offset(&bench->pools->superblock, index, copy);
		const unsigned char byte = good.bytes[60] ^ 0x10;
		union slot damaged, repaired;

		mediatest_write(bench->region, offset + 60, &byte, 1);
		damaged = read_slot(bench, index, copy);
		assert_false(pool_slot_is_valid(bench->pools->uuid_seed, &damaged, index));
		pooltest_restart(bench);
		find_file(bench);
		repaired = read_slot(bench, index, copy);
		assert_memory_equal(&repaired, &good, SLOT_SIZE);
		pooltest_assert_sound(bench->region);
	}
}

/* A crash between the writes of the two slots leaves the new state in slot 0 and the old one in slot 1. */
static void an_older_slot_is_replaced_by_the_newer_one(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint32_t index = bench->pool->index;
	const union slot old = read_slot(bench, index, 1);
	union slot newer;

	pooltest_fill(bench, 0, 100, 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	newer = read_slot(bench, index, 1);
	mediatest_write(bench->region, pool_table_slot_offset(&bench->pools->superblock, index, 1), &old,
			SLOT_SIZE);
	pooltest_restart(bench);
	find_file(bench);
	assert_int_equal(bench->pool->size, 100);
	assert_true(newer.head.sequence > old.head.sequence);
	assert_int_equal(read_slot(bench, index, 1).head.sequence, newer.head.sequence);
	pooltest_assert_sound(bench->region);
}

static void a_file_that_lost_its_name_before_the_crash_is_destroyed(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint32_t index = bench->pool->index, free_entries = bench->pools->free_count;
	const uint64_t free_before = bench->pools->space.free;
	struct pool *root = pool_root(bench->pools);

	pooltest_fill(bench, 0, 3 * PAGE_BYTES, 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_int_equal(pool_unlink(root, "file"), 0);
	pool_unref(root, 1);
	assert_int_equal(read_slot(bench, index, 0).head.kind, SLOT_FILE);
	pooltest_restart(bench);
	assert_int_equal(bench->pools->space.free, free_before);
	/* The entries of the file and of its name. */
	assert_int_equal(bench->pools->free_count, free_entries + 2);
	assert_int_equal(read_slot(bench, index, 0).head.kind, SLOT_FREE);
	pooltest_assert_sound(bench->region);

	pooltest_make(bench->pools, "/file", S_IFREG | 0600, 0);
	find_file(bench);
}

static void a_map_with_one_damaged_copy_is_written_anew(void **state)
{
	struct pooltest_bench *bench = *state;

	for (uint64_t i = 0; i < INLINE_EXTENTS + 1; i++)
		pooltest_fill(bench, 2 * i * PAGE_BYTES, PAGE_BYTES, (unsigned char)i);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_int_equal(bench->pool->chain_count, 2);
	mediatest_flip(bench->region, bench->pool->chain[0] * BLOCK_BYTES + 41);
	pooltest_restart(bench);
	find_file(bench);
	pooltest_assert_sound(bench->region);
	for (uint64_t i = 0; i < INLINE_EXTENTS + 1; i++)
		pooltest_expect(bench, 2 * i * PAGE_BYTES, PAGE_BYTES, (unsigned char)i);
}

/* A sync that was cut wrote bytes behind the size, and did not commit the new size. */
static void put_bytes_behind_the_end(struct pooltest_bench *bench, uint64_t *offset)
{
	const unsigned char garbage[40] = { [0 ... 39] = 0xee };

	pooltest_fill(bench, 0, 100, 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	*offset = pool_find_pages(bench->pool, 0, 1).media_offset;
	mediatest_write(bench->region, *offset + 100, garbage, sizeof(garbage));
	assert_int_equal(mediatest_byte(bench->region, *offset + 139), 0xee);
}

static void bytes_behind_the_end_are_zeroed(void **state)
{
	struct pooltest_bench *bench = *state;
	uint64_t offset;

	put_bytes_behind_the_end(bench, &offset);
	pools_zero_tails(bench->pools);
	assert_int_equal(mediatest_byte(bench->region, offset + 99), 1);
	assert_int_equal(mediatest_byte(bench->region, offset + 100), 0);
	assert_int_equal(mediatest_byte(bench->region, offset + 139), 0);
}

static void opening_after_a_crash_zeroes_bytes_behind_the_end(void **state)
{
	struct pooltest_bench *bench = *state;
	uint64_t offset;

	put_bytes_behind_the_end(bench, &offset);
	pooltest_restart(bench);
	find_file(bench);
	assert_int_equal(mediatest_byte(bench->region, offset + 99), 1);
	assert_int_equal(mediatest_byte(bench->region, offset + 100), 0);
	assert_int_equal(pool_truncate(bench->pool, NULL, 200), 0);
	pooltest_expect(bench, 0, 100, 1);
	pooltest_expect(bench, 100, 100, 0);
}

static void a_crash_is_counted_and_a_clean_stop_is_not(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t dirty = bench->pools->superblock.dirty_shutdowns;
	const uint64_t generation = bench->pools->generation;

	pooltest_restart(bench);
	assert_int_equal(bench->pools->superblock.dirty_shutdowns, dirty + 1);
	assert_int_equal(pools_close(bench->pools, NULL), 0);
	bench->pools = pooltest_open(bench->region);
	assert_int_equal(bench->pools->superblock.dirty_shutdowns, dirty + 1);
	assert_int_equal(bench->pools->generation, generation + 2);
	find_file(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(a_damaged_slot_is_replaced_by_its_copy),
		POOLTEST(an_older_slot_is_replaced_by_the_newer_one),
		POOLTEST(a_file_that_lost_its_name_before_the_crash_is_destroyed),
		POOLTEST(a_map_with_one_damaged_copy_is_written_anew),
		POOLTEST(bytes_behind_the_end_are_zeroed),
		POOLTEST(opening_after_a_crash_zeroes_bytes_behind_the_end),
		POOLTEST(a_crash_is_counted_and_a_clean_stop_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
