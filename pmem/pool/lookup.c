/* SPDX-License-Identifier: BSD-3-Clause */

/* Finding a pool by name, path or number, and listing a directory. */

#include "pool/pool.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "pool/directory_names.h"
#include "pool/gate.h"
#include "pool/namespace.h"

struct pool *pool_root(struct pools *pools)
{
	/* A restored snapshot has another one. */
	LOCK_SCOPE(&pools->list_lock);

	pool_ref(pools->root, 1);
	return pools->root;
}

int pool_lookup(struct pool *directory, const char *name, struct pool **out)
{
	struct pools *pools = directory->pools;
	size_t length = strlen(name);
	struct name *found;

	GATE_SCOPE(pools);
	if (length > POOL_NAME_MAX)
		return -ENAMETOOLONG;
	READ_SCOPE(&pools->tree);
	if (!directory->directory)
		return -ENOTDIR;
	found = pool_names_find(pools, directory, name, length);
	if (!found)
		return -ENOENT;
	pool_ref(found->file, 1);
	*out = found->file;
	return 0;
}

int pool_lookup_path(struct pools *pools, const char *path, struct pool **out)
{
	struct pool *at = pool_root(pools);

	while (*path) {
		char name[POOL_NAME_MAX + 1];
		size_t length = strcspn(path, "/");
		struct pool *next;
		int error;

		if (length == 0) {
			path++;
			continue;
		}
		if (length > POOL_NAME_MAX) {
			pool_unref(at, 1);
			return -ENAMETOOLONG;
		}
		memcpy(name, path, length);
		name[length] = '\0';
		error = pool_lookup(at, name, &next);
		pool_unref(at, 1);
		if (error)
			return error;
		at = next;
		path += length;
	}
	*out = at;
	return 0;
}

int pool_lookup_ino(struct pools *pools, uint64_t ino, struct pool **out)
{
	struct pool *pool;

	GATE_SCOPE(pools);
	READ_SCOPE(&pools->tree);
	pool = ino - 1 < pools->entries ? pools->files[ino - 1] : NULL;
	if (!pool || pool->dead)
		return -ENOENT;
	pool_ref(pool, 1);
	*out = pool;
	return 0;
}

struct pool *pool_parent(struct pool *directory)
{
	struct pool *parent;

	READ_SCOPE(&directory->pools->tree);
	parent = directory->names ? directory->names->parent : directory;
	pool_ref(parent, 1);
	return parent;
}

int pool_path_locked(const struct pool *pool, char *buffer, size_t size)
{
	size_t at = size;

	if (pool != pool->pools->root && !pool->names)
		return -ENOENT;
	if (size < 2)
		return -ENAMETOOLONG;
	buffer[--at] = '\0';
	if (pool == pool->pools->root)
		buffer[--at] = '/';
	for (const struct pool *step = pool; step->names; step = step->names->parent) {
		size_t length = step->names->length;

		if (at < length + 1)
			return -ENAMETOOLONG;
		at -= length;
		memcpy(buffer + at, step->names->text, length);
		buffer[--at] = '/';
	}
	memmove(buffer, buffer + at, size - at);
	return 0;
}

int pool_path(struct pool *pool, char *buffer, size_t size)
{
	READ_SCOPE(&pool->pools->tree);
	return pool_path_locked(pool, buffer, size);
}

uint64_t pool_last_cookie(struct pool *directory)
{
	READ_SCOPE(&directory->pools->tree);
	return directory->directory ? directory->directory->next_cookie : 0;
}

int pool_readdir(struct pool *pool, uint64_t cookie,
		 int (*entry)(void *context, const char *name, struct pool *pool, uint64_t next),
		 void *context)
{
	const struct directory *directory;

	GATE_SCOPE(pool->pools);
	READ_SCOPE(&pool->pools->tree);
	directory = pool->directory;
	if (!directory)
		return -ENOTDIR;
	for (size_t at = pool_names_after(directory, cookie); at < directory->count; at++) {
		struct name *name = directory->items[at].name;

		if (!name)
			continue;
		pool_ref(name->file, 1);
		if (entry(context, name->text, name->file, name->cookie)) {
			/*
			 * This cannot be the last reference to a destroyed pool, because the pool has a
			 * name.
			 */
			pool_unref(name->file, 1);
			break;
		}
	}
	return 0;
}
