/* SPDX-License-Identifier: BSD-3-Clause */

/* A file's extents in memory: a sorted array with binary search. */

#include "pool/extmap.h"

#include <errno.h>
#include <string.h>

void pool_extmap_free(struct extmap *map)
{
	vector_free(map);
}

int pool_extmap_reserve(struct extmap *map, size_t more)
{
	return vector_reserve(map, more);
}

int pool_extmap_copy(const struct extmap *map, struct extmap *copy)
{
	*copy = (struct extmap){ 0 };
	if (pool_extmap_reserve(copy, map->count))
		return -ENOMEM;
	if (map->count)
		memcpy(copy->items, map->items, map->count * sizeof(struct extent));
	copy->count = map->count;
	return 0;
}

size_t pool_extmap_find(const struct extmap *map, uint64_t page)
{
	size_t low = 0, high = map->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (extent_end(&map->items[middle]) <= page)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct extent *pool_extmap_at(const struct extmap *map, uint64_t page, uint64_t limit, uint64_t *end)
{
	const size_t at = pool_extmap_find(map, page);
	const struct extent *extent;

	if (at == map->count || map->items[at].page >= limit) {
		*end = limit;
		return NULL;
	}
	extent = &map->items[at];
	if (extent->page > page) {
		*end = extent->page;
		return NULL;
	}
	*end = extent_end(extent) < limit ? extent_end(extent) : limit;
	return extent;
}

uint64_t pool_extmap_goal(const struct extmap *map, uint64_t page)
{
	size_t at = pool_extmap_find(map, page);

	/*
	 * Keep a gap of the file as a gap on the media, so that the extents can merge when it is filled
	 * later.
	 */
	return at ? map->items[at - 1].block + (page - map->items[at - 1].page) : 0;
}

static struct extent make_extent(uint64_t page, uint64_t pages, uint64_t block, bool unwritten)
{
	return (struct extent){
		.page = (uint32_t)page,
		.pages = (uint32_t)pages | (unwritten ? EXTENT_UNWRITTEN : 0),
		.block = block,
	};
}

/*
 * Are the two adjacent in the file and on the media, both written or both unwritten, and together not
 * too long for one extent?
 */
static bool can_merge(const struct extent *left, const struct extent *right)
{
	return extent_end(left) == right->page && left->block + extent_pages(left) == right->block &&
	       extent_unwritten(left) == extent_unwritten(right) &&
	       (uint64_t)extent_pages(left) + extent_pages(right) < EXTENT_UNWRITTEN;
}

/* Room for 1 extent must be reserved. */
static void insert_at(struct extmap *map, size_t at, struct extent extent)
{
	(void)vector_insert(map, at, extent);
}

static void merge_around(struct extmap *map, size_t at)
{
	if (at + 1 < map->count && can_merge(&map->items[at], &map->items[at + 1])) {
		map->items[at].pages += extent_pages(&map->items[at + 1]);
		vector_remove(map, at + 1);
	}
	if (at > 0 && can_merge(&map->items[at - 1], &map->items[at])) {
		map->items[at - 1].pages += extent_pages(&map->items[at]);
		vector_remove(map, at);
	}
}

void pool_extmap_insert(struct extmap *map, uint64_t page, uint64_t pages, uint64_t block, bool unwritten)
{
	size_t at = pool_extmap_find(map, page);

	insert_at(map, at, make_extent(page, pages, block, unwritten));
	merge_around(map, at);
}

/* If `page` lies inside an extent, split it in two there. Room for 1 extent must be reserved. */
static void split_at(struct extmap *map, uint64_t page)
{
	size_t at = pool_extmap_find(map, page);
	struct extent whole;
	uint64_t left;

	if (at == map->count || map->items[at].page >= page)
		return;
	whole = map->items[at];
	left = page - whole.page;
	map->items[at] = make_extent(whole.page, left, whole.block, extent_unwritten(&whole));
	insert_at(
		map, at + 1,
		make_extent(page, extent_pages(&whole) - left, whole.block + left, extent_unwritten(&whole)));
}

int pool_extmap_remove(struct extmap *map, uint64_t page, uint64_t pages, struct extmap *removed)
{
	uint64_t end = page + pages;
	size_t first, last;

	if (pool_extmap_reserve(map, 2))
		return -ENOMEM;
	if (removed && pool_extmap_reserve(removed, map->count + 2))
		return -ENOMEM;
	split_at(map, page);
	split_at(map, end);
	first = last = pool_extmap_find(map, page);
	while (last < map->count && map->items[last].page < end)
		last++;
	if (removed) {
		memcpy(&removed->items[removed->count], &map->items[first],
		       (last - first) * sizeof(struct extent));
		removed->count += last - first;
	}
	memmove(&map->items[first], &map->items[last], (map->count - last) * sizeof(struct extent));
	map->count -= last - first;
	return 0;
}

void pool_extmap_flag(struct extmap *map, uint64_t page, uint64_t pages, bool unwritten)
{
	uint64_t end = page + pages;
	size_t first;

	split_at(map, page);
	split_at(map, end);
	first = pool_extmap_find(map, page);
	for (size_t at = first; at < map->count && map->items[at].page < end; at++)
		map->items[at].pages = extent_pages(&map->items[at]) | (unwritten ? EXTENT_UNWRITTEN : 0);
	for (size_t at = first; at < map->count && map->items[at].page <= end; at++)
		while (at + 1 < map->count && can_merge(&map->items[at], &map->items[at + 1])) {
			map->items[at].pages += extent_pages(&map->items[at + 1]);
			vector_remove(map, at + 1);
		}
	if (first > 0 && first < map->count)
		merge_around(map, first);
}

uint64_t pool_extmap_pages(const struct extmap *map)
{
	uint64_t pages = 0;

	for (size_t at = 0; at < map->count; at++)
		pages += extent_pages(&map->items[at]);
	return pages;
}
