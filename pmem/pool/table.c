/* SPDX-License-Identifier: BSD-3-Clause */

/* The superblock and the table of entries on the media. */

#include "pool/private.h"

#include <errno.h>
#include <string.h>

#include "common/crc32c.h"

/* The table at least doubles, up to this many blocks at a time. */
#define CHUNK_BLOCKS_MAX 4096u

/* ---- Superblock ------------------------------------------------------------ */

bool superblock_is_valid(const struct superblock *superblock, uint64_t region_size)
{
	if (memcmp(superblock->magic, SUPERBLOCK_MAGIC, sizeof(superblock->magic)) != 0 ||
	    superblock->checksum != crc32c(0, superblock, offsetof(struct superblock, checksum)))
		return false;
	return superblock->size == sizeof(*superblock) && superblock->block_size == BLOCK_BYTES &&
	       superblock->slot_size == SLOT_SIZE && superblock->region_size <= region_size &&
	       superblock->region_size >= REGION_MIN_SIZE && superblock->region_size % BLOCK_BYTES == 0 &&
	       superblock->table_chunks <= TABLE_CHUNKS_MAX;
}

void superblock_write(struct region *region, struct superblock *superblock)
{
	superblock->sequence++;
	superblock->checksum = crc32c(0, superblock, offsetof(struct superblock, checksum));
	media_write(region, 0, superblock, sizeof(*superblock));
	media_fence(region);
	media_write(region, superblock->region_size - BLOCK_BYTES, superblock, sizeof(*superblock));
	media_fence(region);
}

/* ---- Slots ----------------------------------------------------------------- */

uint64_t table_entries(const struct superblock *superblock)
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

uint64_t table_slot_offset(const struct superblock *superblock, uint32_t index, unsigned copy)
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

uint32_t slot_checksum(uint32_t uuid_seed, const void *slot, size_t size)
{
	return crc32c(uuid_seed, (const char *)slot + sizeof(uint32_t), size - sizeof(uint32_t));
}

bool slot_is_valid(uint32_t uuid_seed, const union slot *slot, uint32_t index)
{
	return slot->head.checksum == slot_checksum(uuid_seed, slot, SLOT_SIZE) &&
	       slot->head.index == index && slot->head.kind >= SLOT_FREE && slot->head.kind <= SLOT_NAME;
}

static void free_slot(union slot *slot, uint32_t uuid_seed, uint32_t index, uint64_t sequence)
{
	memset(slot, 0, sizeof(*slot));
	slot->head.kind = SLOT_FREE;
	slot->head.index = index;
	slot->head.sequence = sequence;
	slot->head.checksum = slot_checksum(uuid_seed, slot, SLOT_SIZE);
}

void table_init_chunk(struct region *region, uint32_t uuid_seed, const struct table_chunk *chunk,
		      uint32_t first_index)
{
	for (uint64_t block = 0; block < chunk->blocks / 2; block++) {
		unsigned char content[BLOCK_BYTES] = { 0 };

		for (uint32_t i = 0; i < SLOTS_PER_BLOCK; i++)
			free_slot((union slot *)(content + i * SLOT_SIZE), uuid_seed,
				  first_index + (uint32_t)(block * SLOTS_PER_BLOCK + i), 1);
		media_write(region, (chunk->block + block) * BLOCK_BYTES, content, BLOCK_BYTES);
		media_write(region, (chunk->block + chunk->blocks / 2 + block) * BLOCK_BYTES, content,
			    BLOCK_BYTES);
	}
}

/* ---- Entries ---------------------------------------------------------------- */

/* pools->tree is held exclusively: nobody looks at pools->files meanwhile. */
static int grow_memory(struct pools *pools, uint64_t entries)
{
	uint64_t *sequences = realloc(pools->sequences, entries * sizeof(uint64_t));
	struct pool **files = realloc(pools->files, entries * sizeof(*files));
	uint32_t *stack;
	uint8_t *kinds;

	if (sequences)
		pools->sequences = sequences;
	if (files) {
		pools->files = files;
		memset(files + pools->entries, 0, (entries - pools->entries) * sizeof(*files));
	}
	kinds = realloc(pools->kinds, entries);
	if (kinds)
		pools->kinds = kinds;
	stack = realloc(pools->free_entries, entries * sizeof(uint32_t));
	if (stack)
		pools->free_entries = stack;
	return sequences && files && kinds && stack ? 0 : -ENOMEM;
}

/*
 * A new chunk: its slots first, then the superblock that names it. As big as the
 * table is, or the longest run there is.
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
	/* Entries are metadata, but there can be any number: what is kept for maps is not theirs. */
	got = space_take(&pools->space, SPACE_DATA, 0, want, false, &block);
	if (got & 1)
		space_release(&pools->space, block + --got, 1);
	if (got == 0)
		return -ENOSPC;
	entries = pools->entries + got / 2 * SLOTS_PER_BLOCK;
	error = entries > UINT32_MAX ? -ENOSPC : grow_memory(pools, entries);
	if (error) {
		space_release(&pools->space, block, got);
		return error;
	}
	*chunk = (struct table_chunk){ .block = block, .blocks = got };
	table_init_chunk(pools->region, pools->uuid_seed, chunk, pools->entries);
	media_fence(pools->region);
	superblock->table_chunks++;
	superblock_write(pools->region, superblock);
	for (uint64_t index = entries; index-- > pools->entries;) {
		pools->sequences[index] = 1;
		pools->kinds[index] = SLOT_FREE;
		pools->free_entries[pools->free_count++] = (uint32_t)index;
	}
	pools->entries = (uint32_t)entries;
	return 0;
}

int table_take(struct pools *pools, uint32_t *index)
{
	LOCK_SCOPE(&pools->table_lock);
	if (pools->free_count == 0) {
		int error = table_grow(pools);

		if (error)
			return error;
	}
	*index = pools->free_entries[--pools->free_count];
	return 0;
}

void table_put_back(struct pools *pools, uint32_t index)
{
	LOCK_SCOPE(&pools->table_lock);
	pools->free_entries[pools->free_count++] = index;
}

static void write_copies(struct pools *pools, uint32_t index, union slot *slot, uint64_t offsets[2])
{
	slot->head.index = index;
	slot->head.sequence = pools->sequences[index] + 1;
	slot->head.checksum = slot_checksum(pools->uuid_seed, slot, SLOT_SIZE);
	for (unsigned copy = 0; copy < 2; copy++) {
		media_write(pools->region, offsets[copy], slot, SLOT_SIZE);
		media_fence(pools->region);
	}
	pools->sequences[index]++;
	pools->kinds[index] = (uint8_t)slot->head.kind;
}

void table_write(struct pools *pools, uint32_t index, union slot *slot)
{
	LOCK_SCOPE(&pools->table_lock);
	uint64_t offsets[2] = {
		table_slot_offset(&pools->superblock, index, 0),
		table_slot_offset(&pools->superblock, index, 1),
	};

	write_copies(pools, index, slot, offsets);
}

void table_free(struct pools *pools, uint32_t index)
{
	union slot slot = { .head = { .kind = SLOT_FREE } };

	table_write(pools, index, &slot);
	table_put_back(pools, index);
}

void table_read(struct pools *pools, uint32_t index, union slot *slot)
{
	uint64_t offset;

	LOCK_SCOPE(&pools->table_lock);
	offset = table_slot_offset(&pools->superblock, index, 0);
	memcpy(slot, region_media(pools->region) + offset, SLOT_SIZE);
}
