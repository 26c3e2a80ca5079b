/* SPDX-License-Identifier: BSD-3-Clause */

/* The table of entries on the media. */

#include "pool/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "common/crc32c.h"
#include "pool/superblock.h"
#include "pool/undo.h"

/* A new chunk is as large as the table, but not larger than this. */
#define CHUNK_BLOCKS_MAX 4096u

/* ---- Slots ----------------------------------------------------------------- */

uint64_t pool_table_entries(const struct superblock *superblock)
{
	uint64_t entries = 0;

	for (uint32_t i = 0; i < superblock->table_chunks; i++)
		entries += superblock->chunks[i].blocks / 2 * SLOTS_PER_BLOCK;
	return entries;
}

static uint64_t chunk_slot_offset(const struct table_chunk *chunk, uint64_t at, unsigned copy)
{
	uint64_t block = chunk->block + copy * (chunk->blocks / 2) + at / SLOTS_PER_BLOCK;

	return block * BLOCK_BYTES + at % SLOTS_PER_BLOCK * SLOT_SIZE;
}

uint64_t pool_table_slot_offset(const struct superblock *superblock, uint32_t index, unsigned copy)
{
	uint64_t at = index;

	for (uint32_t i = 0; i < superblock->table_chunks; i++) {
		uint64_t entries = superblock->chunks[i].blocks / 2 * SLOTS_PER_BLOCK;

		if (at < entries)
			return chunk_slot_offset(&superblock->chunks[i], at, copy);
		at -= entries;
	}
	return UINT64_MAX;
}

uint32_t pool_slot_checksum(uint32_t uuid_seed, const void *slot, size_t size)
{
	return crc32c(uuid_seed, (const char *)slot + sizeof(uint32_t), size - sizeof(uint32_t));
}

bool pool_slot_is_valid(uint32_t uuid_seed, const union slot *slot, uint32_t index)
{
	return slot->head.checksum == pool_slot_checksum(uuid_seed, slot, SLOT_SIZE) &&
	       slot->head.index == index && slot->head.kind >= SLOT_FREE && slot->head.kind <= SLOT_NAME;
}

static void free_slot(union slot *slot, uint32_t uuid_seed, uint32_t index, uint64_t sequence)
{
	memset(slot, 0, sizeof(*slot));
	slot->head.kind = SLOT_FREE;
	slot->head.index = index;
	slot->head.sequence = sequence;
	slot->head.checksum = pool_slot_checksum(uuid_seed, slot, SLOT_SIZE);
}

int pool_table_init_chunk(struct region *region, uint32_t uuid_seed, const struct table_chunk *chunk,
			  uint32_t first_index, uint64_t sequence)
{
	int result = 0;

	for (uint64_t block = 0; block < chunk->blocks / 2; block++) {
		unsigned char content[BLOCK_BYTES] = { 0 };
		int errors[2];

		for (uint32_t i = 0; i < SLOTS_PER_BLOCK; i++)
			free_slot((union slot *)(content + i * SLOT_SIZE), uuid_seed,
				  first_index + (uint32_t)(block * SLOTS_PER_BLOCK + i), sequence);
		errors[0] = media_write(region, (chunk->block + block) * BLOCK_BYTES, content, BLOCK_BYTES);
		errors[1] = media_write(region, (chunk->block + chunk->blocks / 2 + block) * BLOCK_BYTES,
					content, BLOCK_BYTES);
		if (errors[0] && errors[1])
			result = errors[0];
	}
	return result;
}

/* ---- Entries ---------------------------------------------------------------- */

/* pools->tree is held exclusively, so no other thread uses pools->files while it moves. */
static int grow_memory(struct pools *pools, uint64_t entries)
{
	uint64_t *sequences = realloc(pools->sequences, entries * sizeof(uint64_t));
	struct pool **files = realloc(pools->files, entries * sizeof(*files));
	uint32_t *stack;

	if (sequences)
		pools->sequences = sequences;
	if (files) {
		pools->files = files;
		memset(files + pools->entries, 0, (entries - pools->entries) * sizeof(*files));
	}
	stack = realloc(pools->free_entries, entries * sizeof(uint32_t));
	if (stack)
		pools->free_entries = stack;
	return sequences && files && stack ? 0 : -ENOMEM;
}

/*
 * The free entries are a heap: the lowest one is used first, so that a file that is created after many were
 * removed does not keep a chunk at the end of the table.
 */
static void add_free(struct pools *pools, uint32_t index)
{
	uint32_t *heap = pools->free_entries, at = pools->free_count++;

	for (; at && heap[(at - 1) / 2] > index; at = (at - 1) / 2)
		heap[at] = heap[(at - 1) / 2];
	heap[at] = index;
}

