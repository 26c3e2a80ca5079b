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

void pool_superblock_write(struct region *region, struct superblock *superblock)
{
	superblock->sequence++;
	superblock->checksum = crc32c(0, superblock, offsetof(struct superblock, checksum));
	media_write(region, 0, superblock, sizeof(*superblock));
	media_fence(region);
	media_write(region, superblock->region_size - BLOCK_BYTES, superblock, sizeof(*superblock));
	media_fence(region);
}
