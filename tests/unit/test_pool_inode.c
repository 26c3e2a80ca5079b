/* SPDX-License-Identifier: BSD-3-Clause */

/* An inode between memory and the media: its entry, and its map inline or in a chain of blocks. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mediatest.h"
#include "pool/inode.h"
#include "pool/load.h"
#include "pool/table.h"
#include "pooltest.h"

/* Give a block to every other page of the file, so that each is an extent of its own. */
static void add_extents(struct pooltest_bench *bench, uint32_t count)
{
	struct pool *pool = bench->pool;

	assert_int_equal(pool_extmap_reserve(&pool->map, count), 0);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t block;

		assert_int_equal(pool_space_take(&bench->pools->space, SPACE_DATA, 0, 1, false, &block), 1);
		pool_extmap_insert(&pool->map, 2 * (uint64_t)i, 1, block, i % 3 == 0);
	}
	pool->map_changed = true;
	pool->size = pool->durable_size = 2 * (uint64_t)count * PAGE_BYTES;
}

static union slot slot_of(const struct pooltest_bench *bench)
{
	union slot slot;

	mediatest_read(bench->region,
		       pool_table_slot_offset(&bench->pools->superblock, bench->pool->index, 0), &slot,
		       SLOT_SIZE);
	return slot;
}

/*
 * Load the file from the media into a second pool. The blocks of the first one are released, so that they
 * can be claimed again.
 */
static struct pool *load_again(struct pooltest_bench *bench)
{
	const union slot slot = slot_of(bench);
	struct pool *loaded = pool_inode_alloc(bench->pools, bench->pool->index);

	pool_space_release_extents(&bench->pools->space, &bench->pool->map);
	pool_chain_release(&bench->pools->space, bench->pool->chain, bench->pool->chain_count);
	pool_inode_decode(loaded, &slot.file);
	assert_true(pool_load_map(loaded, &slot.file, NULL));
	return loaded;
}

static void assert_map_survives(struct pooltest_bench *bench, uint32_t extents)
{
	struct pool *loaded;

	add_extents(bench, extents);
	assert_int_equal(pool_inode_commit(bench->pool), 0);
	assert_false(bench->pool->map_changed);
	loaded = load_again(bench);
	assert_int_equal(loaded->map.count, extents);
	assert_int_equal(loaded->chain_count, bench->pool->chain_count);
	if (extents)
		assert_memory_equal(loaded->map.items, bench->pool->map.items,
				    extents * sizeof(struct extent));
	pool_inode_free(loaded);
}

static void a_map_of_as_many_extents_as_the_slot_holds_is_inline(void **state)
{
	struct pooltest_bench *bench = *state;

	assert_map_survives(bench, INLINE_EXTENTS);
	assert_int_equal(bench->pool->chain_count, 0);
}

static void a_map_of_one_extent_more_is_in_a_map_block_with_a_copy(void **state)
{
	struct pooltest_bench *bench = *state;

	assert_map_survives(bench, INLINE_EXTENTS + 1);
	assert_int_equal(bench->pool->chain_count, 2);
}

static void a_map_of_many_extents_is_in_a_chain_of_map_blocks(void **state)
{
	struct pooltest_bench *bench = *state;

	assert_map_survives(bench, 3 * MAP_EXTENTS);
	assert_int_equal(bench->pool->chain_count, 6);
}

static void a_new_chain_is_written_before_the_old_one_is_released(void **state)
{
	struct pooltest_bench *bench = *state;
	uint64_t free_before, old[2];

	add_extents(bench, INLINE_EXTENTS + 1);
	assert_int_equal(pool_inode_commit(bench->pool), 0);
	memcpy(old, bench->pool->chain, sizeof(old));
	free_before = bench->pools->space.free;
	bench->pool->map_changed = true;
	assert_int_equal(pool_inode_commit(bench->pool), 0);
	assert_int_equal(bench->pools->space.free, free_before);
	for (unsigned copy = 0; copy < 2; copy++) {
		assert_int_not_equal(bench->pool->chain[copy], old[0]);
		assert_int_not_equal(bench->pool->chain[copy], old[1]);
	}
}

