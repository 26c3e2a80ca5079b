/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_PLACEMENT_H
#define POOL_PLACEMENT_H

/*
 * Private to pmem/pool: where the pages of a pool's view live on the media, and the
 * blocks that are promised to pages that have none yet. pool->lock is held,
 * exclusively by whatever changes anything.
 *
 * Invariant: pool->promised is the number of pages that are present in the view and
 * have no block.
 */

#include "domain/domain.h"
#include "pool/inode.h"

/* For view_create(); the owner is the struct pool. */
extern const struct view_owner_ops pool_view_ops;
/* Make the view if there is none: 0 or -ENOMEM. */
int pool_ensure_view(struct pool *pool);

/* Where `page` lives, and at most `want` pages from it on: pool_view_ops.find. */
struct placement pool_find_pages(const struct pool *pool, uint64_t page, uint64_t want);

/* Pages of the range that have no block and are not present: a store to one needs a block. */
uint64_t pool_absent_pages(const struct pool *pool, uint64_t page, uint64_t pages);
/* Pages of the range that are present and have no block: each was promised one. */
uint64_t pool_promised_pages(const struct pool *pool, uint64_t page, uint64_t pages);
/* Recount the promise after the map was restored. */
void pool_recount_promised(struct pool *pool);
/*
 * Give blocks, unwritten, to the range's pages that have none: 0, -ENOMEM or -ENOSPC; then some of them may
 * have got theirs. pool_inode_commit() makes it durable.
 */
int pool_reserve_pages(struct pool *pool, uint64_t page, uint64_t pages);
/*
 * Discard what is volatile in the pages, and the promise to them: `promised`, counted before the map lost
 * any block.
 */
void pool_discard_pages(struct pool *pool, uint64_t page, uint64_t pages, uint64_t promised);

#endif
