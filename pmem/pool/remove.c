/* SPDX-License-Identifier: BSD-3-Clause */

/* Finding and removing names. */

#include "pool/namespace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "pool/gate.h"
#include "pool/inode.h"
#include "pool/lifetime.h"
#include "pool/pools.h"
#include "pool/table.h"
#include "pool/undo.h"
#include "pool/view_limits.h"

int pool_name_find(struct pool *directory, const char *text, struct name **out)
{
	if (!directory->directory)
		return -ENOTDIR;
	if (strlen(text) > POOL_NAME_MAX)
		return -ENAMETOOLONG;
	*out = pool_names_find(directory->pools, directory, text, strlen(text));
	return *out ? 0 : -ENOENT;
}

/* The directory's times are volatile until it is synced: after a crash they may be older than its names. */
void pool_touch_directory(struct pool *directory)
{
	WRITE_SCOPE(&directory->lock);
	directory->mtime = directory->ctime = pool_time_now();
	pool_activate(directory);
}

void pool_touch_file(struct pool *pool)
{
	WRITE_SCOPE(&pool->lock);
	pool->ctime = pool_time_now();
	pool_activate(pool);
}

int pool_name_remove(struct pools *pools, struct name *name)
{
	struct pool *parent = name->parent, *file = name->file;
	int error = pool_table_free(pools, name->index);

	if (error)
		return error;
	pool_ref(file, 1);
	pool_names_unlink(pools, name);
	free(name);
	pool_touch_directory(parent);
	if (file->links == 0)
		atomic_store(&file->removed, true);
	if (!pool_destroy_if_unused(file)) {
		if (file->links == 0)
			pool_note_nameless(file);
		pool_touch_file(file);
	}
	pool_unref(file, 1);
	return 0;
}

static int may_unlink(const struct pool *file)
{
	return file->directory ? -EISDIR : 0;
}

static int may_rmdir(const struct pool *file)
{
	if (!file->directory)
		return -ENOTDIR;
	return pool_directory_is_empty(file) ? 0 : -ENOTEMPTY;
}

static int remove_if(struct pool *directory, const char *text, int (*may)(const struct pool *file),
		     enum names_kind kind)
{
	struct pools *pools = directory->pools;
	struct pool *file;
	struct name *name;
	int error;

	GATE_SCOPE(pools);
	if (pools->read_only)
		return -EROFS;
	WRITE_SCOPE(&pools->tree);
	error = pool_name_find(directory, text, &name);
	if (!error)
		error = may(name->file);
	if (error)
		return error;
	file = name->file;
	pool_ref(file, 1);
	pool_undo_hold(file);
	error = pool_name_remove(pools, name);
	if (!error)
		pool_undo_add_names(pools, &(struct undo_names){ .kind = kind,
								 .file = file,
								 .directory = directory,
								 .name = text });
	pool_undo_let_go(file);
	pool_unref(file, 1);
	return media_outcome(pools, error);
}

int pool_unlink(struct pool *directory, const char *text)
{
	return remove_if(directory, text, may_unlink, NAMES_UNLINK);
}

int pool_rmdir(struct pool *directory, const char *text)
{
	return remove_if(directory, text, may_rmdir, NAMES_RMDIR);
}
