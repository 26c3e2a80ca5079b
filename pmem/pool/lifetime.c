/* SPDX-License-Identifier: BSD-3-Clause */

/* References, handles, and the end of a pool. */

#include "pool/lifetime.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "pool/da_alloc.h"
#include "pool/gate.h"
#include "pool/placement.h"
#include "pool/pools.h"
#include "pool/table.h"
#include "pool/undo.h"
#include "pool/view_limits.h"
#include "pool/xattr.h"

/* ---- Destroying ------------------------------------------------------------------ */

/* A destroyed pool stays in memory as long as there are references to it. */
static void move_to_destroyed(struct pool *pool)
{
	struct pools *pools = pool->pools;

	LOCK_SCOPE(&pools->list_lock);
	pools->files[pool->index] = NULL;
	LIST_INSERT_HEAD(&pools->destroyed, pool, destroyed);
	pool->is_destroyed = true;
	if (pool->is_active)
		TAILQ_REMOVE(&pools->active, pool, active);
	if (pool->is_nameless)
		LIST_REMOVE(pool, nameless);
	pool_unlist_attached(pool);
	if (pool->was_attached)
		LIST_REMOVE(pool, once_attached);
	pool->is_active = pool->is_nameless = pool->was_attached = false;
}

void pool_note_nameless(struct pool *pool)
{
	LOCK_SCOPE(&pool->pools->list_lock);
	LIST_INSERT_HEAD(&pool->pools->nameless, pool, nameless);
	pool->is_nameless = true;
	/* pools_limit_views() takes its view first, while a processor's caches have it. */
	if (pool->is_active) {
		TAILQ_REMOVE(&pool->pools->active, pool, active);
		TAILQ_INSERT_HEAD(&pool->pools->active, pool, active);
	}
}

void pool_forget_nameless(struct pool *pool)
{
	LOCK_SCOPE(&pool->pools->list_lock);
	if (pool->is_nameless)
		LIST_REMOVE(pool, nameless);
	pool->is_nameless = false;
}

void pools_destroy_nameless(struct pools *pools)
{
	struct pool *pool;

	while ((pool = LIST_FIRST(&pools->nameless))) {
		pool_ref(pool, 1);
		{
			WRITE_SCOPE(&pool->lock);
			pool_destroy(pool);
		}
		pool_unref(pool, 1);
	}
}

/* Nobody writes a page of the pool back any more. */
static void drop_view(struct pool *pool)
{
	const uint64_t all = POOL_PAGES_MAX;

	if (!pool->view)
		return;
	pool_discard_pages(pool, 0, all, pool_promised_pages(pool, 0, all));
	view_detach(pool->view);
	pool_drop_clean_view(pool);
}

/* The blocks of the pool are not its own any more. */
static void forget_map(struct pool *pool)
{
	pool_extmap_free(&pool->map);
	pool_extmap_free(&pool->retired);
	pool->chain_count = 0;
	pool->map_changed = false;
	pool->size = pool->durable_size = 0;
}

void pool_destroy(struct pool *pool)
{
	struct pools *pools = pool->pools;

	drop_view(pool);
	pool_undo_forget_held(pool);
	move_to_destroyed(pool);
	/* An entry that the media still has keeps its blocks: loading frees a file without a name. */
	if (pool_table_free(pools, pool->index) == 0) {
		pool_space_release_extents(&pools->space, &pool->map);
		pool_space_release_extents(&pools->space, &pool->retired);
		pool_chain_release(&pools->space, pool->chain, pool->chain_count);
		pool_xattrs_release(pool);
	}
	forget_map(pool);
	atomic_fetch_sub(S_ISDIR(pool->mode) ? &pools->directory_count : &pools->file_count, 1);
	atomic_store(&pool->dead, true);
}

void pool_retire(struct pool *pool)
{
	drop_view(pool);
	move_to_destroyed(pool);
	forget_map(pool);
	pool->names = NULL;
	atomic_store(&pool->links, 0);
	if (pool->directory) {
		pool->directory->count = pool->directory->holes = 0;
		pool->directory->subdirectories = 0;
	}
	atomic_store(&pool->dead, true);
}

bool pool_destroy_if_unused(struct pool *pool)
{
	bool unused;

	{
		LOCK_SCOPE(&pool->pools->opens_lock);
		unused = pool->opens == 0 && pool->links == 0 && pool->undo_notes == 0 && !pool->dead &&
			 pool != pool->pools->root && !pool->pools->read_only;
		/* pool_open() takes the same lock, so no new handle can be opened from here on. */
		if (unused)
			atomic_store(&pool->dead, true);
	}
	if (!unused)
		return false;
	WRITE_SCOPE(&pool->lock);
	pool_destroy(pool);
	return true;
}

void pool_destroy_nameless(struct pool *pool)
{
	if (!pool)
		return;
	pool_ref(pool, 1);
	pool_destroy_if_unused(pool);
	pool_unref(pool, 1);
}

/* ---- References ------------------------------------------------------------------ */

uint64_t pool_tag(const struct pool *pool)
{
	return atomic_load(&pool->tag);
}

void pool_set_tag(struct pool *pool, uint64_t tag)
{
	atomic_store(&pool->tag, tag);
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
		if (atomic_fetch_sub(&pool->references, count) != count || !pool->is_destroyed)
			return;
		LIST_REMOVE(pool, destroyed);
	}
	pool_inode_free(pool);
}

/* ---- Handles --------------------------------------------------------------------- */

int pool_open(struct pool *pool, struct pool_handle **out)
{
	struct pool_handle *handle;

	GATE_SCOPE(pool->pools);
	handle = malloc(sizeof(*handle));
	if (!handle)
		return -ENOMEM;
	{
		LOCK_SCOPE(&pool->pools->opens_lock);
		if (pool->dead) {
			free(handle);
			return -ESTALE;
		}
		atomic_fetch_add(&pool->opens, 1);
	}
	pool_ref(pool, 1);
	if (pool->links == 0)
		pool_undo_count_held(pool);
	handle->pool = pool;
	handle->generation = atomic_load(&pool->pools->generation);
	atomic_init(&handle->flushed, 0);
	*out = handle;
	return 0;
}

/* The last handle was closed: destroy the pool if it has no name, else limit the memory of views. */
static void last_close(struct pool *pool)
{
	if (pool->links == 0) {
		READ_SCOPE(&pool->pools->tree);
		if (!pool_destroy_if_unused(pool))
			pool_undo_count_held(pool);
	} else {
		/*
		 * A clean view keeps its memory while there is enough, so that the next open finds its
		 * pages there.
		 */
		pools_limit_memory(pool->pools);
	}
}

void pool_close(struct pool_handle *handle)
{
	struct pool *pool = handle->pool;

	pool_note_closed(handle);
	free(handle);
	/* Do not wait for the end of an outage: pools_decide() destroys pools without a name. */
	if (atomic_fetch_sub(&pool->opens, 1) == 1 && pool_gate_try_enter(pool->pools)) {
		last_close(pool);
		pool_gate_leave(pool->pools);
	}
	pool_unref(pool, 1);
}

struct pool *pool_of(struct pool_handle *handle)
{
	return handle->pool;
}

int pool_handle_check(struct pool_handle *handle)
{
	return handle->generation == atomic_load(&handle->pool->pools->generation) ? 0 : -EIO;
}
