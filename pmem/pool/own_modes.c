/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/own_modes.h"

#include <errno.h>

#include "common/cleanup.h"
#include "pool/directory_names.h"
#include "pool/gate.h"
#include "pool/pools.h"
#include "pool/undo.h"

enum metadata_mode pool_metadata(const struct pool *pool)
{
	const uint32_t code = atomic_load_explicit(&pool->metadata, memory_order_relaxed);

	return code ? (enum metadata_mode)(code - 1) : pool->pools->options.metadata;
}

bool pool_has_own_metadata(const struct pool *pool)
{
	return atomic_load_explicit(&pool->metadata, memory_order_relaxed) != 0;
}

static void take_stronger(struct pool *file, const struct pool *directory)
{
	if (pool_metadata(directory) < pool_metadata(file))
		atomic_store(&file->metadata, atomic_load(&directory->metadata));
}

void pool_metadata_named(struct pool *file, const struct pool *directory)
{
	if (file->directory)
		return;
	if (file->links == 0)
		atomic_store(&file->metadata, atomic_load(&directory->metadata));
	else
		take_stronger(file, directory);
}

void pool_metadata_unnamed(struct pool *file, const struct pool *directory)
{
	const enum metadata_mode mode = pool_metadata(directory);
	const struct name *name;

	if (file->directory || file->links == 0 || pool_metadata(file) != mode)
		return;
	/* Most often the next name is of the same mode, however many there are. */
	for (name = file->names; name; name = name->same_file)
		if (pool_metadata(name->parent) == mode)
			return;
	atomic_store(&file->metadata, atomic_load(&file->names->parent->metadata));
	for (name = file->names; name; name = name->same_file)
		take_stronger(file, name->parent);
}

/* The tree is held exclusively, or nobody else knows the pools. */
static void settle_files(struct pools *pools)
{
	for (uint32_t index = 0; index < pools->entries; index++) {
		struct pool *pool = pools->files[index];

		if (!pool || pool->directory || !pool->names)
			continue;
		atomic_store(&pool->metadata, atomic_load(&pool->names->parent->metadata));
		for (const struct name *name = pool->names; name; name = name->same_file)
			take_stronger(pool, name->parent);
	}
}

void pools_settle_metadata(struct pools *pools)
{
	bool mixed = false;

	for (uint32_t index = 0; index < pools->entries; index++) {
		const struct pool *pool = pools->files[index];

		mixed |= pool && pool->directory && pool->metadata;
	}
	atomic_store(&pools->mixed, mixed);
	if (mixed)
		settle_files(pools);
}

static int set_on_media(struct pool *directory, enum metadata_mode mode)
{
	uint32_t before;
	int error;

	WRITE_SCOPE(&directory->lock);
	if (directory->dead)
		return -ESTALE;
	before = atomic_exchange(&directory->metadata, pool_metadata_code(mode));
	error = pool_inode_commit(directory);
	if (error)
		atomic_store(&directory->metadata, before);
	return error;
}

int pool_set_metadata(struct pool *directory, enum metadata_mode mode)
{
	struct pools *pools = directory->pools;
	int error;

	GATE_SCOPE(pools);
	if (pools->read_only)
		return -EROFS;
	if (!directory->directory)
		return -ENOTDIR;
	WRITE_SCOPE(&pools->tree);
	error = pools_undo_mix(pools);
	if (error)
		return error;
	/* What was done under the old mode must not depend on what is done under the new one. */
	pools_undo_commit_all(pools);
	error = set_on_media(directory, mode);
	if (!error)
		settle_files(pools);
	return error;
}

enum metadata_mode pools_weakest_metadata(struct pools *pools, uint64_t *own)
{
	enum metadata_mode weakest = pools->options.metadata;

	*own = 0;
	if (!atomic_load(&pools->mixed))
		return weakest;
	READ_SCOPE(&pools->tree);
	for (uint32_t index = 0; index < pools->entries; index++) {
		const struct pool *pool = pools->files[index];

		if (!pool || !pool->directory || !pool->metadata)
			continue;
		++*own;
		if (pool_metadata(pool) > weakest)
			weakest = pool_metadata(pool);
	}
	return weakest;
}
