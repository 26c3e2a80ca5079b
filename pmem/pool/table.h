/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_TABLE_H
#define POOL_TABLE_H

/*
 * Private to pmem/pool: the table of entries on the media. An entry is two slots; it
 * is a file, a name or free. docs/format.md, "The table".
 */

#include <stdbool.h>
#include <stdint.h>

#include "pool/format.h"
#include "pool/pools.h"

/* The number of entries in all chunks of the table. */
uint64_t pool_table_entries(const struct superblock *superblock);
/* The region's offset of slot `copy` (0 or 1) of an entry; UINT64_MAX beyond the table. */
uint64_t pool_table_slot_offset(const struct superblock *superblock, uint32_t index, unsigned copy);

/*
 * The checksum of a slot or a map block, whose first four bytes are the checksum field. `uuid_seed`: see
 * struct pools.
 */
uint32_t pool_slot_checksum(uint32_t uuid_seed, const void *slot, size_t size);
/* Is the slot intact, and does it belong to this entry? */
bool pool_slot_is_valid(uint32_t uuid_seed, const union slot *slot, uint32_t index);

/*
 * Lay out a chunk of free entries with one sequence; `first_index` is the chunk's first
 * entry. Durable after the next fence. -EIO: the media took neither slot of some entry.
 */
int pool_table_init_chunk(struct region *region, uint32_t uuid_seed, const struct table_chunk *chunk,
			  uint32_t first_index, uint64_t sequence);

/*
 * Take a free entry; the table grows if there is none: 0, -ENOSPC, -ENOMEM or -EIO.
 * pools->tree is held exclusively, because growing moves pools->files.
 */
int pool_table_take(struct pools *pools, uint32_t *index);
/* Put back an entry that was taken and not written. */
void pool_table_put_back(struct pools *pools, uint32_t index);
/*
 * Write both slots of the entry, one after the other: at any moment the entry on the media is the old
 * or the new one. Fills in the slot's head but for its kind. Durable on return. -EIO: the media took
 * neither slot.
 */
int pool_table_write(struct pools *pools, uint32_t index, union slot *slot);
/* Make the entry free, on the media and in memory. Durable on return. -EIO: it stays as it was. */
int pool_table_free(struct pools *pools, uint32_t index);

/* Were enough entries freed since the last pool_table_shrink() that it is worth a call? */
bool pool_table_may_shrink(struct pools *pools);
/*
 * Remove the last chunk of the table if all its entries are free and enough others are. pools->tree is held
 * exclusively. False: the table stays as it is.
 */
bool pool_table_shrink(struct pools *pools);

#endif
