/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_RESIZE_H
#define POOL_RESIZE_H

/*
 * Private to pmem/pool: the size of a pool, and the bytes behind it. pool->lock is
 * held exclusively.
 *
 * Clients may have the pool's view mapped, and copies of its lines may wait in their
 * WPQs. A change that cuts bytes off, makes them zero or adds some (truncate, punch,
 * zero range, growth by any call) therefore keeps this order:
 *
 *  1. pool->lock. A drain takes the lock of each attached pool, so none runs until 4.
 *  2. The map and the size change, and are committed to the media.
 *  3. The view's memory: what was cut off becomes zero (view_discard()); before bytes are
 *     added, what CPUs stored past the end is dropped, and the view covers them (view_extend()).
 *  4. Both functions note the current batch. A drain, also that of an outage, writes
 *     lines whose copies are of that batch or of an earlier one from the view, which is newer.
 *  5. pool->lock is released.
 *
 * Nothing has to be drained before: what a copy guarantees, the view's content
 * guarantees as well, except for bytes that the change took away. Lines at or past
 * the size are dropped by the drain. A change of the mode, a rename and a link do not
 * move bytes. A pool that is destroyed takes its view with it, and records for it are dropped.
 */

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
