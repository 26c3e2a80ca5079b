/* SPDX-License-Identifier: BSD-3-Clause */

/* A file's entry and extent map, between memory and the media. */

#include "pool/private.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

struct timespec now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return time;
}

void make_uuid(uint8_t uuid[16])
{
	/* Random, version 4 (RFC 4122, 4.4). Cannot fail for 16 bytes once the system is up. */
	if (getrandom(uuid, 16, 0) != 16)
		memset(uuid, 0, 16);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

struct pool *pool_alloc(struct pools *pools, uint32_t index)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->pools = pools;
	pool->index = index;
	pthread_rwlock_init(&pool->lock, NULL);
	return pool;
}

void pool_free_memory(struct pool *pool)
{
	view_destroy(pool->view);
	extmap_free(&pool->map);
	extmap_free(&pool->retired);
	free(pool->chain);
	if (pool->directory)
		free(pool->directory->items);
	free(pool->directory);
	pthread_rwlock_destroy(&pool->lock);
	free(pool);
}

static struct timespec decode_time(const struct file_slot *slot, int which)
{
	return (struct timespec){ .tv_sec = slot->seconds[which], .tv_nsec = slot->nanoseconds[which] };
}

static void encode_time(struct file_slot *slot, int which, struct timespec time)
{
	slot->seconds[which] = time.tv_sec;
	slot->nanoseconds[which] = (uint32_t)time.tv_nsec;
}

void file_decode(struct pool *pool, const struct file_slot *slot)
{
	pool->mode = slot->mode;
	pool->uid = slot->uid;
	pool->gid = slot->gid;
	pool->pool_mode = (enum pool_mode)slot->pool_mode;
	memcpy(pool->uuid, slot->uuid, sizeof(pool->uuid));
	pool->size = pool->durable_size = slot->size;
	pool->atime = decode_time(slot, 0);
	pool->mtime = pool->durable_mtime = decode_time(slot, 1);
	pool->ctime = pool->durable_ctime = decode_time(slot, 2);
	pool->btime = decode_time(slot, 3);
}

static void file_encode(const struct pool *pool, struct file_slot *slot)
{
	memset(slot, 0, sizeof(*slot));
	slot->head.kind = SLOT_FILE;
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
}

/* ---- Map blocks ------------------------------------------------------------ */

static void release_chain(struct space *space, const uint64_t *chain, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		space_release(space, chain[i], 1);
}

static int take_chain(struct space *space, uint32_t count, uint64_t **out)
{
	uint64_t *chain = calloc(count, sizeof(*chain));

	if (!chain)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		if (space_take(space, SPACE_METADATA, 0, 1, false, &chain[i]) == 0) {
			release_chain(space, chain, i);
			free(chain);
			return -ENOSPC;
		}
	}
	*out = chain;
	return 0;
}

/* chain: 2 * count blocks, the copies of map block i at 2i and 2i+1. */
static void write_chain(struct pool *pool, const uint64_t *chain, uint32_t count)
{
	struct pools *pools = pool->pools;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t first = i * MAP_EXTENTS;
		struct map_block block = {
			.magic = MAP_MAGIC,
			.owner = pool->index,
			.number = i,
			.count = (uint32_t)min_u64(MAP_EXTENTS, pool->map.count - first),
		};

		for (unsigned copy = 0; i + 1 < count && copy < 2; copy++)
			block.next[copy] = chain[2 * (i + 1) + copy];
		memcpy(block.extents, &pool->map.extents[first], block.count * sizeof(struct extent));
		block.checksum = slot_checksum(pools->uuid_seed, &block, sizeof(block));
		for (unsigned copy = 0; copy < 2; copy++)
			media_write(pools->region, chain[2 * i + copy] * BLOCK_BYTES, &block, sizeof(block));
	}
	media_fence(pools->region);
}

