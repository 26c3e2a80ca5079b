/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_WRITEBACK_H
#define POOL_WRITEBACK_H

/* Private to pmem/pool: from the view to the media. pool->lock is held exclusively. */

#include "pool/inode.h"

/*
 * Write the dirty lines of the range to the media. If that changed the map, pool_inode_commit() must
 * follow. 0, -ENOSPC, -ENOMEM or -EIO: a part may have been written, and the rest is still dirty.
 */
int pool_persist(struct pool *pool, uint64_t page, uint64_t pages);
/* Make bytes, map, size and times of the pool durable. Errors as above. */
int pool_sync_locked(struct pool *pool);

#endif
