/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_STATE_TREE_H
#define EXPLORE_STATE_TREE_H

/*
 * The names, sizes and attributes of one crash state: what is guaranteed, with the pending operations
 * that survive.
 *
 * Not thread safe.
 */

#include "common/vector.h"
#include "explore/trace_walk.h"
#include "explore/walk_names.h"

struct explore_cut;
struct explore_xattrs;

struct explore_tree_entry {
	char *path; /* "db/wal" */
	enum walk_names_kind kind;
	uint64_t inode;		   /* the trace's id */
	struct explore_file *file; /* of a WALK_FILE */
	uint32_t permissions;	   /* 0: not known */
	const char *target;	   /* of a WALK_SYMLINK; the walk's */
	const struct explore_xattrs *xattrs; /* NULL: none; the walk's */
};

struct explore_tree {
	/* A directory comes before what is in it. A file with several names is there several times. */
	VECTOR_FIELDS(struct explore_tree_entry);
	/* By the number of a file: its size, and whether it has a name. */
	uint64_t *sizes;
	bool *present;
	/* Which bytes come back to their files, in this order. */
	VECTOR(const struct explore_cut *) restored;
	/* Of each pending operation, the oldest first. */
	VECTOR(struct explore_survivor {
		uint64_t id; /* the number of its event */
		bool survives;
	}) operations;
	struct explore_digest digest; /* equal for equal names, attributes and sizes */
};

/*
 * Of the pending operations those survive that are wanted, as far as that is legal in `mode`:
 * names_choose_wanted(). The tree is valid until the walk takes another event. 0 or a negative errno.
 */
int explore_tree_create(const struct explore_walk *walk, enum metadata_mode mode, void *context,
			bool (*wanted)(void *context, const struct names_op *op), struct explore_tree **out);
/* NULL is ignored. */
void explore_tree_destroy(struct explore_tree *tree);

#endif
