/* SPDX-License-Identifier: BSD-3-Clause */

/* A file in memory, and its entry and extent map on the media. */

#include "pool/inode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/align.h"
#include "common/alloc.h"
#include "domain/domain.h"
#include "pool/directory_names.h"
#include "pool/pools.h"
#include "pool/table.h"

struct timespec pool_time_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return time;
}

void pool_make_uuid(uint8_t uuid[16])
{
	/*
	 * Random, version 4 (RFC 4122, section 4.4). getrandom(2) does not fail for 16 bytes once it
	 * was seeded.
	 */
	if (getrandom(uuid, 16, 0) != 16)
		memset(uuid, 0, 16);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

struct pool *pool_inode_alloc(struct pools *pools, uint32_t index)
{
	struct pool *pool = alloc_zeroed(sizeof(*pool));

	if (!pool)
		return NULL;
	pool->pools = pools;
	pool->index = index;
	pthread_rwlock_init(&pool->lock, NULL);
	return pool;
}

void pool_inode_free(struct pool *pool)
{
	view_destroy(pool->view);
	pool_extmap_free(&pool->map);
	pool_extmap_free(&pool->retired);
	free(pool->chain);
	free(pool->xattrs);
	if (pool->directory)
		vector_free(pool->directory);
	free(pool->directory);
	pthread_rwlock_destroy(&pool->lock);
	free(pool);
}

bool pool_is_volatile(const struct pool *pool)
{
	return pool->size != pool->durable_size || pool->map_changed ||
	       (pool->view && view_is_dirty(pool->view)) ||
	       pool->mtime.tv_sec != pool->durable_mtime.tv_sec ||
	       pool->mtime.tv_nsec != pool->durable_mtime.tv_nsec ||
	       pool->ctime.tv_sec != pool->durable_ctime.tv_sec ||
	       pool->ctime.tv_nsec != pool->durable_ctime.tv_nsec;
}

/* ---- The entry ------------------------------------------------------------------- */

static struct timespec decode_time(const struct file_slot *slot, int which)
{
	return (struct timespec){ .tv_sec = slot->seconds[which], .tv_nsec = slot->nanoseconds[which] };
}

static void encode_time(struct file_slot *slot, int which, struct timespec time)
{
	slot->seconds[which] = time.tv_sec;
	slot->nanoseconds[which] = (uint32_t)time.tv_nsec;
}

void pool_inode_decode(struct pool *pool, const struct file_slot *slot)
{
	pool->mode = slot->mode;
	pool->uid = slot->uid;
	pool->gid = slot->gid;
	pool->pool_mode = (enum pool_mode)slot->pool_mode;
	if (S_ISDIR(slot->mode))
		atomic_store(&pool->metadata, slot->head.metadata);
	memcpy(pool->uuid, slot->uuid, sizeof(pool->uuid));
	pool->size = pool->durable_size = slot->size;
	pool->atime = decode_time(slot, 0);
	pool->mtime = pool->durable_mtime = decode_time(slot, 1);
	pool->ctime = pool->durable_ctime = decode_time(slot, 2);
	pool->btime = decode_time(slot, 3);
}

static void encode(const struct pool *pool, struct file_slot *slot)
{
	memset(slot, 0, sizeof(*slot));
	slot->head.kind = SLOT_FILE;
	/* A file's own follows from its names. */
	slot->head.metadata = S_ISDIR(pool->mode) ? atomic_load(&pool->metadata) : 0;
	slot->mode = pool->mode;
	slot->uid = pool->uid;
	slot->gid = pool->gid;
	slot->pool_mode = pool->pool_mode;
	memcpy(slot->uuid, pool->uuid, sizeof(slot->uuid));
	slot->size = pool->durable_size;
	encode_time(slot, 0, pool->atime);
	encode_time(slot, 1, pool->durable_mtime);
	encode_time(slot, 2, pool->durable_ctime);
	encode_time(slot, 3, pool->btime);
	slot->xattrs = pool->xattrs_block;
}

/* ---- Map blocks ------------------------------------------------------------------ */

void pool_chain_release(struct space *space, const uint64_t *chain, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		pool_space_release(space, chain[i], 1);
}

static int take_chain(struct space *space, uint32_t count, uint64_t **out)
{
	uint64_t *chain = calloc(count, sizeof(*chain));

	if (!chain)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		if (pool_space_take(space, SPACE_METADATA, 0, 1, false, &chain[i]) == 0) {
			pool_chain_release(space, chain, i);
			free(chain);
			return -ENOSPC;
		}
	}
	*out = chain;
	return 0;
}

