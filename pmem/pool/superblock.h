/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_SUPERBLOCK_H
#define POOL_SUPERBLOCK_H

/* Private to pmem/pool: the superblock on the media. */

#include <stdbool.h>

#include "pool/format.h"
#include "region/region.h"

/* Is this copy whole, and of a region of at most `region_size` bytes? */
bool pool_superblock_is_valid(const struct superblock *superblock, uint64_t region_size);
/*
 * Increase its sequence, set its checksum and write both copies, one after the other, so that one of
 * them is valid at any moment. Durable on return. The caller serializes.
 */
void pool_superblock_write(struct region *region, struct superblock *superblock);

#endif