static uint32_t take_lowest(struct pools *pools)
{
	uint32_t *heap = pools->free_entries, count = --pools->free_count;
	const uint32_t lowest = heap[0], moved = heap[count];
	uint32_t at = 0, child;

	while ((child = 2 * at + 1) < count) {
		if (child + 1 < count && heap[child + 1] < heap[child])
			child++;
		if (heap[child] >= moved)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = moved;
	return lowest;
}

/*
 * Add a chunk: write its slots first, then the superblock that refers to it. It is as large as the
 * table, or as the longest free run.
 */
static int table_grow(struct pools *pools)
{
	struct superblock *superblock = &pools->superblock;
	struct table_chunk *chunk = &superblock->chunks[superblock->table_chunks];
	uint64_t want = 0, block, got, entries;
	int error;

	if (superblock->table_chunks == TABLE_CHUNKS_MAX)
		return -ENOSPC;
	for (uint32_t i = 0; i < superblock->table_chunks; i++)
		want += superblock->chunks[i].blocks;
	want = min_u64(want, CHUNK_BLOCKS_MAX);
	/*
	 * Entries are metadata, but their number has no bound, so they may not use the reserve for map
	 * blocks.
	 */
	got = pool_space_take(&pools->space, SPACE_DATA, 0, want, false, &block);
	if (got & 1)
		pool_space_release(&pools->space, block + --got, 1);
	if (got == 0)
		return -ENOSPC;
	entries = pools->entries + got / 2 * SLOTS_PER_BLOCK;
	error = entries > UINT32_MAX ? -ENOSPC : grow_memory(pools, entries);
	if (error) {
		pool_space_release(&pools->space, block, got);
		return error;
	}
	*chunk = (struct table_chunk){ .block = block, .blocks = got };
	error = pool_table_init_chunk(pools->region, pools->uuid_seed, chunk, pools->entries,
				      pools->new_sequence);
	media_fence(pools->region);
	/* Blocks that the media does not take stay taken: the next try gets others. */
	if (error)
		return error;
	superblock->table_chunks++;
	error = pool_superblock_write(pools->region, superblock);
	if (error) {
		superblock->table_chunks--;
		return error;
	}
	for (uint64_t index = pools->entries; index < entries; index++) {
		pools->sequences[index] = pools->new_sequence;
		add_free(pools, (uint32_t)index);
	}
	pools->entries = (uint32_t)entries;
	return 0;
}

/* Entries for names that an outage may bring back. */
static uint32_t set_aside(const struct pools *pools)
{
	return pools->undo ? atomic_load(&pools->undo->entries) : 0;
}

int pool_table_take(struct pools *pools, uint32_t *index)
{
	LOCK_SCOPE(&pools->table_lock);
	if (pools->free_count <= set_aside(pools)) {
		int error = table_grow(pools);

		if (error)
			return error;
	}
	*index = take_lowest(pools);
	return 0;
}

void pool_table_put_back(struct pools *pools, uint32_t index)
{
	LOCK_SCOPE(&pools->table_lock);
	add_free(pools, index);
}

int pool_table_write(struct pools *pools, uint32_t index, union slot *slot)
{
	LOCK_SCOPE(&pools->table_lock);
	const uint64_t offsets[2] = {
		pool_table_slot_offset(&pools->superblock, index, 0),
		pool_table_slot_offset(&pools->superblock, index, 1),
	};
	int error;

	slot->head.index = index;
	slot->head.sequence = pools->sequences[index] + 1;
	slot->head.checksum = pool_slot_checksum(pools->uuid_seed, slot, SLOT_SIZE);
	error = pool_write_copies(pools->region, offsets, slot, SLOT_SIZE);
	if (!error)
		pools->sequences[index]++;
	return error;
}

int pool_table_free(struct pools *pools, uint32_t index)
{
	union slot slot = { .head = { .kind = SLOT_FREE } };
	int error = pool_table_write(pools, index, &slot);

	if (!error)
		pool_table_put_back(pools, index);
	return error;
}

/* ---- Shrinking -------------------------------------------------------------- */

static uint32_t last_chunk_entries(const struct superblock *superblock)
{
	return (uint32_t)(superblock->chunks[superblock->table_chunks - 1].blocks / 2 * SLOTS_PER_BLOCK);
}

/* A quarter of the remaining entries must be free, or the next file would make the table grow again. */
static bool enough_are_free(const struct pools *pools)
{
	const uint32_t last = last_chunk_entries(&pools->superblock);

	return pools->superblock.table_chunks > 1 && pools->free_count >= last &&
	       pools->free_count - last >= max_u64((pools->entries - last) / 4, set_aside(pools));
}

bool pool_table_may_shrink(struct pools *pools)
{
	LOCK_SCOPE(&pools->table_lock);
	return pools->free_count != pools->shrink_tried && enough_are_free(pools);
}

/* Remove the entries from `first` on from memory. */
static void forget_entries(struct pools *pools, uint32_t first)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < pools->free_count; i++)
		if (pools->free_entries[i] < first)
			pools->free_entries[kept++] = pools->free_entries[i];
	pools->free_count = 0;
	for (uint32_t i = 0; i < kept; i++)
		add_free(pools, pools->free_entries[i]);
	/* A name may still have one of these entries as the peer of a rename that was completed. */
	for (uint32_t index = first; index < pools->entries; index++)
		pools->new_sequence = max_u64(pools->new_sequence, pools->sequences[index] + 1);
	pools->entries = first;
}

bool pool_table_shrink(struct pools *pools)
{
	struct superblock *superblock = &pools->superblock;
	struct table_chunk chunk;
	uint32_t last, unused = 0;

	LOCK_SCOPE(&pools->table_lock);
	pools->shrink_tried = pools->free_count;
	if (!enough_are_free(pools))
		return false;
	last = last_chunk_entries(superblock);
	for (uint32_t i = 0; i < pools->free_count; i++)
		unused += pools->free_entries[i] >= pools->entries - last;
	if (unused != last)
		return false;
	chunk = superblock->chunks[--superblock->table_chunks];
	superblock->chunks[superblock->table_chunks] = (struct table_chunk){ 0 };
	if (pool_superblock_write(pools->region, superblock) < 0) {
		superblock->chunks[superblock->table_chunks++] = chunk;
		return false;
	}
	forget_entries(pools, pools->entries - last);
	pool_space_release(&pools->space, chunk.block, chunk.blocks);
	return true;
}
