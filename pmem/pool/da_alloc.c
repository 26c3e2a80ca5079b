/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/da_alloc.h"

#include <errno.h>

#include "common/cleanup.h"
#include "pool/gate.h"
#include "pool/own_modes.h"
#include "pool/pools.h"
#include "pool/undo.h"
#include "pool/writeback.h"

static bool is_wanted(const struct pool *pool)
{
	return pool->pools->options.auto_da_alloc && !pool->pools->read_only &&
	       pool_metadata(pool) != METADATA_STRICT;
}

void pool_note_truncated(struct pool *pool)
{
	if (is_wanted(pool))
		atomic_fetch_add(&pool->truncations, 1);
}

static int allocate_once(struct pool *pool)
{
	WRITE_SCOPE(&pool->lock);
	/* What programs map is as on a DAX file system, which has no late allocation. */
	return pool->dead || !S_ISREG(pool->mode) || pool->is_attached ? 0 : pool_sync_locked(pool);
}

void pool_allocate(struct pool *pool)
{
	int error;

	if (!is_wanted(pool))
		return;
	do
		error = allocate_once(pool);
	while (error == -ENOSPC && pools_make_room(pool->pools));
	pools_undo_reap(pool->pools);
}

bool pool_wants_flush(const struct pool *pool)
{
	return pool->pools->options.auto_da_alloc;
}

bool pool_flush(struct pool_handle *handle)
{
	struct pool *pool = handle->pool;
	const uint64_t truncations = atomic_load(&pool->truncations);

	if (truncations == atomic_load(&pool->allocated) || pool_gate_enter_handle(handle) < 0)
		return false;
	pool_allocate(pool);
	pool_gate_leave(pool->pools);
	atomic_store(&handle->flushed, truncations);
	return true;
}

bool pool_ends_flushes(const struct pool_handle *handle)
{
	const uint64_t flushed = atomic_load(&handle->flushed);

	/* If it was truncated again, the close after that matters. */
	return flushed && flushed == atomic_load(&handle->pool->truncations) &&
	       flushed != atomic_load(&handle->pool->allocated);
}

void pool_note_closed(struct pool_handle *handle)
{
	if (pool_ends_flushes(handle))
		atomic_store(&handle->pool->allocated, atomic_load(&handle->flushed));
}