int file_commit(struct pool *pool)
{
	struct pools *pools = pool->pools;
	uint64_t *old_chain = NULL;
	uint32_t old_count = 0;
	union slot slot;

	if (pool->map_changed) {
		uint32_t blocks = pool->map.count > INLINE_EXTENTS ?
					  (pool->map.count + MAP_EXTENTS - 1) / MAP_EXTENTS : 0;
		uint64_t *chain = NULL;

		if (blocks) {
			int error = take_chain(&pools->space, 2 * blocks, &chain);

			if (error)
				return error;
			write_chain(pool, chain, blocks);
		}
		old_chain = pool->chain;
		old_count = pool->chain_count;
		pool->chain = chain;
		pool->chain_count = 2 * blocks;
	}
	file_encode(pool, &slot.file);
	slot.file.extents = pool->map.count;
	slot.file.map_blocks = pool->chain_count / 2;
	if (pool->chain_count)
		memcpy(slot.file.map, pool->chain, sizeof(slot.file.map));
	else if (pool->map.count)
		memcpy(slot.file.inline_extents, pool->map.extents, pool->map.count * sizeof(struct extent));
	table_write(pools, pool->index, &slot);
	pool->map_changed = false;
	extents_release(&pools->space, &pool->retired);
	extmap_free(&pool->retired);
	/* Only now does nobody point to them any more. */
	release_chain(&pools->space, old_chain, old_count);
	free(old_chain);
	return media_outcome(pools, 0);
}

void extents_release(struct space *space, const struct extmap *map)
{
	for (uint32_t i = 0; i < map->count; i++)
		space_release(space, map->extents[i].block, extent_pages(&map->extents[i]));
}

/* Dead pools stay in memory while somebody refers to them. */
static void make_husk(struct pool *pool)
{
	struct pools *pools = pool->pools;

	LOCK_SCOPE(&pools->list_lock);
	pools->files[pool->index] = NULL;
	LIST_INSERT_HEAD(&pools->husks, pool, husk);
	pool->is_husk = true;
	if (pool->is_active)
		LIST_REMOVE(pool, active);
	if (pool->is_attached)
		LIST_REMOVE(pool, attached);
	pool->is_active = pool->is_attached = false;
}

void file_destroy(struct pool *pool)
{
	struct pools *pools = pool->pools;

	if (pool->view) {
		const uint64_t all = POOL_SIZE_MAX / PAGE_BYTES + 1;

		pool_discard_pages(pool, 0, all, pool_promised_pages(pool, 0, all));
		view_detach(pool->view);
		pool_drop_clean_view(pool);
	}
	make_husk(pool);
	table_free(pools, pool->index);
	extents_release(&pools->space, &pool->map);
	extents_release(&pools->space, &pool->retired);
	release_chain(&pools->space, pool->chain, pool->chain_count);
	extmap_free(&pool->map);
	extmap_free(&pool->retired);
	pool->chain_count = 0;
	pool->map_changed = false;
	pool->size = pool->durable_size = 0;
	atomic_fetch_sub(S_ISDIR(pool->mode) ? &pools->directory_count : &pools->file_count, 1);
	atomic_store(&pool->dead, true);
}

bool file_destroy_if_unused(struct pool *pool)
{
	bool unused;

	{
		LOCK_SCOPE(&pool->pools->opens_lock);
		unused = pool->opens == 0 && pool->links == 0 && !pool->dead && pool != pool->pools->root &&
			 !pool->pools->read_only;
		/* Under the lock that opening takes: nobody gets a handle from here on. */
		if (unused)
			atomic_store(&pool->dead, true);
	}
	if (!unused)
		return false;
	WRITE_SCOPE(&pool->lock);
	file_destroy(pool);
	return true;
}

struct pools *pool_pools(const struct pool *pool)
{
	return pool->pools;
}

void pool_ref(struct pool *pool, uint64_t count)
{
	atomic_fetch_add(&pool->references, count);
}

void pool_unref(struct pool *pool, uint64_t count)
{
	struct pools *pools = pool->pools;

	{
		LOCK_SCOPE(&pools->list_lock);
		if (atomic_fetch_sub(&pool->references, count) != count || !pool->is_husk)
			return;
		LIST_REMOVE(pool, husk);
	}
	pool_free_memory(pool);
}
