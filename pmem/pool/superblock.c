/* SPDX-License-Identifier: BSD-3-Clause */

/* The superblock on the media. */

#include "pool/superblock.h"

#include <string.h>

#include "common/crc32c.h"

bool pool_superblock_is_valid(const struct superblock *superblock, uint64_t region_size)
{
	if (memcmp(superblock->magic, SUPERBLOCK_MAGIC, sizeof(superblock->magic)) != 0 ||
	    superblock->checksum != crc32c(0, superblock, offsetof(struct superblock, checksum)))
		return false;
	return superblock->size == sizeof(*superblock) && superblock->block_size == BLOCK_BYTES &&
	       superblock->slot_size == SLOT_SIZE && superblock->region_size <= region_size &&
	       superblock->region_size >= REGION_MIN_SIZE && superblock->region_size % BLOCK_BYTES == 0 &&
	       superblock->table_chunks <= TABLE_CHUNKS_MAX;
}

uint64_t pool_superblock_cut(const struct region *region)
{
	struct superblock superblock;

	if (media_read(region, 0, &superblock, sizeof(superblock)) != 0 ||
	    !pool_superblock_is_valid(&superblock, UINT64_MAX))
		return 0;
	return superblock.region_size > region_size(region) ? superblock.region_size : 0;
}

int pool_write_copies(struct region *region, const uint64_t offsets[2], const void *bytes, uint64_t length)
{
	int errors[2];

	for (unsigned copy = 0; copy < 2; copy++) {
		errors[copy] = media_write(region, offsets[copy], bytes, length);
		media_fence(region);
	}
	return errors[0] && errors[1] ? errors[0] : 0;
}

int pool_superblock_write(struct region *region, struct superblock *superblock)
{
	const uint64_t offsets[2] = { 0, superblock->region_size - BLOCK_BYTES };

	superblock->sequence++;
	superblock->checksum = crc32c(0, superblock, offsetof(struct superblock, checksum));
	return pool_write_copies(region, offsets, superblock, sizeof(*superblock));
}
