/* SPDX-License-Identifier: BSD-3-Clause */

/* Where the pages of a view live on the media, and the blocks that are promised to pages without one. */

#include "pool/placement.h"

#include <errno.h>

#include "common/align.h"
#include "pool/pools.h"
#include "pool/space.h"

/*
 * When an unwritten extent is first written to, so much of it around the page becomes written, and is
 * zeroed where nothing is stored.
 */
#define CONVERT_PAGES GROUP_BLOCKS

/* ---- Finding and placing --------------------------------------------------------- */

static struct placement find(void *owner, uint64_t page, uint64_t want)
{
	const struct pool *pool = owner;
	struct placement place = { 0 };
	uint64_t end;
	const struct extent *extent = pool_extmap_at(&pool->map, page, page + want, &end);

	place.pages = end - page;
	if (extent) {
		place.placed = !extent_unwritten(extent);
		place.media_offset = extent_block(extent, page) * BLOCK_BYTES;
	}
	return place;
}

struct placement pool_find_pages(const struct pool *pool, uint64_t page, uint64_t want)
{
	return find((void *)(uintptr_t)pool, page, want);
}

/* Make the part of an unwritten extent around `page` written. */
static int convert(struct pool *pool, const struct extent *extent, uint64_t page, uint64_t want,
		   struct placement *out)
{
	struct region *region = pool->pools->region;
	uint64_t start = max_u64(align_down(page, CONVERT_PAGES), extent->page);
	uint64_t end = min_u64(align_down(page, CONVERT_PAGES) + CONVERT_PAGES, extent_end(extent));
	uint64_t stop = min_u64(page + want, end);
	uint64_t block = extent->block + (start - extent->page);

	if (pool_extmap_reserve(&pool->map, 2))
		return -ENOMEM;
	/* Where a bad page does not become zero, no read of it succeeds either. */
	(void)!media_zero(region, block * BLOCK_BYTES, (page - start) * PAGE_BYTES);
	(void)!media_zero(region, (block + (stop - start)) * BLOCK_BYTES, (end - stop) * PAGE_BYTES);
	pool_extmap_flag(&pool->map, start, end - start, false);
	pool->map_changed = true;
	*out = (struct placement){
		.media_offset = (block + (page - start)) * BLOCK_BYTES,
		.pages = stop - page,
		.placed = true,
		.fresh = true,
	};
	return 0;
}

static bool is_present(const struct pool *pool, uint64_t page)
{
	return pool->view && view_page_present(pool->view, page);
}

/* How many pages from `page` on, at most `want`, are present if it is, or absent if it is. */
static uint64_t equally_present(const struct pool *pool, uint64_t page, uint64_t want)
{
	uint64_t run = 1;

	while (run < want && is_present(pool, page + run) == is_present(pool, page))
		run++;
	return run;
}

/* The hole around `page` within the aligned 2 MiB of the file, and within its size. */
static void hole_around(const struct pool *pool, uint64_t page, uint64_t *start, uint64_t *end)
{
	const uint64_t group = align_down(page, CONVERT_PAGES);
	uint64_t stop;

	*start = group;
	while (*start < page && (pool_extmap_at(&pool->map, *start, page + 1, &stop) || stop <= page))
		*start = stop;
	stop = min_u64(group + CONVERT_PAGES, pages_up(pool->size));
	pool_extmap_at(&pool->map, page, max_u64(page + 1, stop), end);
}

/*
 * A hole that a client stores to through its mapping is filled around the page, as a DAX file system does for
 * a huge page: a map of single pages would be written again with each drain. Not where space is scarce, where
 * pages of the hole were promised blocks, or where there is no such run. False: nothing was placed.
 */
static bool fill_around(struct pool *pool, uint64_t page)
{
	struct space *space = &pool->pools->space;
	uint64_t start, end, block, got;

	if (!pool->is_attached || pool_space_free_for_data(space) < space->blocks / 8)
		return false;
	hole_around(pool, page, &start, &end);
	if (view_next_present(pool->view, start, end) < end || pool_extmap_reserve(&pool->map, 1))
		return false;
	got = pool_space_take(space, SPACE_DATA, pool_extmap_goal(&pool->map, start), end - start,
			      is_aligned(start, GROUP_BLOCKS), &block);
	if (got < end - start) {
		if (got)
			pool_space_release(space, block, got);
		return false;
	}
	pool_extmap_insert(&pool->map, start, got, block, true);
	return true;
}

