/* SPDX-License-Identifier: BSD-3-Clause */

/* Creating files, directories, symlinks and hard links. */

#include "pool/namespace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "pool/gate.h"
#include "pool/inode.h"
#include "pool/lifetime.h"
#include "pool/placement.h"
#include "pool/own_modes.h"
#include "pool/pools.h"
#include "pool/table.h"
#include "pool/undo.h"

/* May a file be created in the directory? 0, -EROFS, -ENOTDIR or -ENOENT. */
static int may_create_in(const struct pool *directory)
{
	if (directory->pools->read_only)
		return -EROFS;
	if (!directory->directory)
		return -ENOTDIR;
	/* A removed directory may still be open, or a process's working directory. */
	if (directory->dead || (!directory->names && directory != directory->pools->root))
		return -ENOENT;
	return 0;
}

int pool_name_may_add(struct pool *directory, const char *text)
{
	int error = may_create_in(directory);

	if (!error)
		error = pool_name_check(text, strlen(text));
	if (error)
		return error;
	return pool_names_find(directory->pools, directory, text, strlen(text)) ? -EEXIST : 0;
}

int pool_name_write(struct pools *pools, const struct name *name, enum name_action action,
		    const struct name *peer)
{
	union slot slot;

	pool_name_encode(name, &slot);
	slot.name.action = (uint8_t)action;
	if (peer) {
		slot.name.peer = peer->index;
		slot.name.peer_sequence = pools->sequences[peer->index];
		slot.name.peer_file = peer->file->index;
	}
	return pool_table_write(pools, name->index, &slot);
}

int pool_name_add(struct pool *directory, const char *text, struct pool *file)
{
	struct pools *pools = directory->pools;
	struct name *name = pool_name_alloc(text, strlen(text));
	uint32_t index;
	int error;

	if (!name)
		return -ENOMEM;
	error = pool_table_take(pools, &index);
	if (error) {
		free(name);
		return error;
	}
	name->index = index;
	error = pool_names_link(pools, name, directory, file);
	if (!error) {
		error = pool_name_write(pools, name, NAME_ALONE, NULL);
		if (error)
			pool_names_unlink(pools, name);
	}
	if (error) {
		pool_table_put_back(pools, index);
		free(name);
		return error;
	}
	pool_touch_directory(directory);
	return 0;
}

/* ---- Files ----------------------------------------------------------------------- */

/* As System V and ext4 do it: what is created in a set-group-ID directory gets the directory's group. */
static void inherit_group(struct pool *pool, struct pool *directory)
{
	READ_SCOPE(&directory->lock);
	if (!(directory->mode & S_ISGID))
		return;
	pool->gid = directory->gid;
	if (S_ISDIR(pool->mode))
		pool->mode |= S_ISGID;
}

static int init_file(struct pool *pool, struct pool *directory, const struct pool_new *attributes)
{
	pool->mode = attributes->mode;
	pool->uid = attributes->uid;
	pool->gid = attributes->gid;
	pool->pool_mode = attributes->pool_mode == POOL_MODE_INHERIT ? directory->pool_mode :
								       attributes->pool_mode;
	atomic_store(&pool->metadata, attributes->has_metadata ? pool_metadata_code(attributes->metadata) :
								 atomic_load(&directory->metadata));
	inherit_group(pool, directory);
	pool_make_uuid(pool->uuid);
	pool->atime = pool->btime = pool_time_now();
	pool->mtime = pool->durable_mtime = pool->btime;
	pool->ctime = pool->durable_ctime = pool->btime;
	if (S_ISDIR(pool->mode)) {
		pool->directory = calloc(1, sizeof(*pool->directory));
		if (!pool->directory)
			return -ENOMEM;
	}
	return 0;
}

