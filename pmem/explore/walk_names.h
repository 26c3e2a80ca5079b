/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_WALK_NAMES_H
#define EXPLORE_WALK_NAMES_H

/*
 * Private to pmem/explore: names and attributes at a place of a trace. They are known as programs see them,
 * and as they are guaranteed; what is between these is pending in the metadata model, together with the sizes
 * of files, which the walk (trace_walk.h) adds. A trace of a program alone names no root; its files have the
 * paths that their TRACE_FILE has, are in no tree, and no name is ever pending.
 *
 * Not thread safe.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/names.h"
#include "model/names_tree.h"
#include "trace/event.h"

struct explore_xattrs;
struct walk_names;

/* What `commit` is told of: sizes that are guaranteed now. Other operations are this file's own. */
struct walk_names_options {
	enum metadata_mode mode;
	void (*commit)(void *context, const struct names_op *op);
	void *context;
};

/* 0 or -ENOMEM. */
int explore_walk_names_create(const struct walk_names_options *options, struct walk_names **out);
/* NULL is ignored. */
void explore_walk_names_destroy(struct walk_names *names);

/* An event about names, attributes or a new file, or another one; `id`: its number. 0 or a negative errno. */
int explore_walk_names_take(struct walk_names *names, const struct trace_event *event, uint64_t id);

/* NAMES_RESIZE or NAMES_APPEND of a file; `has_mode` and `mode` are set here. 0 or a negative errno. */
int explore_walk_names_size(struct walk_names *names, const struct names_op *op);
/* A write inside the file. 0 or a negative errno. */
int explore_walk_names_overwrite(struct walk_names *names, uint64_t inode);
/* TRACE_CLOSE, event `id`. 0 or a negative errno. */
int explore_walk_names_close(struct walk_names *names, uint64_t inode, uint64_t id, bool last);
/* Has the trace ext4's auto_da_alloc? */
bool explore_walk_names_has_da_alloc(const struct walk_names *names);
/* Does ext4's auto_da_alloc make the bytes of the inode durable? */
bool explore_walk_names_allocates(const struct walk_names *names, uint64_t inode);
/* The mode in which all that the trace's modes of directories allow is legal: the search's, or strict. */
enum metadata_mode explore_walk_names_mode(const struct walk_names *names);
/* Has the directory a metadata mode of its own, by TRACE_RULES? */
bool explore_walk_names_own_mode(const struct walk_names *names, uint64_t inode, enum metadata_mode *mode);
/* Were there events about names before a root, which have no effect? */
bool explore_walk_names_is_unrooted(const struct walk_names *names);
/* Are there several regions, and are their operations in one log, though each region has its own? */
bool explore_walk_names_joins_regions(const struct walk_names *names);
/* For syncs and choices. */
struct names *explore_walk_names_model(const struct walk_names *names);
/* Is there a root, so that a file has a name only if the tree says so? */
bool explore_walk_names_has_root(const struct walk_names *names);
/* Its id; 0: there is none. */
uint64_t explore_walk_names_root(const struct walk_names *names);
/* Changes whenever the trees or what is pending may have changed. */
uint64_t explore_walk_names_generation(const struct walk_names *names);

enum walk_names_kind { WALK_FILE, WALK_DIRECTORY, WALK_SYMLINK, WALK_OTHER };
struct walk_names_entry {
	const char *path; /* from the root: "db/wal"; valid during the call */
	enum walk_names_kind kind;
	uint64_t inode;
	uint32_t permissions; /* 0: not known */
	uint64_t xattrs;      /* the number of a set, for explore_walk_names_xattrs() */
	const char *target;  /* of a symlink; else NULL */
};

/* The extended attributes of this number; NULL: none. The walk's. */
const struct explore_xattrs *explore_walk_names_xattrs(const struct walk_names *names, uint64_t number);

/* The tree as programs see it, and as it is guaranteed; NULL without a root. */
const struct names_tree *explore_walk_names_now(const struct walk_names *names);
const struct names_tree *explore_walk_names_base(const struct walk_names *names);
/*
 * Calls `visit` for each name of a tree in the order of paths, directories before what is in them. Stops if
 * that returns other than 0, and returns it; else 0, -ENOMEM, or -ELOOP (a directory has several names).
 * Paths that are too long are left out.
 */
int explore_walk_names_list(const struct walk_names *names, const struct names_tree *tree, void *context,
			    int (*visit)(void *context, const struct walk_names_entry *entry));

#endif
