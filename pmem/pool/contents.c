/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/contents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "pool/lifetime.h"
#include "pool/placement.h"
#include "pool/pools.h"
#include "pool/resize.h"
#include "pool/undo.h"
#include "pool/view_limits.h"
#include "region/snapshot.h"

struct pool_contents {
	struct region_snapshot *blocks; /* of the written extents */
	struct extmap map;		/* up to the size */
	uint64_t size;
	uint64_t ino;
	uint8_t uuid[16];
};

/* ---- Keeping --------------------------------------------------------------------- */

static int may_keep(const struct pool *pool)
{
	if (pool->dead)
		return -ESTALE;
	if (!S_ISREG(pool->mode))
		return S_ISDIR(pool->mode) ? -EISDIR : -EINVAL;
	return pool->pools->read_only ? -EROFS : 0;
}

/* What the media have. pool->lock is held, and no call is in the pools. */
static int keep(struct pool *pool, struct pool_contents *contents)
{
	const uint64_t end = pages_up(pool->durable_size);
	int error = may_keep(pool);

	if (!error)
		error = pool_extmap_copy(&pool->map, &contents->map);
	if (!error)
		error = pool_extmap_remove(&contents->map, end, POOL_PAGES_MAX - end, NULL);
	if (!error)
		error = region_snapshot_take_empty(pool->pools->region, &contents->blocks);
	if (error)
		return error;
	for (uint32_t i = 0; i < contents->map.count; i++) {
		const struct extent *extent = &contents->map.items[i];

		if (!extent_unwritten(extent))
			region_snapshot_include(contents->blocks, extent->block * BLOCK_BYTES,
						(uint64_t)extent_pages(extent) * BLOCK_BYTES);
	}
	contents->size = pool->durable_size;
	contents->ino = (uint64_t)pool->index + 1;
	memcpy(contents->uuid, pool->uuid, sizeof(contents->uuid));
	return 0;
}

static int keep_alone(struct pool *pool, struct pool_contents *contents)
{
	WRITE_SCOPE(&pool->pools->power);
	WRITE_SCOPE(&pool->lock);
	return keep(pool, contents);
}

int pool_contents_keep(struct pool *pool, struct pool_contents **out)
{
	struct pool_contents *contents;
	int error = pool_sync_pool(pool, false);

	if (error)
		return error;
	contents = calloc(1, sizeof(*contents));
	if (!contents)
		return -ENOMEM;
	error = keep_alone(pool, contents);
	if (error) {
		pool_extmap_free(&contents->map);
		free(contents);
		return error;
	}
	*out = contents;
	return 0;
}

void pool_contents_drop(struct pools *pools, struct pool_contents *contents)
{
	WRITE_SCOPE(&pools->power);
	region_snapshot_drop(contents->blocks);
	pool_extmap_free(&contents->map);
	free(contents);
}

int pool_contents_find(struct pools *pools, const struct pool_contents *contents, struct pool **out)
{
	struct pool_attributes attributes;
	struct pool *pool;

	if (pool_lookup_ino(pools, contents->ino, &pool) < 0)
		return -ENOENT;
	if (pool_get_attributes(pool, &attributes) == 0 && attributes.links &&
	    memcmp(attributes.uuid, contents->uuid, sizeof(attributes.uuid)) == 0) {
		*out = pool;
		return 0;
	}
	pool_unref(pool, 1);
	return -ENOENT;
}

uint64_t pool_contents_bytes(const struct pool_contents *contents)
{
	return region_snapshot_bytes(contents->blocks);
}

bool pool_contents_are_whole(const struct pool_contents *contents)
{
	return region_snapshot_is_whole(contents->blocks);
}

/* ---- Going back ------------------------------------------------------------------ */

uint64_t pools_attachments(struct pools *pools)
{
	return atomic_load(&pools->attachments);
}

/* A map that is being made of what the snapshot has. */
struct rebuilt {
	struct extmap map;
	struct extmap added; /* what of it the pool did not have */
};

/* Has the pool this block at this page still, with the bytes of the snapshot? */
static bool is_unchanged(const struct pool *pool, const struct pool_contents *contents, uint64_t page,
			 uint64_t block, bool unwritten)
{
	uint64_t end;
	const struct extent *now = pool_extmap_at(&pool->map, page, page + 1, &end);

	return now && extent_block(now, page) == block &&
	       (unwritten || !region_snapshot_has_changed(contents->blocks, block * BLOCK_BYTES));
}

static int insert(struct extmap *map, uint64_t page, uint64_t pages, uint64_t block, bool unwritten)
{
	if (pool_extmap_reserve(map, 1))
		return -ENOMEM;
	pool_extmap_insert(map, page, pages, block, unwritten);
	return 0;
}

static int copy_block(struct pool *pool, const struct pool_contents *contents, uint64_t from, uint64_t to)
{
	unsigned char bytes[BLOCK_BYTES];
	int error = region_snapshot_read(contents->blocks, from * BLOCK_BYTES, bytes);

	return error ? error : media_write(pool->pools->region, to * BLOCK_BYTES, bytes, BLOCK_BYTES);
}

