/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_SUPERBLOCK_H
#define POOL_SUPERBLOCK_H

/* Private to pmem/pool: the superblock on the media. */

#include <stdbool.h>

#include "pool/format.h"
#include "region/media.h"
#include "region/region.h"

/* Is this copy intact, and does its region have at most `region_size` bytes? */
bool pool_superblock_is_valid(const struct superblock *superblock, uint64_t region_size);
/*
 * The size of a region that is larger than its memory: its first copy is intact. 0: there is no such region
 * here. Whatever lies where this memory ends is then no copy of its superblock.
 */
uint64_t pool_superblock_cut(const struct region *region);
/*
 * Write two copies, one after the other, so that one of them is whole at any moment: 0 if the media took
 * one or both, else -EIO. Durable on return.
 */
int pool_write_copies(struct region *region, const uint64_t offsets[2], const void *bytes, uint64_t length);
/*
 * Increase its sequence, set its checksum and write both copies, as pool_write_copies(). The caller
 * serializes.
 */
int pool_superblock_write(struct region *region, struct superblock *superblock);

#endif
