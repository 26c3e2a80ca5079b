/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_RESIZE_H
#define POOL_RESIZE_H

/* Private to pmem/pool: the size of a pool, and the bytes behind it. pool->lock is held exclusively. */

#include "pool/inode.h"

/*
 * Increase the size that a reader sees; the bytes in between read as zero. Volatile. 0 or
 * -ENOMEM, -EMFILE; a smaller size does nothing.
 */
int pool_extend(struct pool *pool, uint64_t size);
/*
 * Zero what follows the durable size in its page, in the view and on the media. It may be what
 * was cut off, or what became durable before a size that did not: if the file grew
 * over it and the zeros of that growth were lost, it would come back.
 */
void pool_zero_tail(struct pool *pool);

#endif