static void a_commit_without_room_for_its_chain_changes_nothing_on_the_media(void **state)
{
	struct pooltest_bench *bench = *state;
	union slot before, after;
	uint64_t block;

	assert_int_equal(pool_inode_commit(bench->pool), 0);
	add_extents(bench, INLINE_EXTENTS + 1);
	before = slot_of(bench);
	while (pool_space_take(&bench->pools->space, SPACE_METADATA, 0, 1000, false, &block))
		;
	assert_int_equal(pool_inode_commit(bench->pool), -ENOSPC);
	after = slot_of(bench);
	assert_memory_equal(&before, &after, SLOT_SIZE);
	assert_true(bench->pool->map_changed);
}

static void attributes_survive_encoding_and_decoding(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pool *pool = bench->pool, *loaded;

	pool->mode = S_IFREG | S_ISVTX | 0751;
	pool->uid = 0xfffffffe;
	pool->gid = 5;
	pool->pool_mode = POOL_MODE_SECTOR_512;
	pool->atime = (struct timespec){ .tv_sec = -1, .tv_nsec = 999999999 };
	pool->btime = (struct timespec){ .tv_sec = 4, .tv_nsec = 4 };
	pool->durable_mtime = (struct timespec){ .tv_sec = (time_t)1 << 40, .tv_nsec = 2 };
	pool->durable_ctime = (struct timespec){ .tv_sec = 3, .tv_nsec = 3 };
	pool->size = 100;
	pool->durable_size = 99;
	assert_int_equal(pool_inode_commit(pool), 0);
	loaded = load_again(bench);
	assert_int_equal(loaded->mode, pool->mode);
	assert_int_equal(loaded->uid, pool->uid);
	assert_int_equal(loaded->gid, pool->gid);
	assert_int_equal(loaded->pool_mode, pool->pool_mode);
	assert_memory_equal(loaded->uuid, pool->uuid, sizeof(pool->uuid));
	assert_memory_equal(&loaded->atime, &pool->atime, sizeof(pool->atime));
	assert_memory_equal(&loaded->btime, &pool->btime, sizeof(pool->btime));
	assert_memory_equal(&loaded->mtime, &pool->durable_mtime, sizeof(pool->mtime));
	assert_memory_equal(&loaded->ctime, &pool->durable_ctime, sizeof(pool->ctime));
	/* Only what is durable is on the media. */
	assert_int_equal(loaded->size, 99);
	assert_int_equal(loaded->durable_size, 99);
	assert_false(pool_is_volatile(loaded));
	assert_true(pool_is_volatile(pool));
	pool_inode_free(loaded);
}

/* Loading would take the entry for damaged. */
static void a_time_with_too_many_nanoseconds_is_refused(void **state)
{
	struct pooltest_bench *bench = *state;
	const struct pool_attributes wrong = { .atime.tv_nsec = 1000000000, .mtime.tv_nsec = 1000000000 };
	const struct pool_attributes right = { .atime.tv_nsec = 999999999 };

	assert_int_equal(pool_set_attributes(bench->pool, POOL_SET_ATIME, &wrong), -EINVAL);
	assert_int_equal(pool_set_attributes(bench->pool, POOL_SET_MTIME, &wrong), -EINVAL);
	assert_int_equal(pool_set_attributes(bench->pool, POOL_SET_ATIME, &right), 0);
	pooltest_restart(bench);
	pooltest_assert_sound(bench->region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(attributes_survive_encoding_and_decoding),
		POOLTEST(a_time_with_too_many_nanoseconds_is_refused),
		POOLTEST(a_map_of_as_many_extents_as_the_slot_holds_is_inline),
		POOLTEST(a_map_of_one_extent_more_is_in_a_map_block_with_a_copy),
		POOLTEST(a_map_of_many_extents_is_in_a_chain_of_map_blocks),
		POOLTEST(a_new_chain_is_written_before_the_old_one_is_released),
		POOLTEST(a_commit_without_room_for_its_chain_changes_nothing_on_the_media),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