/* The target is the content of a symlink. It is durable before the entry that refers to it is written. */
static int write_target(struct pool *pool, const char *target)
{
	unsigned char page[BLOCK_BYTES] = { 0 };
	uint64_t block;
	int error;

	if (pool_extmap_reserve(&pool->map, 1))
		return -ENOMEM;
	if (pool_space_take(&pool->pools->space, SPACE_DATA, 0, 1, false, &block) == 0)
		return -ENOSPC;
	memcpy(page, target, strlen(target));
	error = media_write(pool->pools->region, block * BLOCK_BYTES, page, sizeof(page));
	media_fence(pool->pools->region);
	/* A block that the media does not take stays taken: the next try gets another. */
	if (error)
		return error;
	pool_extmap_insert(&pool->map, 0, 1, block, false);
	pool->map_changed = true;
	pool->size = pool->durable_size = strlen(target);
	return 0;
}

static int reserve_size(struct pool *pool, uint64_t size)
{
	int error;

	if (size == 0)
		return 0;
	if (size > POOL_SIZE_MAX)
		return -EFBIG;
	error = pool_reserve_pages(pool, 0, pages_up(size));
	pool->map_changed = true;
	pool->size = pool->durable_size = size;
	return error;
}

/* A file without a name, in memory and on the media; recovery destroys it after a crash. */
static int make_nameless(struct pool *directory, const struct pool_new *attributes, const char *target,
			 struct pool **out)
{
	struct pools *pools = directory->pools;
	struct pool *pool;
	uint32_t index;
	int error;

	error = pool_table_take(pools, &index);
	if (error)
		return error;
	pool = pool_inode_alloc(pools, index);
	if (!pool) {
		pool_table_put_back(pools, index);
		return -ENOMEM;
	}
	error = init_file(pool, directory, attributes);
	if (!error && target)
		error = write_target(pool, target);
	else if (!error && S_ISREG(pool->mode))
		error = reserve_size(pool, attributes->size);
	if (!error)
		error = pool_inode_commit(pool);
	if (error) {
		pool_space_release_extents(&pools->space, &pool->map);
		pool_space_unpromise(&pools->space, pool->promised);
		pool_table_put_back(pools, index);
		pool_inode_free(pool);
		return error;
	}
	pools->files[index] = pool;
	atomic_fetch_add(S_ISDIR(pool->mode) ? &pools->directory_count : &pools->file_count, 1);
	*out = pool;
	return 0;
}

/* The file's entry is written first, then the name's. */
static int make_file(struct pool *directory, const char *text, const struct pool_new *attributes,
		     const char *target, struct pool **out)
{
	struct pool *pool;
	int error = make_nameless(directory, attributes, target, &pool);

	if (error)
		return error;
	error = pool_name_add(directory, text, pool);
	/* This function's own reference keeps the pool in memory if it is destroyed below. */
	pool_ref(pool, 1);
	if (error) {
		pool_destroy_if_unused(pool);
		pool_unref(pool, 1);
		return error;
	}
	pool_undo_add_names(directory->pools, &(struct undo_names){ .kind = NAMES_CREATE,
								    .file = pool,
								    .directory = directory,
								    .name = text });
	*out = pool;
	return 0;
}

static int make_on_media(struct pool *directory, const char *name, const struct pool_new *attributes,
			 const char *target, struct pool **out)
{
	int error;

	WRITE_SCOPE(&directory->pools->tree);
	error = pool_name_may_add(directory, name);
	if (!error && attributes->has_metadata)
		error = pools_undo_mix(directory->pools);
	if (!error)
		error = make_file(directory, name, attributes, target, out);
	if (!error && region_failed(directory->pools->region)) {
		pool_unref(*out, 1);
		error = -EIO;
	}
	return error;
}

/* The same; what the undo list keeps must not make it fail. */
static int make_with_room(struct pool *directory, const char *name, const struct pool_new *attributes,
			  const char *target, struct pool **out)
{
	int error;

	do
		error = make_on_media(directory, name, attributes, target, out);
	while (error == -ENOSPC && pools_make_room(directory->pools));
	return error;
}

/* ---- Calls ----------------------------------------------------------------------- */

