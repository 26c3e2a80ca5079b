/* SPDX-License-Identifier: BSD-3-Clause */

/* Lookup, and making, linking and removing names; rename.c renames. */

#include "pool/private.h"

#include <errno.h>
#include <string.h>

/* ---- Finding ---------------------------------------------------------------- */

struct pool *pool_root(struct pools *pools)
{
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
	found = names_find(pools, directory, name, length);
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

struct pool *pool_parent(struct pool *directory)
{
	struct pool *parent;

	READ_SCOPE(&directory->pools->tree);
	parent = directory->names ? directory->names->parent : directory;
	pool_ref(parent, 1);
	return parent;
}

int pool_path(struct pool *pool, char *buffer, size_t size)
{
	size_t at = size;

	READ_SCOPE(&pool->pools->tree);
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

int pool_readdir(struct pool *pool, uint64_t cookie,
		 int (*entry)(void *context, const char *name, struct pool *pool, uint64_t next),
		 void *context)
{
	const struct directory *directory;
	size_t low = 0, high;

	GATE_SCOPE(pool->pools);
	READ_SCOPE(&pool->pools->tree);
	directory = pool->directory;
	if (!directory)
		return -ENOTDIR;
	for (high = directory->count; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (directory->items[middle].cookie <= cookie)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < directory->count; low++) {
		struct name *name = directory->items[low].name;

		if (!name)
			continue;
		pool_ref(name->file, 1);
		if (entry(context, name->text, name->file, name->cookie)) {
			/* Not the last one: it has a name. */
			pool_unref(name->file, 1);
			break;
		}
	}
	return 0;
}

/* ---- Making ------------------------------------------------------------------- */

int name_may_add(struct pool *directory, const char *text)
{
	int error;

	if (directory->pools->read_only)
		return -EROFS;
	if (!directory->directory)
		return -ENOTDIR;
	/* Removed, and still somebody's working directory. */
	if (directory->dead || (!directory->names && directory != directory->pools->root))
		return -ENOENT;
	error = name_check(text, strlen(text));
	if (error)
		return error;
	return names_find(directory->pools, directory, text, strlen(text)) ? -EEXIST : 0;
}

/* The directory's times are volatile until it is synced: a crash may leave them behind its names. */
void directory_touch(struct pool *directory)
{
	WRITE_SCOPE(&directory->lock);
	directory->mtime = directory->ctime = now();
	pool_activate(directory);
}

void file_touch(struct pool *pool)
{
	WRITE_SCOPE(&pool->lock);
	pool->ctime = now();
	pool_activate(pool);
}

void name_write(struct pools *pools, const struct name *name, enum name_action action,
		const struct name *peer)
{
	union slot slot;

	name_encode(name, &slot);
	slot.name.action = (uint8_t)action;
	if (peer) {
		slot.name.peer = peer->index;
		slot.name.peer_sequence = pools->sequences[peer->index];
		slot.name.peer_file = peer->file->index;
	}
	table_write(pools, name->index, &slot);
}

/* A name for `file`, in memory and on the media. pools->tree is held exclusively. */
static int add_name(struct pool *directory, const char *text, struct pool *file)
{
	struct pools *pools = directory->pools;
	struct name *name = name_alloc(text, strlen(text));
	uint32_t index;
	int error;

	if (!name)
		return -ENOMEM;
	error = table_take(pools, &index);
	if (error) {
		free(name);
		return error;
	}
	name->index = index;
	error = names_link(pools, name, directory, file);
	if (error) {
		table_put_back(pools, index);
		free(name);
		return error;
	}
	name_write(pools, name, NAME_ALONE, NULL);
	directory_touch(directory);
	return 0;
}

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
	inherit_group(pool, directory);
	make_uuid(pool->uuid);
	pool->atime = pool->btime = now();
	pool->mtime = pool->durable_mtime = pool->btime;
	pool->ctime = pool->durable_ctime = pool->btime;
	if (S_ISDIR(pool->mode)) {
		pool->directory = calloc(1, sizeof(*pool->directory));
		if (!pool->directory)
			return -ENOMEM;
	}
	return 0;
}

/* The file's bytes of a new symlink: on the media before the entry that points there. */
static int write_target(struct pool *pool, const char *target)
{
	unsigned char page[BLOCK_BYTES] = { 0 };
	uint64_t block;

	if (extmap_reserve(&pool->map, 1))
		return -ENOMEM;
	if (space_take(&pool->pools->space, SPACE_DATA, 0, 1, false, &block) == 0)
		return -ENOSPC;
	memcpy(page, target, strlen(target));
	media_write(pool->pools->region, block * BLOCK_BYTES, page, sizeof(page));
	media_fence(pool->pools->region);
	extmap_insert(&pool->map, 0, 1, block, false);
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
	error = file_reserve(pool, 0, align_up(size, PAGE_BYTES) / PAGE_BYTES);
	pool->map_changed = true;
	pool->size = pool->durable_size = size;
	return error;
}

/* The file first, then the name: what is cut in between is a file without a name. */
static int make_file(struct pool *directory, const char *text, const struct pool_new *attributes,
		     const char *target, struct pool **out)
{
	struct pools *pools = directory->pools;
	struct pool *pool;
	uint32_t index;
	int error;

	error = table_take(pools, &index);
	if (error)
		return error;
	pool = pool_alloc(pools, index);
	if (!pool) {
		table_put_back(pools, index);
		return -ENOMEM;
	}
	error = init_file(pool, directory, attributes);
	if (!error && target)
		error = write_target(pool, target);
	else if (!error && S_ISREG(pool->mode))
		error = reserve_size(pool, attributes->size);
	if (!error)
		error = file_commit(pool);
	if (error) {
		extents_release(&pools->space, &pool->map);
		space_unpromise(&pools->space, pool->promised);
		table_put_back(pools, index);
		pool_free_memory(pool);
		return error;
	}
	pools->files[index] = pool;
	atomic_fetch_add(S_ISDIR(pool->mode) ? &pools->directory_count : &pools->file_count, 1);
	error = add_name(directory, text, pool);
	/* Our own reference: a destroyed file stays in memory as long. */
	pool_ref(pool, 1);
	if (error) {
		file_destroy_if_unused(pool);
		pool_unref(pool, 1);
		return error;
	}
	*out = pool;
	return 0;
}

static int make_on_media(struct pool *directory, const char *name, const struct pool_new *attributes,
			 const char *target, struct pool **out)
{
	int error = make_file(directory, name, attributes, target, out);

	if (!error && region_failed(directory->pools->region)) {
		pool_unref(*out, 1);
		error = -EIO;
	}
	return error;
}

int pool_create(struct pool *directory, const char *name, const struct pool_new *attributes,
		struct pool **out)
{
	int error;

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
	WRITE_SCOPE(&directory->pools->tree);
	error = name_may_add(directory, name);
	return error ? error : make_on_media(directory, name, attributes, NULL, out);
}

int pool_symlink(struct pool *directory, const char *name, const char *target, uid_t uid, gid_t gid,
		 struct pool **out)
{
	const struct pool_new attributes = { .mode = S_IFLNK | 0777, .uid = uid, .gid = gid };
	int error;

