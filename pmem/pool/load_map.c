/* SPDX-License-Identifier: BSD-3-Clause */

/* Loads a file's extents from the media. Nothing there is trusted before it was checked. */

#include "pool/load.h"

#include <stdlib.h>
#include <string.h>

#include "pool/table.h"

/* A block that cannot be read is a damaged one. */
static bool read_copy(const struct pool *pool, uint64_t at, uint32_t number, struct map_block *block)
{
	const struct pools *pools = pool->pools;

	return media_read(pools->region, at * BLOCK_BYTES, block, sizeof(*block)) == 0 &&
	       block->magic == MAP_MAGIC && block->owner == pool->index && block->number == number &&
	       block->count <= MAP_EXTENTS &&
	       block->checksum == pool_slot_checksum(pools->uuid_seed, block, sizeof(*block));
}

/* The first valid copy of map block `number`; false if there is none. */
static bool read_valid_copy(struct pool *pool, const uint64_t next[2], uint32_t number,
			    const struct load_report *report, struct map_block *block)
{
	struct map_block other;
	bool found = false;
	unsigned bad = 0;

	for (unsigned copy = 0; copy < 2; copy++) {
		if (next[copy] == 0 || next[copy] >= pool->pools->space.blocks)
			continue;
		if (read_copy(pool, next[copy], number, found ? &other : block))
			found = true;
		else
			bad |= 1u << copy;
	}
	if (!found)
		pool_load_problem(
			report, POOLS_DAMAGE, next[0] * BLOCK_BYTES,
			"file entry %u: both copies of its map block %u are damaged: its extents from "
			"there on are lost",
			pool->index, number);
	else if (bad)
		pool->map_changed = true;
	if (found && bad)
		pool_load_problem(report, POOLS_REDUNDANT, next[bad & 1 ? 0 : 1] * BLOCK_BYTES,
				  "file entry %u: copy %u of its map block %u is damaged; the other copy is "
				  "whole",
				  pool->index, bad & 1 ? 0 : 1, number);
	return found;
}

/* Check extents and append them to the map. False: one is out of order, out of range or claimed already. */
static bool take_extents(struct pool *pool, const struct extent *extents, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct extent *extent = &extents[i];
		uint64_t least = pool->map.count ? extent_end(&pool->map.items[pool->map.count - 1]) : 0;

		if (extent->page < least || extent_pages(extent) == 0 || extent_end(extent) > POOL_PAGES_MAX)
			return false;
		if (!pool_space_claim(&pool->pools->space, extent->block, extent_pages(extent)))
			return false;
		if (pool_extmap_reserve(&pool->map, 1))
			return false;
		pool->map.items[pool->map.count++] = *extent;
	}
	return true;
}

static bool take_chain_block(struct pool *pool, const uint64_t next[2])
{
	for (unsigned copy = 0; copy < 2; copy++) {
		if (!pool_space_claim(&pool->pools->space, next[copy], 1))
			return false;
		pool->chain[pool->chain_count++] = next[copy];
	}
	return true;
}

static bool load_chain(struct pool *pool, const struct file_slot *slot, const struct load_report *report)
{
	uint64_t next[2] = { slot->map[0], slot->map[1] };

	/* Check the count against the region's size before it is used to allocate memory. */
	if (slot->map_blocks > pool->pools->space.blocks / 2)
		return false;
	pool->chain = calloc(2 * (size_t)slot->map_blocks, sizeof(uint64_t));
	if (!pool->chain)
		return false;
	for (uint32_t number = 0; number < slot->map_blocks; number++) {
		struct map_block block;

		if (!read_valid_copy(pool, next, number, report, &block) || !take_chain_block(pool, next) ||
		    !take_extents(pool, block.extents, block.count))
			return false;
		memcpy(next, block.next, sizeof(next));
	}
	return pool->map.count == slot->extents;
}

bool pool_load_map(struct pool *pool, const struct file_slot *slot, const struct load_report *report)
{
	bool sound;

	pool_extmap_free(&pool->map);
	free(pool->chain);
	pool->chain = NULL;
	pool->chain_count = 0;
	pool->map_changed = false;
	if (slot->map_blocks)
		sound = load_chain(pool, slot, report);
	else
		sound = slot->extents <= INLINE_EXTENTS &&
			take_extents(pool, slot->inline_extents, slot->extents);
	return sound;
}
