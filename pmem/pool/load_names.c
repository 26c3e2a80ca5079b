/* SPDX-License-Identifier: BSD-3-Clause */

/* Builds the tree from the entries of names. */

#include "pool/load.h"

#include <errno.h>
#include <stdlib.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "pool/table.h"

int pool_load_note_name(struct loader *loader, uint32_t index, const struct name_slot *slot)
{
	if (pool_name_check(slot->name, slot->length) != 0) {
		pool_load_problem(loader->report, POOLS_DAMAGE, pool_load_offset(loader, index),
				  "entry %u: an invalid name", index);
		return 0;
	}
	if (vector_append(&loader->names, *slot) < 0)
		return -ENOMEM;
	loader->name_at[index] = (uint32_t)loader->names.count;
	return 0;
}

/* Apply a rename that a crash cut after its first entry was written: change the peer as that entry says. */
static int apply_peer(struct loader *loader, const struct name_slot *slot)
{
	struct pools *pools = loader->pools;
	struct name_slot *peer;
	uint64_t offset;

	if (slot->action != NAME_ALONE && slot->peer >= pools->entries)
		pools->new_sequence = max_u64(pools->new_sequence, slot->peer_sequence + 1);
	if (slot->action == NAME_ALONE || slot->peer >= pools->entries || !loader->name_at[slot->peer] ||
	    pools->sequences[slot->peer] != slot->peer_sequence)
		return 0;
	offset = pool_load_offset(loader, slot->peer);
	peer = &loader->names.items[loader->name_at[slot->peer] - 1];
	if (slot->action == NAME_EXCHANGES) {
		pool_load_problem(loader->report, POOLS_LEFTOVER, offset,
				  "entry %u: an exchange of names was cut before its second half",
				  slot->peer);
		peer->file = slot->peer_file;
		return pool_load_note_fix(pools, FIX_RENAMED, slot->peer);
	}
	pool_load_problem(loader->report, POOLS_LEFTOVER, offset,
			  "entry %u: a name that a rename replaced was not freed yet", slot->peer);
	loader->name_at[slot->peer] = 0;
	return pool_load_note_fix(pools, FIX_FREE, slot->peer);
}

static int link_name(struct loader *loader, const struct name_slot *slot)
{
	struct pools *pools = loader->pools;
	uint64_t offset = pool_load_offset(loader, slot->head.index);
	uint32_t index = slot->head.index;
	struct pool *parent, *file;
	struct name *name;

	parent = slot->parent < pools->entries ? loader->files[slot->parent] : NULL;
	file = slot->file < pools->entries ? loader->files[slot->file] : NULL;
	if (!parent || !parent->directory || !file || file->index == 0) {
		pool_load_problem(loader->report, POOLS_DAMAGE, offset, "entry %u: the name '%.*s' has no %s",
				  index, slot->length, slot->name,
				  file && file->index ? "directory" : "file");
		return 0;
	}
	if (pool_names_find(pools, parent, slot->name, slot->length) || (file->directory && file->names)) {
		pool_load_problem(loader->report, POOLS_DAMAGE, offset,
				  "entry %u: the name '%.*s' exists twice", index, slot->length, slot->name);
		return 0;
	}
	name = pool_name_alloc(slot->name, slot->length);
	if (!name)
		return -ENOMEM;
	name->index = index;
	if (pool_names_link(pools, name, parent, file) < 0) {
		free(name);
		return -ENOMEM;
	}
	return 0;
}

/* How many directories can be reached from the root. A cycle of directories cannot. */
static uint64_t reachable_directories(struct pools *pools)
{
	CLEANUP_FREE struct pool **queue = calloc(pools->directory_count + 1, sizeof(*queue));
	uint64_t count = 0;

	if (!queue || !pools->root)
		return 0;
	queue[count++] = pools->root;
	for (uint64_t at = 0; at < count; at++) {
		const struct directory *directory = queue[at]->directory;

		for (size_t i = 0; i < directory->count; i++)
			if (directory->items[i].name && directory->items[i].name->file->directory)
				queue[count++] = directory->items[i].name->file;
	}
	return count;
}

int pool_load_names(struct loader *loader)
{
	struct pools *pools = loader->pools;
	int error = 0;

	for (size_t i = 0; !error && i < loader->names.count; i++)
		if (loader->name_at[loader->names.items[i].head.index])
			error = apply_peer(loader, &loader->names.items[i]);
	for (size_t i = 0; !error && i < loader->names.count; i++)
		if (loader->name_at[loader->names.items[i].head.index])
			error = link_name(loader, &loader->names.items[i]);
	loader->report->result->names = pools->name_count;
	return error;
}

int pool_load_find_nameless(struct loader *loader)
{
	struct pools *pools = loader->pools;
	uint64_t nameless = 0;
	int error = 0;

	pools->root = loader->files[0];
	if (!pools->root || !pools->root->directory) {
		pool_load_problem(loader->report, POOLS_DAMAGE, pool_load_offset(loader, 0),
				  "entry 0: the root directory is lost");
		pools->root = NULL;
	}
	for (uint32_t index = 1; !error && index < pools->entries; index++) {
		struct pool *pool = loader->files[index];

		if (!pool || pool->links)
			continue;
		nameless += pool->directory ? 1 : 0;
		/*
		 * A crash cannot leave this: a directory is created before the names in it, and removed
		 * after them.
		 */
		if (pool->directory && pool->directory->count > pool->directory->holes) {
			pool_load_problem(loader->report, POOLS_DAMAGE, pool_load_offset(loader, index),
					  "entry %u: a directory without a name, with %zu names in it", index,
					  pool->directory->count - pool->directory->holes);
			continue;
		}
		pool_load_problem(loader->report, POOLS_LEFTOVER, pool_load_offset(loader, index),
				  "entry %u: a file without a name (%llu bytes): it was being created or "
				  "removed when power failed",
				  index, (unsigned long long)pool->size);
		error = pool_load_note_fix(pools, FIX_FREE_FILE, index);
	}
	if (pools->root && reachable_directories(pools) + nameless != pools->directory_count)
		pool_load_problem(loader->report, POOLS_DAMAGE, 0,
				  "some directories cannot be reached from the root");
	return error;
}
