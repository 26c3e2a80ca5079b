/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_VIEW_LIMITS_H
#define POOL_VIEW_LIMITS_H

/* Private to pmem/pool: which pools are active, and the limits of memory and descriptors for their views. */

#include "pool/inode.h"
#include "pool/pools.h"

/* Set the limits for newly opened pools from those of the process and the machine. */
void pools_set_limits(struct pools *pools);

/* Put the pool on the list of active pools, which an outage and a sync go through. pool->lock is held. */
void pool_activate(struct pool *pool);
/* An array of all active pools, each with a reference, for free(); NULL: out of memory. */
struct pool **pools_copy_active(struct pools *pools, size_t *count);

/* To be called after each change of the memory of the view. pool->lock is held exclusively. */
void pool_account_view(struct pool *pool);
/* Free the memory of a view without volatile bytes. pool->lock is held exclusively. */
void pool_drop_clean_view(struct pool *pool);

/*
 * If too many views have memory, drop views of closed pools: clean ones first, and then some whose pools are
 * synced for it. So are views that were attached and that no client has any more. No pool->lock is held.
 * Takes a bounded time, and is called often.
 */
void pools_limit_views(struct pools *pools);
/*
 * The same for attached pools, if there are many: views that no client has, and that are clean. A drain takes
 * the locks of all attached pools.
 */
void pools_limit_attached(struct pools *pools);
/* The pool is not attached any more. pools->list_lock is held. */
void pool_unlist_attached(struct pool *pool);
/*
 * An operation on the pool has failed. If that was for lack of space, pools_make_room(). If it was for
 * lack of descriptors or mappings, drop some views of other pools that no client has, also of open pools:
 * clean ones, or else of pools that are synced for it. Inside the gate; no pool->lock is held. True: try
 * again.
 */
bool pool_make_room(struct pool *pool, int error);
/*
 * The attached pools, those first that were attached first, each with a reference, for free(), and their
 * number. NULL: there is none (*count is 0) or no memory.
 */
struct pool **pools_copy_attached(struct pools *pools, size_t *count);
/* pools_for_once_attached() for those whose views have memory. */
void pools_for_once_attached_views(struct pools *pools, void (*call)(void *context, struct pool *pool),
				   void *context);
/*
 * An attached pool that is not open, whose view no client has any more, and all of whose bytes are durable,
 * is not attached any more, and its view has no memory. True: it is not attached. pool->lock is held
 * exclusively.
 */
bool pool_release_view(struct pool *pool);
/* If views have too much memory, drop some views of closed pools that are clean. Otherwise as above. */
void pools_limit_memory(struct pools *pools);

#endif
