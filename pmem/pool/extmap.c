/* SPDX-License-Identifier: BSD-3-Clause */

/* A file's extents in memory: a sorted array with binary search. */

#include "pool/extmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void pool_extmap_free(struct extmap *map)
{
	free(map->extents);
	*map = (struct extmap){ 0 };
}

int pool_extmap_reserve(struct extmap *map, uint32_t more)
{
	uint32_t wanted = map->count + more;
	struct extent *grown;

	if (wanted <= map->room)
		return 0;
	if (wanted < 2 * map->room)
		wanted = 2 * map->room;
	grown = realloc(map->extents, wanted * sizeof(struct extent));
	if (!grown)
		return -ENOMEM;
	map->extents = grown;
	map->room = wanted;
	return 0;
}

int pool_extmap_copy(const struct extmap *map, struct extmap *copy)
{
	*copy = (struct extmap){ 0 };
	if (pool_extmap_reserve(copy, map->count))
		return -ENOMEM;
	if (map->count)
		memcpy(copy->extents, map->extents, map->count * sizeof(struct extent));
	copy->count = map->count;
	return 0;
}

uint32_t pool_extmap_find(const struct extmap *map, uint64_t page)
{
	uint32_t low = 0, high = map->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (extent_end(&map->extents[middle]) <= page)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct extent *pool_extmap_at(const struct extmap *map, uint64_t page, uint64_t limit, uint64_t *end)
{
	const struct extent *extent = &map->extents[pool_extmap_find(map, page)];

	if (extent == map->extents + map->count || extent->page >= limit) {
		*end = limit;
		return NULL;
	}
	if (extent->page > page) {
		*end = extent->page;
		return NULL;
	}
	*end = extent_end(extent) < limit ? extent_end(extent) : limit;
	return extent;
}

uint64_t pool_extmap_goal(const struct extmap *map, uint64_t page)
{
	uint32_t at = pool_extmap_find(map, page);

	/*
	 * Keep a gap of the file as a gap on the media, so that the extents can merge when it is filled
	 * later.
	 */
	return at ? map->extents[at - 1].block + (page - map->extents[at - 1].page) : 0;
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

static void insert_at(struct extmap *map, uint32_t at, struct extent extent)
{
	memmove(&map->extents[at + 1], &map->extents[at], (map->count - at) * sizeof(struct extent));
	map->extents[at] = extent;
	map->count++;
}

static void delete_at(struct extmap *map, uint32_t at)
{
	map->count--;
	memmove(&map->extents[at], &map->extents[at + 1], (map->count - at) * sizeof(struct extent));
}

static void merge_around(struct extmap *map, uint32_t at)
{
	if (at + 1 < map->count && can_merge(&map->extents[at], &map->extents[at + 1])) {
		map->extents[at].pages += extent_pages(&map->extents[at + 1]);
		delete_at(map, at + 1);
	}
	if (at > 0 && can_merge(&map->extents[at - 1], &map->extents[at])) {
		map->extents[at - 1].pages += extent_pages(&map->extents[at]);
		delete_at(map, at);
	}
}

void pool_extmap_insert(struct extmap *map, uint64_t page, uint64_t pages, uint64_t block, bool unwritten)
{
	uint32_t at = pool_extmap_find(map, page);

	insert_at(map, at, make_extent(page, pages, block, unwritten));
	merge_around(map, at);
}

/* If `page` lies inside an extent, split it in two there. Room for 1 extent must be reserved. */
static void split_at(struct extmap *map, uint64_t page)
{
	uint32_t at = pool_extmap_find(map, page);
	struct extent whole;
	uint64_t left;

	if (at == map->count || map->extents[at].page >= page)
		return;
	whole = map->extents[at];
	left = page - whole.page;
	map->extents[at] = make_extent(whole.page, left, whole.block, extent_unwritten(&whole));
	insert_at(
		map, at + 1,
		make_extent(page, extent_pages(&whole) - left, whole.block + left, extent_unwritten(&whole)));
}

int pool_extmap_remove(struct extmap *map, uint64_t page, uint64_t pages, struct extmap *removed)
{
	uint64_t end = page + pages;
	uint32_t first, last;

	if (pool_extmap_reserve(map, 2))
		return -ENOMEM;
	if (removed && pool_extmap_reserve(removed, map->count + 2))
		return -ENOMEM;
	split_at(map, page);
	split_at(map, end);
	first = last = pool_extmap_find(map, page);
	while (last < map->count && map->extents[last].page < end)
		last++;
	if (removed) {
		memcpy(&removed->extents[removed->count], &map->extents[first],
		       (last - first) * sizeof(struct extent));
		removed->count += last - first;
	}
	memmove(&map->extents[first], &map->extents[last], (map->count - last) * sizeof(struct extent));
	map->count -= last - first;
	return 0;
}

void pool_extmap_flag(struct extmap *map, uint64_t page, uint64_t pages, bool unwritten)
{
	uint64_t end = page + pages;
	uint32_t first;

	split_at(map, page);
	split_at(map, end);
	first = pool_extmap_find(map, page);
	for (uint32_t at = first; at < map->count && map->extents[at].page < end; at++)
		map->extents[at].pages = extent_pages(&map->extents[at]) | (unwritten ? EXTENT_UNWRITTEN : 0);
	for (uint32_t at = first; at < map->count && map->extents[at].page <= end; at++)
		while (at + 1 < map->count && can_merge(&map->extents[at], &map->extents[at + 1])) {
			map->extents[at].pages += extent_pages(&map->extents[at + 1]);
			delete_at(map, at + 1);
		}
	if (first > 0 && first < map->count)
		merge_around(map, first);
}

uint64_t pool_extmap_pages(const struct extmap *map)
{
	uint64_t pages = 0;

	for (uint32_t at = 0; at < map->count; at++)
		pages += extent_pages(&map->extents[at]);
	return pages;
}
