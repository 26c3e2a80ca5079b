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
 * If too many views have memory, sync some closed pools and drop their views. No pool->lock is held.
 * Takes a bounded time, and is called often.
 */
void pools_limit_views(struct pools *pools);
/* If views have too much memory, drop some views of closed pools that are clean. Otherwise as above. */
void pools_limit_memory(struct pools *pools);

#endif