	GATE_SCOPE(directory->pools);
	if (!*target)
		return -ENOENT;
	if (strlen(target) > POOL_SYMLINK_MAX)
		return -ENAMETOOLONG;
	WRITE_SCOPE(&directory->pools->tree);
	error = name_may_add(directory, name);
	return error ? error : make_on_media(directory, name, &attributes, target, out);
}

int pool_readlink(struct pool *pool, char *buffer, size_t size)
{
	struct placement place;

	GATE_SCOPE(pool->pools);
	READ_SCOPE(&pool->lock);
	if (pool->dead)
		return -ESTALE;
	if (!S_ISLNK(pool->mode))
		return -EINVAL;
	if (size <= pool->size)
		return -ERANGE;
	place = pool_view_ops.find(pool, 0, 1);
	memcpy(buffer, region_media(pool->pools->region) + place.media_offset, pool->size);
	buffer[pool->size] = '\0';
	return 0;
}

int pool_link(struct pool *pool, struct pool *directory, const char *name)
{
	struct pools *pools = pool->pools;
	int error;

	GATE_SCOPE(pools);
	WRITE_SCOPE(&pools->tree);
	error = name_may_add(directory, name);
	if (error)
		return error;
	if (pool->directory)
		return -EPERM;
	if (pool->links == 0)
		return -ENOENT;
	if (pool->links >= POOL_LINK_MAX)
		return -EMLINK;
	error = add_name(directory, name, pool);
	if (!error)
		file_touch(pool);
	return media_outcome(pools, error);
}

/* ---- Removing -------------------------------------------------------------------- */

void name_remove(struct pools *pools, struct name *name)
{
	struct pool *parent = name->parent, *file = name->file;
	uint32_t index = name->index;

	pool_ref(file, 1);
	table_free(pools, index);
	names_unlink(pools, name);
	free(name);
	directory_touch(parent);
	if (!file_destroy_if_unused(file))
		file_touch(file);
	pool_unref(file, 1);
}

int name_find_existing(struct pool *directory, const char *text, struct name **out)
{
	if (!directory->directory)
		return -ENOTDIR;
	if (strlen(text) > POOL_NAME_MAX)
		return -ENAMETOOLONG;
	*out = names_find(directory->pools, directory, text, strlen(text));
	return *out ? 0 : -ENOENT;
}

bool directory_is_empty(const struct pool *pool)
{
	return pool->directory->count == pool->directory->holes;
}

static int may_unlink(const struct pool *file)
{
	return file->directory ? -EISDIR : 0;
}

static int may_rmdir(const struct pool *file)
{
	if (!file->directory)
		return -ENOTDIR;
	return directory_is_empty(file) ? 0 : -ENOTEMPTY;
}

static int remove_if(struct pool *directory, const char *text, int (*may)(const struct pool *file))
{
	struct pools *pools = directory->pools;
	struct name *name;
	int error;

	GATE_SCOPE(pools);
	if (pools->read_only)
		return -EROFS;
	WRITE_SCOPE(&pools->tree);
	error = name_find_existing(directory, text, &name);
	if (!error)
		error = may(name->file);
	if (error)
		return error;
	name_remove(pools, name);
	return media_outcome(pools, 0);
}

int pool_unlink(struct pool *directory, const char *text)
{
	return remove_if(directory, text, may_unlink);
}

int pool_rmdir(struct pool *directory, const char *text)
{
	return remove_if(directory, text, may_rmdir);
}
