/* SPDX-License-Identifier: BSD-3-Clause */

/* Free space: a bitmap, and a count for each 2 MiB group, by which a search skips full groups. */

#include "pool/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/align.h"
#include "common/cleanup.h"

/*
 * The search for the next file's first block starts at a multiple of this, so that a file can grow in
 * place.
 */
#define START_SPACING 16u

int pool_space_init(struct space *space, uint64_t blocks)
{
	uint64_t groups = (blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS;

	memset(space, 0, sizeof(*space));
	pthread_mutex_init(&space->lock, NULL);
	space->used = calloc(groups * GROUP_BLOCKS / 64, sizeof(uint64_t));
	space->group_free = calloc(groups, sizeof(uint16_t));
	if (!space->used || !space->group_free) {
		pool_space_destroy(space);
		return -ENOMEM;
	}
	space->blocks = blocks;
	space->free = blocks;
	for (uint64_t group = 0; group < groups; group++)
		space->group_free[group] = (uint16_t)min_u64(GROUP_BLOCKS, blocks - group * GROUP_BLOCKS);
	for (uint64_t block = blocks; block < groups * GROUP_BLOCKS; block++)
		space->used[block / 64] |= (uint64_t)1 << (block % 64);
	/* Truncating and syncing need map blocks even in a full region. */
	space->metadata_only = min_u64(blocks / 64, 4096);
	return 0;
}

void pool_space_destroy(struct space *space)
{
	free(space->used);
	free(space->group_free);
	free(space->released);
	free(space->group_tick);
	pthread_mutex_destroy(&space->lock);
}

static bool is_used(const struct space *space, uint64_t block)
{
	return space->used[block / 64] >> (block % 64) & 1;
}

static void note_released(struct space *space, uint64_t word, uint64_t mask)
{
	space->released_count += (uint64_t)__builtin_popcountll(mask & ~space->released[word]);
	space->released[word] |= mask;
	space->group_tick[word * 64 / GROUP_BLOCKS] = space->tick;
}

static void forget_released(struct space *space, uint64_t word, uint64_t mask)
{
	space->released_count -= (uint64_t)__builtin_popcountll(mask & space->released[word]);
	space->released[word] &= ~mask;
}

static void set_used(struct space *space, uint64_t block, uint64_t count, bool used)
{
	for (uint64_t end = block + count; block < end;) {
		uint64_t piece = min_u64(64 - block % 64, end - block);
		uint64_t mask = (piece == 64 ? UINT64_MAX : ((uint64_t)1 << piece) - 1) << (block % 64);

		if (space->released && used)
			forget_released(space, block / 64, mask);
		else if (space->released)
			note_released(space, block / 64, mask);
		if (used) {
			space->used[block / 64] |= mask;
			space->group_free[block / GROUP_BLOCKS] =
				(uint16_t)(space->group_free[block / GROUP_BLOCKS] - piece);
		} else {
			space->used[block / 64] &= ~mask;
			space->group_free[block / GROUP_BLOCKS] =
				(uint16_t)(space->group_free[block / GROUP_BLOCKS] + piece);
		}
		block += piece;
	}
	space->free = used ? space->free - count : space->free + count;
}

/* The number of free blocks from `block` on, at most `most`. */
static uint64_t free_run(const struct space *space, uint64_t block, uint64_t most)
{
	uint64_t run = 0;

	most = min_u64(most, space->blocks - block);
	while (run < most) {
		uint64_t at = block + run;
		uint64_t word = space->used[at / 64] >> (at % 64);
		uint64_t clear = word ? (uint64_t)__builtin_ctzll(word) : 64 - at % 64;

		run += clear;
		if (word)
			break;
	}
	return min_u64(run, most);
}

bool pool_space_claim(struct space *space, uint64_t block, uint64_t count)
{
	LOCK_SCOPE(&space->lock);
	if (count == 0 || block >= space->blocks || count > space->blocks - block)
		return false;
	if (free_run(space, block, count) < count)
		return false;
	set_used(space, block, count, true);
	return true;
}

void pool_space_release(struct space *space, uint64_t block, uint64_t count)
{
	LOCK_SCOPE(&space->lock);
	set_used(space, block, count, false);
}

/* ---- Discarding ------------------------------------------------------------------ */

int pool_space_note_released(struct space *space)
{
	const uint64_t groups = (space->blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS;

	space->released = calloc(groups * GROUP_BLOCKS / 64, sizeof(uint64_t));
	space->group_tick = calloc(groups, sizeof(uint32_t));
	return space->released && space->group_tick ? 0 : -ENOMEM;
}

/* The run of released blocks at or after *block and before `end`; 0: there is none. */
static uint64_t next_released(const struct space *space, uint64_t *block, uint64_t end)
{
	uint64_t at = *block, run = 0;

	while (at < end && !(space->released[at / 64] >> (at % 64) & 1))
		at = space->released[at / 64] >> (at % 64) ? at + 1 : align_down(at, 64) + 64;
	while (at + run < end && space->released[(at + run) / 64] >> ((at + run) % 64) & 1)
		run++;
	*block = at;
	return run;
}

static uint64_t discard_in_group(struct space *space, uint64_t group,
				 void (*discard)(void *context, uint64_t block, uint64_t count),
				 void *context)
{
	const uint64_t end = (group + 1) * GROUP_BLOCKS;
	uint64_t block = group * GROUP_BLOCKS, run, done = 0;

	while ((run = next_released(space, &block, end))) {
		discard(context, block, run);
		done += run;
		block += run;
	}
	memset(&space->released[group * GROUP_BLOCKS / 64], 0, GROUP_BLOCKS / 8);
	space->released_count -= done;
	return done;
}

uint64_t pool_space_discard(struct space *space, uint32_t rest, uint64_t most,
			    void (*discard)(void *context, uint64_t block, uint64_t count), void *context)
{
	const uint64_t groups = (space->blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS;
	uint64_t done = 0;

	{
		LOCK_SCOPE(&space->lock);
		space->tick++;
		if (!space->released_count)
			return 0;
	}
	/* The lock is released after each group: a call that needs blocks waits for one group at most. */
	for (uint64_t group = 0; group < groups && done < most; group++) {
		LOCK_SCOPE(&space->lock);
		if (space->tick - space->group_tick[group] > rest)
			done += discard_in_group(space, group, discard, context);
	}
	return done;
}

static uint64_t unpromised(const struct space *space)
{
	uint64_t kept = space->promised + space->metadata_only;

	return space->free > kept ? space->free - kept : 0;
}

void pool_space_release_extents(struct space *space, const struct extmap *map)
{
	for (uint32_t i = 0; i < map->count; i++)
		pool_space_release(space, map->items[i].block, extent_pages(&map->items[i]));
}

void pool_space_release_new(struct space *space, const struct extmap *map, const struct extmap *before)
{
	for (uint32_t i = 0; i < map->count; i++) {
		const struct extent *run = &map->items[i];
		uint64_t stop;

		for (uint64_t page = run->page; page < extent_end(run); page = stop) {
			const struct extent *old = pool_extmap_at(before, page, extent_end(run), &stop);

			if (!old || extent_block(old, page) != extent_block(run, page))
				pool_space_release(space, extent_block(run, page), stop - page);
		}
	}
}

int pool_space_promise(struct space *space, uint64_t count)
{
	LOCK_SCOPE(&space->lock);
	if (count > unpromised(space))
		return -ENOSPC;
	space->promised += count;
	return 0;
}

void pool_space_unpromise(struct space *space, uint64_t count)
{
	LOCK_SCOPE(&space->lock);
	space->promised -= count;
}

void pool_space_promise_exactly(struct space *space, uint64_t before, uint64_t after)
{
	LOCK_SCOPE(&space->lock);
	space->promised += after - before;
}

uint64_t pool_space_free_for_data(struct space *space)
{
	LOCK_SCOPE(&space->lock);
	return unpromised(space);
}

/* The first free block at or after `from`; space->blocks if there is none. */
static uint64_t next_free(const struct space *space, uint64_t from)
{
	while (from < space->blocks) {
		if (space->group_free[from / GROUP_BLOCKS] == 0) {
			from = align_down(from, GROUP_BLOCKS) + GROUP_BLOCKS;
			continue;
		}
		for (uint64_t end = align_down(from, GROUP_BLOCKS) + GROUP_BLOCKS;
		     from < end && from < space->blocks;) {
			uint64_t word = ~space->used[from / 64] >> (from % 64);

			if (word)
				return min_u64(from + (uint64_t)__builtin_ctzll(word), space->blocks);
			from = align_down(from, 64) + 64;
		}
	}
	return space->blocks;
}

/*
 * The longest free run that starts in [from, to), of at most `want` blocks. The first of that length
 * ends the search.
 */
static uint64_t search(const struct space *space, uint64_t from, uint64_t to, uint64_t want, uint64_t *block)
{
	uint64_t best = 0;

	while (best < want && (from = next_free(space, from)) < to) {
		uint64_t run = free_run(space, from, want);

		if (run > best) {
			best = run;
			*block = from;
		}
		from += run;
	}
	return best;
}

/* A run of `want` blocks that starts on a group, or none. */
static uint64_t search_aligned(const struct space *space, uint64_t want, uint64_t *block)
{
	for (uint64_t from = 0; from < space->blocks; from += GROUP_BLOCKS) {
		if (space->group_free[from / GROUP_BLOCKS] == GROUP_BLOCKS || want < GROUP_BLOCKS) {
			uint64_t run = free_run(space, from, want);

			if (run == want) {
				*block = from;
				return run;
			}
			from += align_down(run, GROUP_BLOCKS);
		}
	}
	return 0;
}

static uint64_t find_run(struct space *space, uint64_t goal, uint64_t want, bool align, uint64_t *block)
{
	uint64_t run = 0;

	if (goal && goal < space->blocks && !is_used(space, goal)) {
		*block = goal;
		return free_run(space, goal, want);
	}
	if (align) {
		run = search_aligned(space, want, block);
		/* If space is too fragmented for one aligned run, take an aligned run of one group. */
		if (!run && want > GROUP_BLOCKS)
			run = search_aligned(space, GROUP_BLOCKS, block);
	}
	if (!run)
		run = search(space, space->rover, space->blocks, want, block);
	if (run < want && space->rover) {
		uint64_t other, wrapped = search(space, 0, space->rover, want, &other);

		if (wrapped > run) {
			run = wrapped;
			*block = other;
		}
	}
	if (run && !align)
		space->rover = min_u64(align_up(*block + run, START_SPACING), space->blocks - 1);
	return run;
}

uint64_t pool_space_take(struct space *space, enum space_purpose purpose, uint64_t goal, uint64_t want,
			 bool align, uint64_t *block)
{
	uint64_t run;

	LOCK_SCOPE(&space->lock);
	if (purpose == SPACE_DATA)
		want = min_u64(want, unpromised(space));
	if (purpose == SPACE_METADATA)
		want = min_u64(want, space->free > space->promised ? space->free - space->promised : 0);
	/* The longest run that one extent can describe. */
	want = min_u64(want, EXTENT_UNWRITTEN - 1);
	if (want == 0)
		return 0;
	run = find_run(space, goal, want, align, block);
	if (run) {
		set_used(space, *block, run, true);
		if (purpose == SPACE_PROMISED)
			space->promised -= run;
	}
	return run;
}
