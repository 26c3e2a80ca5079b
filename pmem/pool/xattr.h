/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_XATTR_H
#define POOL_XATTR_H

/* Private to pmem/pool: the extended attributes of a file, in memory and on the media. */

#include <stdbool.h>

#include "pool/format.h"
#include "pool/inode.h"
#include "pool/load.h"

/*
 * Load the attributes that the slot refers to, and claim their blocks. False: they are damaged, and the pool
 * has none that can be read. 0 in the slot means none. pool->lock is not needed: the pool is being loaded.
 */
bool pool_load_xattrs(struct pool *pool, const struct file_slot *slot);

/* Release the blocks and the memory of the attributes of a pool that is destroyed. pool->lock is held. */
void pool_xattrs_release(struct pool *pool);

/*
 * Make *before, whose memory and blocks the pool takes over, the attributes again, after an outage. 0 or a
 * negative errno. Takes pool->lock.
 */
struct undo_xattrs;
int pool_xattrs_restore(struct pool *pool, struct undo_xattrs *before);

#endif
