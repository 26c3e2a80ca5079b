/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_PLACEMENT_H
#define POOL_PLACEMENT_H

/*
 * Private to pmem/pool: the place of each page of a view on the media, and the blocks that are promised
 * to pages without one. pool->lock is held, exclusively by functions that change anything.
 *
 * Invariant: pool->promised is the number of pages that are present in the view and have no block.
 */

#include "domain/domain.h"
#include "pool/inode.h"

/* The operations for view_create(). The owner is the struct pool. */
extern const struct view_owner_ops pool_view_ops;
/* Create the view if there is none: 0 or -ENOMEM. */
int pool_ensure_view(struct pool *pool);

/* The place of at most `want` pages from `page` on: pool_view_ops.find. */
struct placement pool_find_pages(const struct pool *pool, uint64_t page, uint64_t want);

/* The number of pages in the range that have no block and are not present: a store to one needs a block. */
uint64_t pool_absent_pages(const struct pool *pool, uint64_t page, uint64_t pages);
/* The number of pages in the range that are present and have no block: each was promised one. */
uint64_t pool_promised_pages(const struct pool *pool, uint64_t page, uint64_t pages);
/* Recompute the promise after the map was restored. */
void pool_recount_promised(struct pool *pool);
/*
 * Give unwritten blocks to the pages of the range that have none: 0, -ENOMEM or -ENOSPC. After an error
 * some pages may have got one. pool_inode_commit() makes it durable.
 */
int pool_reserve_pages(struct pool *pool, uint64_t page, uint64_t pages);
/*
 * Discard the volatile bytes of the pages, and the promise of `promised` blocks, which were counted
 * before the map lost any block.
 */
void pool_discard_pages(struct pool *pool, uint64_t page, uint64_t pages, uint64_t promised);

#endif