/* Give blocks to pages that have none: one run, from `page` on, of at most `want`. */
static int place_new(struct pool *pool, uint64_t page, uint64_t want, struct placement *out)
{
	const bool promised = is_present(pool, page);
	const bool align = pool->size >= (uint64_t)GROUP_BLOCKS * BLOCK_BYTES &&
			   is_aligned(page, GROUP_BLOCKS);
	uint64_t block, got;

	/*
	 * Each present page was promised a block. Other pages are stored to through a mapping only, after
	 * they were punched, or when the pool has grown under it: they have no part in the promise.
	 */
	want = equally_present(pool, page, want);
	if (pool_extmap_reserve(&pool->map, 1))
		return -ENOMEM;
	got = pool_space_take(&pool->pools->space, promised ? SPACE_PROMISED : SPACE_DATA,
			      pool_extmap_goal(&pool->map, page), want, align, &block);
	if (got == 0)
		return -ENOSPC;
	pool->promised -= promised ? got : 0;
	pool_extmap_insert(&pool->map, page, got, block, false);
	pool->map_changed = true;
	*out = (struct placement){
		.media_offset = block * BLOCK_BYTES, .pages = got, .placed = true, .fresh = true
	};
	return 0;
}

static int place(void *owner, uint64_t page, uint64_t want, struct placement *out)
{
	struct pool *pool = owner;
	uint64_t end;
	const struct extent *extent = pool_extmap_at(&pool->map, page, page + want, &end);

	if (!extent && fill_around(pool, page))
		extent = pool_extmap_at(&pool->map, page, page + want, &end);
	return extent ? convert(pool, extent, page, want, out) : place_new(pool, page, end - page, out);
}

static uint64_t owner_size(const void *owner)
{
	const struct pool *pool = owner;

	return pool->size;
}

const struct view_owner_ops pool_view_ops = {
	.find = find,
	.place = place,
	.size = owner_size,
};

int pool_ensure_view(struct pool *pool)
{
	if (pool->view)
		return 0;
	return view_create(pool->pools->domain, &pool_view_ops, pool, &pool->view);
}

/* ---- Promises -------------------------------------------------------------------- */

static uint64_t present_pages(const struct pool *pool, uint64_t page, uint64_t end)
{
	uint64_t found = 0;

	if (!pool->view)
		return 0;
	for (; (page = view_next_present(pool->view, page, end)) < end; page++)
		found++;
	return found;
}

uint64_t pool_absent_pages(const struct pool *pool, uint64_t page, uint64_t pages)
{
	const uint64_t end = page + pages;
	uint64_t absent = 0, stop;

	/* A range that a caller reserves may be far larger than what is there. */
	for (; page < end; page = stop) {
		if (pool_extmap_at(&pool->map, page, end, &stop))
			continue;
		absent += stop - page - present_pages(pool, page, stop);
	}
	return absent;
}

static bool has_block(const struct pool *pool, uint64_t page)
{
	uint64_t end;

	return pool_extmap_at(&pool->map, page, page + 1, &end);
}

/* Count the pages of the range that are present and have no block. */
static uint64_t present_without_block(const struct pool *pool, uint64_t page, uint64_t pages)
{
	const uint64_t end = page + pages;
	uint64_t found = 0;

	if (!pool->view)
		return 0;
	for (; (page = view_next_present(pool->view, page, end)) < end; page++)
		found += !has_block(pool, page);
	return found;
}

uint64_t pool_promised_pages(const struct pool *pool, uint64_t page, uint64_t pages)
{
	return pool->promised ? present_without_block(pool, page, pages) : 0;
}

void pool_recount_promised(struct pool *pool)
{
	const uint64_t now = present_without_block(pool, 0, POOL_PAGES_MAX);

	pool_space_promise_exactly(&pool->pools->space, pool->promised, now);
	pool->promised = now;
}

/* Give unwritten blocks, out of the promise, to at most `want` pages of the hole at `page`. */
static int fill_hole(struct pool *pool, uint64_t page, uint64_t want, uint64_t *filled)
{
	uint64_t goal = pool_extmap_goal(&pool->map, page);
	bool align = is_aligned(page, GROUP_BLOCKS) && want >= GROUP_BLOCKS;
	uint64_t block;

	if (pool_extmap_reserve(&pool->map, 1))
		return -ENOMEM;
	*filled = pool_space_take(&pool->pools->space, SPACE_PROMISED, goal, want, align, &block);
	if (*filled == 0)
		return -ENOSPC;
	pool->promised -= *filled;
	pool_extmap_insert(&pool->map, page, *filled, block, true);
	return 0;
}

int pool_reserve_pages(struct pool *pool, uint64_t page, uint64_t pages)
{
	const uint64_t end = page + pages, absent = pool_absent_pages(pool, page, pages);
	int error = pool_space_promise(&pool->pools->space, absent);
	uint64_t stop;

	if (error)
		return error;
	pool->promised += absent;
	while (page < end) {
		if (!pool_extmap_at(&pool->map, page, end, &stop)) {
			error = fill_hole(pool, page, stop - page, &stop);
			if (error)
				return error;
			stop += page;
		}
		page = stop;
	}
	return 0;
}

void pool_discard_pages(struct pool *pool, uint64_t page, uint64_t pages, uint64_t promised)
{
	if (!pool->view)
		return;
	view_discard(pool->view, page, pages);
	pool_space_unpromise(&pool->pools->space, promised);
	pool->promised -= promised;
}