int pool_create(struct pool *directory, const char *name, const struct pool_new *attributes,
		struct pool **out)
{
	GATE_SCOPE(directory->pools);
	switch (attributes->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return -EPERM;
	}
	if (attributes->has_metadata && !S_ISDIR(attributes->mode))
		return -EINVAL;
	/* The new file uses the memory of those that are gone, while it is still in the processor's cache. */
	pools_undo_reap(directory->pools);
	return make_with_room(directory, name, attributes, NULL, out);
}

static int create_nameless_locked(struct pool *directory, const struct pool_new *attributes,
				  struct pool **out)
{
	int error;

	WRITE_SCOPE(&directory->pools->tree);
	error = may_create_in(directory);
	if (!error)
		error = make_nameless(directory, attributes, NULL, out);
	if (error)
		return error;
	pool_ref(*out, 1);
	pool_note_nameless(*out);
	pool_undo_add_unseen(*out, NAMES_TMPFILE);
	return 0;
}

static int create_nameless(struct pool *directory, const struct pool_new *attributes, struct pool **out)
{
	int error;

	GATE_SCOPE(directory->pools);
	if (!S_ISREG(attributes->mode))
		return -EINVAL;
	do
		error = create_nameless_locked(directory, attributes, out);
	while (error == -ENOSPC && pools_make_room(directory->pools));
	return error;
}

static void destroy_unopened(struct pool *pool)
{
	GATE_SCOPE(pool->pools);
	READ_SCOPE(&pool->pools->tree);
	pool_destroy_if_unused(pool);
}

int pool_open_nameless(struct pool *directory, const struct pool_new *attributes, struct pool **out,
		       struct pool_handle **handle)
{
	struct pool *pool;
	int error = create_nameless(directory, attributes, &pool);

	if (error)
		return error;
	error = media_outcome(pool->pools, pool_open(pool, handle));
	if (error) {
		destroy_unopened(pool);
		pool_unref(pool, 1);
		return error;
	}
	*out = pool;
	return 0;
}

int pool_symlink(struct pool *directory, const char *name, const char *target, uid_t uid, gid_t gid,
		 struct pool **out)
{
	const struct pool_new attributes = { .mode = S_IFLNK | 0777, .uid = uid, .gid = gid };
	GATE_SCOPE(directory->pools);
	if (!*target)
		return -ENOENT;
	if (strlen(target) > POOL_SYMLINK_MAX)
		return -ENAMETOOLONG;
	return make_with_room(directory, name, &attributes, target, out);
}

int pool_readlink(struct pool *pool, char *buffer, size_t size)
{
	struct placement place;
	int error;

	GATE_SCOPE(pool->pools);
	READ_SCOPE(&pool->lock);
	if (pool->dead)
		return -ESTALE;
	if (!S_ISLNK(pool->mode))
		return -EINVAL;
	if (size <= pool->size)
		return -ERANGE;
	place = pool_find_pages(pool, 0, 1);
	if (!place.placed)
		return -EIO;
	error = media_read(pool->pools->region, place.media_offset, buffer, pool->size);
	buffer[pool->size] = '\0';
	return error;
}

static int link_locked(struct pool *pool, struct pool *directory, const char *name)
{
	struct pools *pools = pool->pools;
	int error;

	WRITE_SCOPE(&pools->tree);
	error = pool_name_may_add(directory, name);
	if (error)
		return error;
	if (pool->directory)
		return -EPERM;
	if (pool->dead || pool->removed)
		return -ENOENT;
	if (pool->links >= POOL_LINK_MAX)
		return -EMLINK;
	error = pool_name_add(directory, name, pool);
	if (!error) {
		pool_forget_nameless(pool);
		pool_touch_file(pool);
		pool_undo_add_names(pools, &(struct undo_names){ .kind = NAMES_LINK,
								 .file = pool,
								 .directory = directory,
								 .name = name });
	}
	return media_outcome(pools, error);
}

int pool_link(struct pool *pool, struct pool *directory, const char *name)
{
	int error;

	GATE_SCOPE(pool->pools);
	do
		error = link_locked(pool, directory, name);
	while (error == -ENOSPC && pools_make_room(pool->pools));
	return error;
}
