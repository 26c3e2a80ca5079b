/* SPDX-License-Identifier: BSD-3-Clause */

/* From a view to the media: by lines or by sectors, and all of a pool. */

#include "pool/writeback.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "domain/domain.h"
#include "pool/gate.h"
#include "pool/placement.h"
#include "pool/pools.h"
#include "pool/space.h"
#include "pool/undo.h"
#include "pool/view_limits.h"

/* ---- Sectors --------------------------------------------------------------------- */

/*
 * Give new blocks to the dirty pages of [page, end), so that a sector is kept or lost as a whole even
 * if the daemon is killed in the middle of a copy: committing the map moves the file to the new blocks.
 * Stops at *reached when there is no more space. -ENOSPC: there was none at all.
 */
static int relocate(struct pool *pool, uint64_t page, uint64_t end, uint64_t *reached)
{
	const uint64_t start = page;

	while ((page = view_next_dirty(pool->view, page, end)) < end) {
		struct placement old;
		uint64_t run = 1, block, got;

		while (page + run < end &&
		       view_next_dirty(pool->view, page + run, page + run + 1) == page + run)
			run++;
		old = pool_find_pages(pool, page, run);
		if (!old.placed) {
			page += old.pages;
			continue;
		}
		if (pool_extmap_reserve(&pool->map, 3))
			return -ENOMEM;
		got = pool_space_take(&pool->pools->space, SPACE_METADATA, pool_extmap_goal(&pool->map, page),
				      old.pages, false, &block);
		if (got == 0) {
			*reached = page;
			return page > start ? 0 : -ENOSPC;
		}
		if (pool_extmap_remove(&pool->map, page, got, &pool->retired)) {
			pool_space_release(&pool->pools->space, block, got);
			return -ENOMEM;
		}
		pool_extmap_insert(&pool->map, page, got, block, true);
		pool->map_changed = true;
		page += got;
	}
	*reached = end;
	return 0;
}

static int persist_sectors(struct pool *pool, uint64_t page, uint64_t end)
{
	int error = 0;

	while (!error && page < end) {
		uint64_t reached;

		error = relocate(pool, page, end, &reached);
		if (!error)
			error = view_persist(pool->view, page, reached - page);
		/* Commit, so that the old blocks of this part are free for the next one. */
		if (!error && reached < end)
			error = pool_inode_commit(pool);
		page = reached;
	}
	return error;
}

int pool_persist(struct pool *pool, uint64_t page, uint64_t pages)
{
	if (!pool->view)
		return 0;
	/* Stores of CPUs tear at lines in every mode. */
	if (pool->pool_mode == POOL_MODE_FSDAX || pool->is_attached)
		return view_persist(pool->view, page, pages);
	return persist_sectors(pool, page, page + pages);
}

/* ---- One pool -------------------------------------------------------------------- */

int pool_sync_locked(struct pool *pool)
{
	const struct timespec durable_mtime = pool->durable_mtime, durable_ctime = pool->durable_ctime;
	const uint64_t durable_size = pool->durable_size;
	int error;

	if (!pool_is_volatile(pool))
		return 0;
	pool_undo_settle_map(pool);
	error = pool_persist(pool, 0, POOL_PAGES_MAX);
	pool_note_stores(pool);
	pool_account_view(pool);
	if (error)
		return error;
	pool->durable_size = pool->size;
	pool->durable_mtime = pool->mtime;
	pool->durable_ctime = pool->ctime;
	error = pool_inode_commit(pool);
	if (error) {
		pool->durable_size = durable_size;
		pool->durable_mtime = durable_mtime;
		pool->durable_ctime = durable_ctime;
	}
	return error;
}

static int sync_once(struct pool *pool, bool data_only)
{
	WRITE_SCOPE(&pool->lock);
	if (pool->dead)
		return 0;
	pool_undo_sync(pool, data_only);
	return pool_sync_locked(pool);
}

/* Inside the gate. What the undo list keeps must not make it fail. */
static int sync_with_room(struct pool *pool, bool data_only)
{
	struct pools *pools = pool->pools;
	int error;

	if (pools->read_only)
		return 0;
	do
		error = sync_once(pool, data_only);
	while (error == -ENOSPC && pools_make_room(pools));
	pools_undo_reap(pools);
	return error;
}

int pool_sync(struct pool_handle *handle, bool data_only)
{
	HANDLE_SCOPE(handle);
	return sync_with_room(handle->pool, data_only);
}

int pool_sync_pool(struct pool *pool, bool data_only)
{
	GATE_SCOPE(pool->pools);
	return sync_with_room(pool, data_only);
}

/* ---- All pools ------------------------------------------------------------------- */

/* Persist a large pool in steps, to report progress. */
static int sync_in_steps(struct pool *pool, uint64_t *done, uint64_t total)
{
	const struct pools_options *options = &pool->pools->options;
	const uint64_t end = POOL_PAGES_MAX, step = 64u * 1024; /* pages: 256 MiB */
	int error = 0;

	for (uint64_t page = 0;
	     !error && pool->view && (page = view_next_dirty(pool->view, page, end)) < end;) {
		uint64_t dirty = view_dirty_pages(pool->view);

		error = pool_persist(pool, page, step);
		*done += dirty - view_dirty_pages(pool->view);
		if (options->progress)
			options->progress(options->progress_context, "draining", *done * PAGE_BYTES,
					  total * PAGE_BYTES);
	}
	return error ? error : pool_sync_locked(pool);
}

static int sync_one(struct pool *pool, uint64_t *done, uint64_t total)
{
	WRITE_SCOPE(&pool->lock);
	return pool->dead ? 0 : sync_in_steps(pool, done, total);
}

int pools_sync(struct pools *pools)
{
	uint64_t done = 0, total;
	struct pool **active;
	size_t count;
	int result = 0;

	if (pools->read_only)
		return 0;
	GATE_SCOPE(pools);
	active = pools_copy_active(pools, &count);
	if (!active)
		return -ENOMEM;
	total = atomic_load(&pools->dirty_pages);
	for (size_t i = 0; i < count; i++) {
		int error = sync_one(active[i], &done, total);

		if (error)
			result = error;
		pool_unref(active[i], 1);
	}
	free(active);
	pools_undo_commit_all(pools);
	pools_undo_reap(pools);
	return result;
}

void pools_commit(struct pools *pools)
{
	GATE_SCOPE(pools);
	pools_undo_commit_all(pools);
	pools_undo_reap(pools);
}
