/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_EXTMAP_H
#define POOL_EXTMAP_H

/*
 * Private to pmem/pool: the extent map of one file, in memory. Units are pages of
 * the file and blocks of the region, both of 4096 bytes. Extents are sorted by
 * page and do not overlap; two that could be one always are one.
 *
 * Not thread safe: the owner (a pool, by its lock) serializes changes.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/vector.h"
#include "pool/format.h"

struct extmap {
	VECTOR_FIELDS(struct extent);
};

static inline uint32_t extent_pages(const struct extent *extent)
{
	return extent->pages & ~EXTENT_UNWRITTEN;
}
static inline bool extent_unwritten(const struct extent *extent)
{
	return extent->pages & EXTENT_UNWRITTEN;
}
/* The page after the last one of the extent. */
static inline uint64_t extent_end(const struct extent *extent)
{
	return (uint64_t)extent->page + extent_pages(extent);
}
/* The block of a page that lies in the extent. */
static inline uint64_t extent_block(const struct extent *extent, uint64_t page)
{
	return extent->block + (page - extent->page);
}

/* An all-zero map is empty. Free its memory; it is empty again. */
void pool_extmap_free(struct extmap *map);
/* 0 or -ENOMEM; `copy` is overwritten, not freed. */
int pool_extmap_copy(const struct extmap *map, struct extmap *copy);

/* The index of the first extent that ends after `page`; the count if none does. */
size_t pool_extmap_find(const struct extmap *map, uint64_t page);
/*
 * The extent that holds `page`, or NULL if the page lies in a hole. The answer holds
 * for the pages from `page` to *end, which is at most `limit` (above `page`).
 */
const struct extent *pool_extmap_at(const struct extmap *map, uint64_t page, uint64_t limit, uint64_t *end);
/* The block that would continue the extent before `page`; 0 if there is none. */
uint64_t pool_extmap_goal(const struct extmap *map, uint64_t page);
/* All pages that have a block. */
uint64_t pool_extmap_pages(const struct extmap *map);

/* Make room for `more` extents, so that as many changes cannot fail: 0 or -ENOMEM. */
int pool_extmap_reserve(struct extmap *map, size_t more);
/*
 * Add a run of at most EXTENT_UNWRITTEN - 1 pages where there is a hole; it is merged
 * with its neighbours. Room for 1 extent must be reserved.
 */
void pool_extmap_insert(struct extmap *map, uint64_t page, uint64_t pages, uint64_t block, bool unwritten);
/*
 * Make a hole. The extents that were there are appended to `removed` (may be NULL).
 * 0 or -ENOMEM: nothing was changed.
 */
int pool_extmap_remove(struct extmap *map, uint64_t page, uint64_t pages, struct extmap *removed);
/* Mark the range's pages that have a block as unwritten or as written. Room for 2 must be reserved. */
void pool_extmap_flag(struct extmap *map, uint64_t page, uint64_t pages, bool unwritten);

#endif
