/* SPDX-License-Identifier: BSD-3-Clause */

/* Completes what a crash left half done, when a region is opened. */

#include "pool/recovery.h"

#include <string.h>

#include "common/align.h"
#include "pool/directory_names.h"
#include "pool/inode.h"
#include "pool/lifetime.h"
#include "pool/placement.h"
#include "pool/resize.h"
#include "pool/table.h"

/* Write the entry's current slot over the other one. If that is on a bad page, one copy must be enough. */
static void repair_copies(struct pools *pools, uint32_t index)
{
	union slot copies[2];
	uint64_t offsets[2];
	unsigned best;

	for (unsigned copy = 0; copy < 2; copy++) {
		offsets[copy] = pool_table_slot_offset(&pools->superblock, index, copy);
		if (media_read(pools->region, offsets[copy], &copies[copy], SLOT_SIZE) < 0)
			return;
	}
	best = pool_slot_is_valid(pools->uuid_seed, &copies[0], index) &&
			       copies[0].head.sequence == pools->sequences[index] ?
		       0 :
		       1;
	(void)!media_write(pools->region, offsets[!best], &copies[best], SLOT_SIZE);
	media_fence(pools->region);
}

static struct name *name_of_entry(struct pools *pools, uint32_t index)
{
	for (uint64_t i = 0; i < pools->hash_size; i++)
		for (struct name *name = pools->hash[i]; name; name = name->hash_next)
			if (name->index == index)
				return name;
	return NULL;
}

static int rewrite_name(struct pools *pools, uint32_t index)
{
	const struct name *name = name_of_entry(pools, index);
	union slot slot;

	if (!name)
		return 0;
	pool_name_encode(name, &slot);
	return pool_table_write(pools, index, &slot);
}

int pools_finish_crash(struct pools *pools)
{
	int error = 0;

	for (size_t i = 0; !error && i < pools->fixes.count; i++) {
		const struct fix *fix = &pools->fixes.items[i];

		switch (fix->kind) {
		case FIX_COPIES:
			repair_copies(pools, fix->index);
			break;
		case FIX_FREE:
			error = pool_table_free(pools, fix->index);
			break;
		case FIX_RENAMED:
			error = rewrite_name(pools, fix->index);
			break;
		case FIX_FREE_FILE:
			pool_destroy_nameless(pools->files[fix->index]);
			break;
		}
	}
	/* Rewrite maps of which one copy was damaged. */
	for (uint32_t index = 0; !error && index < pools->entries; index++)
		if (pools->files[index] && pools->files[index]->map_changed &&
		    pool_inode_commit(pools->files[index]) < 0)
			log_sink_print(&pools->options.log,
				       "entry %u: no space to rewrite its map: it keeps one good copy",
				       index);
	return error;
}

/*
 * A sync that was cut may have written bytes past the durable size, before it could commit the new one.
 * Most tails are zero, so they are read first.
 */
void pools_zero_tails(struct pools *pools)
{
	for (uint32_t index = 1; index < pools->entries; index++) {
		struct pool *pool = pools->files[index];
		struct placement place;
		uint64_t in_page;

		if (!pool || !S_ISREG(pool->mode) || pool->size % PAGE_BYTES == 0)
			continue;
		in_page = pool->size % PAGE_BYTES;
		place = pool_find_pages(pool, pool->size / PAGE_BYTES, 1);
		if (place.placed && media_is_zero(pools->region, place.media_offset + in_page,
						  PAGE_BYTES - in_page) != 1)
			pool_zero_tail(pool);
	}
}
