/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/operation_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "explore/walk_names.h"

struct search {
	uint64_t inode;
	char *path;
};

static int find_inode(void *context, const struct walk_names_entry *entry)
{
	struct search *search = context;

	if (entry->inode != search->inode)
		return 0;
	search->path = strdup(entry->path);
	return search->path ? 1 : -ENOMEM;
}

/* The path of an inode; of one without a name, its number. NULL without memory. */
static char *path_of(const struct explore_walk *walk, uint64_t inode)
{
	const struct walk_names *names = explore_walk_names(walk);
	const struct explore_file *file = explore_walk_find_file(walk, inode);
	struct search search = { .inode = inode };
	int error = explore_walk_names_list(names, explore_walk_names_now(names), &search, find_inode);

	if (error < 0 || search.path)
		return search.path;
	if (file)
		return strdup(file->path);
	return asprintf(&search.path, "file %" PRIu64, inode) < 0 ? NULL : search.path;
}

/* A name in a directory. */
static char *name_in(const struct explore_walk *walk, uint64_t dir, const char *name)
{
	CLEANUP_FREE char *path = NULL;
	char *whole;

	if (dir == explore_walk_names_root(explore_walk_names(walk)))
		return strdup(name);
	path = path_of(walk, dir);
	return path && asprintf(&whole, "%s/%s", path, name) >= 0 ? whole : NULL;
}

static const char *verb_of(const struct names_op *op)
{
	const char *call = names_op_call(op);

	if (call)
		return call;
	switch (op->kind) {
	case NAMES_TMPFILE:
		return "create";
	case NAMES_RESIZE:
		return "truncation or allocation";
	case NAMES_APPEND:
		return "write past the end";
	case NAMES_SETATTR:
		return "change of the attributes";
	default:
		return "allocation";
	}
}

int explore_operation_text(const struct explore_walk *walk, const struct names_op *op, char **text,
			   char **path)
{
	CLEANUP_FREE char *from = op->name ? name_in(walk, op->dir, op->name) : path_of(walk, op->inode);
	CLEANUP_FREE char *to = op->to_name ? name_in(walk, op->to_dir, op->to_name) : NULL;
	int length;

	*text = *path = NULL;
	if (!from || (op->to_name && !to))
		return -ENOMEM;
	if (to)
		length = asprintf(text, "%s of %s to %s", verb_of(op), from, to);
	else if (op->kind == NAMES_RESIZE || op->kind == NAMES_APPEND)
		length = asprintf(text, "%s of %s to %" PRIu64 " bytes", verb_of(op), from, op->size);
	else
		length = asprintf(text, "%s of %s", verb_of(op), from);
	if (length < 0)
		*text = NULL;
	else
		*path = steal_pointer(to ? &to : &from);
	if (*path)
		return 0;
	free(*text);
	*text = NULL;
	return -ENOMEM;
}