/* `chain` has 2 * count blocks: the copies of map block i are at 2i and 2i+1. */
static int write_chain(struct pool *pool, const uint64_t *chain, uint32_t count)
{
	struct pools *pools = pool->pools;
	int result = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t first = i * MAP_EXTENTS;
		struct map_block block = {
			.magic = MAP_MAGIC,
			.owner = pool->index,
			.number = i,
			.count = (uint32_t)min_u64(MAP_EXTENTS, pool->map.count - first),
		};
		int errors[2];

		for (unsigned copy = 0; i + 1 < count && copy < 2; copy++)
			block.next[copy] = chain[2 * (i + 1) + copy];
		memcpy(block.extents, &pool->map.items[first], block.count * sizeof(struct extent));
		block.checksum = pool_slot_checksum(pools->uuid_seed, &block, sizeof(block));
		for (unsigned copy = 0; copy < 2; copy++)
			errors[copy] = media_write(pools->region, chain[2 * i + copy] * BLOCK_BYTES, &block,
						   sizeof(block));
		if (errors[0] && errors[1])
			result = errors[0];
	}
	media_fence(pools->region);
	return result;
}

/* The map blocks that the file's map needs now, written; none (NULL, 0) where it fits into the entry. */
static int make_chain(struct pool *pool, uint64_t **chain, uint32_t *count)
{
	uint32_t blocks =
		pool->map.count > INLINE_EXTENTS ? (pool->map.count + MAP_EXTENTS - 1) / MAP_EXTENTS : 0;
	int error;

	*chain = NULL;
	*count = 2 * blocks;
	if (!blocks)
		return 0;
	error = take_chain(&pool->pools->space, *count, chain);
	if (error)
		return error;
	error = write_chain(pool, *chain, blocks);
	/* Blocks that the media does not take stay taken: the next try gets others. */
	if (error)
		free(*chain);
	return error;
}

/* ---- Committing ------------------------------------------------------------------ */

int pool_inode_commit(struct pool *pool)
{
	struct pools *pools = pool->pools;
	uint64_t *chain = pool->chain;
	uint32_t count = pool->chain_count;
	union slot slot;
	int error = pool->map_changed ? make_chain(pool, &chain, &count) : 0;

	if (error)
		return error;
	encode(pool, &slot.file);
	slot.file.extents = pool->map.count;
	slot.file.map_blocks = count / 2;
	if (count)
		memcpy(slot.file.map, chain, sizeof(slot.file.map));
	else if (pool->map.count)
		memcpy(slot.file.inline_extents, pool->map.items, pool->map.count * sizeof(struct extent));
	error = pool_table_write(pools, pool->index, &slot);
	if (error) {
		if (pool->map_changed)
			free(chain);
		return error;
	}
	pool_space_release_extents(&pools->space, &pool->retired);
	pool_extmap_free(&pool->retired);
	/* From here on no entry on the media refers to the old map blocks. */
	if (pool->map_changed) {
		pool_chain_release(&pools->space, pool->chain, pool->chain_count);
		free(pool->chain);
		pool->chain = chain;
		pool->chain_count = count;
		pool->map_changed = false;
	}
	return media_outcome(pools, 0);
}
