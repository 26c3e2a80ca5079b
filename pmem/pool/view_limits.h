/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_VIEW_LIMITS_H
#define POOL_VIEW_LIMITS_H

/*
 * Private to pmem/pool: which pools are active, and how much memory and how many
 * descriptors their views may take.
 */

#include "pool/inode.h"
#include "pool/pools.h"

/* Set the limits of newly opened pools from those of the process and the machine. */
void pools_set_limits(struct pools *pools);

/* Put the pool on the list of those that an outage and a sync look at. pool->lock is held. */
void pool_activate(struct pool *pool);
/* All active pools, each with a reference, for free(); NULL: there is no memory. */
struct pool **pools_copy_active(struct pools *pools, size_t *count);

/*
 * To be called after whatever may have given memory to the view or taken it. pool->lock is held
 * exclusively.
 */
void pool_account_view(struct pool *pool);
/* Give the memory of a view without volatile bytes back. pool->lock is held exclusively. */
void pool_drop_clean_view(struct pool *pool);

/*
 * If too many views have memory: sync some closed pools and drop their views. No pool->lock is held. Takes a
 * bounded time, and is called often.
 */
void pools_limit_views(struct pools *pools);
/* If views have too much memory: drop some of closed pools that are clean. Otherwise the same. */
void pools_limit_memory(struct pools *pools);

#endif