/* New blocks for pages that the snapshot has at `block`. */
static int add_blocks(struct pool *pool, const struct pool_contents *contents, struct rebuilt *rebuilt,
		      uint64_t page, uint64_t pages, uint64_t block, bool unwritten)
{
	struct space *space = &pool->pools->space;

	while (pages) {
		const uint64_t goal = pool_extmap_goal(&rebuilt->map, page);
		uint64_t taken, got = pool_space_take(space, SPACE_DATA, goal, pages, false, &taken);
		int error;

		if (!got)
			return -ENOSPC;
		error = insert(&rebuilt->added, page, got, taken, unwritten);
		if (error) {
			pool_space_release(space, taken, got);
			return error;
		}
		error = insert(&rebuilt->map, page, got, taken, unwritten);
		for (uint64_t i = 0; !error && !unwritten && i < got; i++)
			error = copy_block(pool, contents, block + i, taken + i);
		if (error)
			return error;
		page += got;
		block += got;
		pages -= got;
	}
	return 0;
}

static int rebuild_extent(struct pool *pool, const struct pool_contents *contents, struct rebuilt *rebuilt,
			  const struct extent *extent)
{
	const bool unwritten = extent_unwritten(extent);
	uint64_t page = extent->page, end;
	int error = 0;

	for (; !error && page < extent_end(extent); page = end) {
		const uint64_t block = extent_block(extent, page);
		const bool keeps = is_unchanged(pool, contents, page, block, unwritten);

		for (end = page + 1; end < extent_end(extent); end++)
			if (is_unchanged(pool, contents, end, extent_block(extent, end), unwritten) != keeps)
				break;
		error = keeps ? insert(&rebuilt->map, page, end - page, block, unwritten) :
				add_blocks(pool, contents, rebuilt, page, end - page, block, unwritten);
	}
	return error;
}

static int rebuild(struct pool *pool, const struct pool_contents *contents, struct rebuilt *rebuilt)
{
	int error = 0;

	for (uint32_t i = 0; !error && i < contents->map.count; i++)
		error = rebuild_extent(pool, contents, rebuilt, &contents->map.items[i]);
	media_fence(pool->pools->region);
	/* A copy may have failed while blocks were taken that the snapshot has. */
	return error || pool_contents_are_whole(contents) ? error : -ENOMEM;
}

/* No client maps it: records of clients that have ended are dropped. */
static void detach(struct pool *pool)
{
	{
		LOCK_SCOPE(&pool->pools->list_lock);
		pool_unlist_attached(pool);
	}
	if (pool->view)
		view_detach(pool->view);
}

/* The entry on the media gets the new map and size, or nothing has changed. */
static int commit(struct pool *pool, const struct pool_contents *contents, struct rebuilt *rebuilt)
{
	const struct timespec mtime = pool->durable_mtime, ctime = pool->durable_ctime;
	const uint64_t durable_size = pool->durable_size;
	const bool map_changed = pool->map_changed;
	struct extmap before = pool->map;
	int error;

	pool->map = rebuilt->map;
	pool->map_changed = true;
	pool->durable_size = contents->size;
	pool->durable_mtime = pool->durable_ctime = pool_time_now();
	error = pool_inode_commit(pool);
	if (error) {
		pool->map = before;
		pool->map_changed = map_changed;
		pool->durable_size = durable_size;
		pool->durable_mtime = mtime;
		pool->durable_ctime = ctime;
		return error;
	}
	rebuilt->map = (struct extmap){ 0 };
	pool->size = contents->size;
	pool->mtime = pool->ctime = pool->durable_mtime;
	pool_space_release_new(&pool->pools->space, &before, &pool->map);
	pool_extmap_free(&before);
	return 0;
}

/* No call is in the pools, and pool->lock is held. */
static int restore(struct pool *pool, const struct pool_contents *contents)
{
	const uint64_t promised = pool_promised_pages(pool, 0, POOL_PAGES_MAX);
	struct rebuilt rebuilt = { 0 };
	int error = rebuild(pool, contents, &rebuilt);

	if (!error)
		error = commit(pool, contents, &rebuilt);
	if (error) {
		pool_space_release_extents(&pool->pools->space, &rebuilt.added);
	} else {
		pool_discard_pages(pool, 0, POOL_PAGES_MAX, promised);
		detach(pool);
		pool_drop_clean_view(pool);
		pool_zero_tail(pool);
	}
	pool_extmap_free(&rebuilt.map);
	pool_extmap_free(&rebuilt.added);
	return error;
}

int pool_contents_restore(struct pool *pool, struct pool_contents *contents, uint64_t attachments)
{
	struct pools *pools = pool->pools;
	int error = pools_drain(pools);

	if (error)
		return error;
	/* What the undo list keeps must not make it fail, and is of before. */
	pools_commit(pools);
	WRITE_SCOPE(&pools->power);
	WRITE_SCOPE(&pool->lock);
	error = may_keep(pool);
	if (error)
		return error;
	if (pool->opens || atomic_load(&pools->attachments) != attachments)
		return -EBUSY;
	if (!pool_contents_are_whole(contents))
		return -ENOMEM;
	pools_undo_commit_all(pools);
	return media_outcome(pools, restore(pool, contents));
}
