/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_NAMESPACE_H
#define POOL_NAMESPACE_H

/*
 * Private to pmem/pool: functions that creating, removing and renaming share, and that taking them back uses.
 * Each operation becomes durable by one pool_table_write(). pools->tree is held exclusively, but for
 * pool_path_locked().
 */

#include "pool/directory_names.h"
#include "pool/format.h"

/* May the directory get a new name of this text? 0, -EROFS, -ENOTDIR, -ENOENT, -EEXIST, -ENAMETOOLONG. */
int pool_name_may_add(struct pool *directory, const char *text);
/* 0, -ENOENT, -ENOTDIR or -ENAMETOOLONG. */
int pool_name_find(struct pool *directory, const char *text, struct name **out);
/*
 * Write the name's entry, as pool_table_write(). `peer` (may be NULL): the name that `action` changes at
 * once.
 */
int pool_name_write(struct pools *pools, const struct name *name, enum name_action action,
		    const struct name *peer);
/* Add a name for `file`, in memory and on the media: 0, -ENOMEM, -ENOSPC or -EIO. */
int pool_name_add(struct pool *directory, const char *text, struct pool *file);
/* Rename it to `text` in the directory, where `replaced` (may be NULL) has this name so far. Frees `name`. */
int pool_name_move(struct pools *pools, struct name *name, struct pool *directory, const char *text,
		   struct name *replaced);
/* Each names the other's file. Frees both. */
int pool_name_exchange(struct pools *pools, struct name *a, struct name *b);
/* As pool_path(), where the lock is held, shared or exclusively. */
int pool_path_locked(const struct pool *pool, char *buffer, size_t size);
/*
 * Remove the name, free it, and destroy its file if that has no other name and no handle. -EIO: the name
 * stays.
 */
int pool_name_remove(struct pools *pools, struct name *name);
/* Set the directory's mtime and ctime, or a file's ctime: volatile until it is synced. */
void pool_touch_directory(struct pool *directory);
void pool_touch_file(struct pool *pool);

#endif
