/* SPDX-License-Identifier: BSD-3-Clause */

/* Renaming to a free name, over another name, and exchanging two names. */

#include "pool/namespace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "pool/da_alloc.h"
#include "pool/gate.h"
#include "pool/inode.h"
#include "pool/pools.h"
#include "pool/undo.h"

static bool is_inside(const struct pool *directory, const struct pool *ancestor)
{
	for (; directory != ancestor; directory = directory->names->parent)
		if (!directory->names)
			return false;
	return true;
}

/* May `from` replace `to`? 0, -ENOTDIR, -EISDIR or -ENOTEMPTY. */
static int may_replace(const struct name *from, const struct name *to)
{
	if (from->file->directory && !to->file->directory)
		return -ENOTDIR;
	if (!from->file->directory && to->file->directory)
		return -EISDIR;
	if (to->file->directory && !pool_directory_is_empty(to->file))
		return -ENOTEMPTY;
	return 0;
}

/*
 * The first entry that is written says both: the file of this name, and which other name refers to the
 * old file from now on.
 */
int pool_name_exchange(struct pools *pools, struct name *a, struct name *b)
{
	struct pool *file_a = a->file, *file_b = b->file;
	struct name *copy_a = pool_name_alloc(a->text, a->length),
		    *copy_b = pool_name_alloc(b->text, b->length);
	int error;

	if (!copy_a || !copy_b) {
		free(copy_a);
		free(copy_b);
		return -ENOMEM;
	}
	copy_a->index = a->index;
	copy_b->index = b->index;
	error = pool_names_link(pools, copy_a, a->parent, file_b);
	if (!error) {
		error = pool_names_link(pools, copy_b, b->parent, file_a);
		if (!error) {
			/* The peer's file, in the record of a, is what b will name: a's old one. */
			error = pool_name_write(pools, copy_a, NAME_EXCHANGES, copy_b);
			if (error)
				pool_names_unlink(pools, copy_b);
		}
		if (error)
			pool_names_unlink(pools, copy_a);
	}
	if (error) {
		free(copy_a);
		free(copy_b);
		return error;
	}
	pool_names_unlink(pools, a);
	pool_names_unlink(pools, b);
	/*
	 * The entry of a gives, as the peer's file, the file that b will refer to: a's old one. If the entry
	 * of b cannot be written, loading does it.
	 */
	error = pool_name_write(pools, copy_b, NAME_ALONE, NULL);
	pool_touch_directory(a->parent);
	pool_touch_directory(b->parent);
	pool_touch_file(file_a);
	pool_touch_file(file_b);
	free(a);
	free(b);
	return error;
}

int pool_name_move(struct pools *pools, struct name *name, struct pool *directory, const char *text,
		struct name *replaced)
{
	struct name *moved = pool_name_alloc(text, strlen(text));
	struct pool *file = name->file, *old_directory = name->parent;
	int error;

	if (!moved)
		return -ENOMEM;
	moved->index = name->index;
	error = pool_names_link(pools, moved, directory, file);
	if (error) {
		free(moved);
		return error;
	}
	error = pool_name_write(pools, moved, replaced ? NAME_REPLACES : NAME_ALONE, replaced);
	if (error) {
		pool_names_unlink(pools, moved);
		free(moved);
		return error;
	}
	pool_names_unlink(pools, name);
	free(name);
	/* The moved name says that the other is gone: if that cannot be freed, loading does it. */
	if (replaced)
		error = pool_name_remove(pools, replaced);
	pool_touch_directory(old_directory);
	pool_touch_directory(directory);
	pool_touch_file(file);
	return error;
}

/* Write the names, and note how to take the operation back. */
static int change(struct pools *pools, struct name *from, struct pool *directory, const char *text,
		  struct name *to, enum names_kind kind)
{
	struct undo_names names = {
		.kind = kind,
		.file = from->file,
		.other = to ? to->file : NULL,
		.directory = from->parent,
		.to_directory = directory,
		.to_name = text,
	};
	char from_text[POOL_NAME_MAX + 1];
	int error;

	memcpy(from_text, from->text, from->length + 1u);
	names.name = from_text;
	if (to) {
		pool_ref(to->file, 1);
		pool_undo_hold(to->file);
	}
	error = kind == NAMES_EXCHANGE ? pool_name_exchange(pools, from, to) :
					 pool_name_move(pools, from, directory, text, to);
	if (!error)
		pool_undo_add_names(pools, &names);
	else
		/* The first of two writes may have made the change. */
		pools_undo_commit_all(pools);
	if (names.other) {
		pool_undo_let_go(names.other);
		pool_unref(names.other, 1);
	}
	return error;
}

static int rename_locked(struct pools *pools, struct name *from, struct pool *directory, const char *text,
			 unsigned flags)
{
	struct name *to = pool_names_find(pools, directory, text, strlen(text));
	int error;

	if (!to) {
		if (flags & RENAME_EXCHANGE)
			return -ENOENT;
		error = pool_name_may_add(directory, text);
	} else {
		if (flags & RENAME_NOREPLACE)
			return -EEXIST;
		error = 0;
	}
	if (error)
		return error;
	if (from->file->directory && is_inside(directory, from->file))
		return -EINVAL;
	if (flags & RENAME_EXCHANGE) {
		if (to->file->directory && is_inside(from->parent, to->file))
			return -EINVAL;
		return from->file == to->file ?
			       0 :
			       change(pools, from, directory, text, to, NAMES_EXCHANGE);
	}
	if (to && to->file == from->file)
		return 0;
	if (to)
		error = may_replace(from, to);
	return error ? error : change(pools, from, directory, text, to, NAMES_RENAME);
}

/* The file of the name, with a reference, if it would replace another one; else NULL. */
static struct pool *find_replacing(struct pool *directory, const char *text, struct pool *new_directory,
				   const char *new_text)
{
	struct name *from, *to;

	READ_SCOPE(&directory->pools->tree);
	if (pool_name_find(directory, text, &from) < 0 || pool_name_find(new_directory, new_text, &to) < 0 ||
	    from->file == to->file)
		return NULL;
	pool_ref(from->file, 1);
	return from->file;
}

/* Without the lock of all names, since it may take long. */
static void allocate_replacing(struct pool *directory, const char *text, struct pool *new_directory,
			       const char *new_text)
{
	struct pool *file = find_replacing(directory, text, new_directory, new_text);

	if (!file)
		return;
	pool_allocate(file);
	pool_unref(file, 1);
}

int pool_rename(struct pool *directory, const char *text, struct pool *new_directory, const char *new_text,
		unsigned flags)
{
	struct pools *pools = directory->pools;
	struct name *from;
	int error;

	GATE_SCOPE(pools);
	if (pools->read_only)
		return -EROFS;
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if (pools->options.auto_da_alloc && !flags)
		allocate_replacing(directory, text, new_directory, new_text);
	WRITE_SCOPE(&pools->tree);
	error = pool_name_find(directory, text, &from);
	if (error)
		return error;
	if (!new_directory->directory)
		return -ENOTDIR;
	if (strlen(new_text) > POOL_NAME_MAX)
		return -ENAMETOOLONG;
	return media_outcome(pools, rename_locked(pools, from, new_directory, new_text, flags));
}
