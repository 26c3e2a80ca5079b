/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MODEL_NAMES_TREE_H
#define MODEL_NAMES_TREE_H

/*
 * A tree of names without bytes, to which operations of names.h can be applied: the
 * tree that an outage leaves is the tree of what is committed with the surviving
 * operations applied in their order.
 *
 * An operation is applied by what it sets: names become an inode or nothing, an
 * inode gets a size or attributes. It need not be possible: an operation on a
 * directory that has no name (METADATA_STRICT: its mkdir is pending) is applied all
 * the same. What cannot be reached from the root is not listed.
 *
 * Not thread safe, but for functions that take a const tree.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/vector.h"
#include "model/names.h"

struct names_tree;

/* A tree with a root directory alone. 0 or -ENOMEM. */
int names_tree_create(uint64_t root, struct names_tree **out);
int names_tree_copy(const struct names_tree *tree, struct names_tree **out);
/* NULL is ignored. */
void names_tree_destroy(struct names_tree *tree);

/*
 * There is an inode, of size 0; no name has it yet. The tree must be told of each
 * new inode at once, also while its creation is pending: in METADATA_STRICT an
 * inode can survive by a later name without its first. Known inodes are left as
 * they are. 0 or -ENOMEM.
 */
int names_tree_inode(struct names_tree *tree, uint64_t inode, bool directory, uint64_t attributes);

/* 0 or -ENOMEM; then the tree is as it was, or a part of the operation was applied. */
int names_tree_apply(struct names_tree *tree, const struct names_op *op);

/* The inode of a name, or 0. */
uint64_t names_tree_lookup(const struct names_tree *tree, uint64_t dir, const char *name);

struct names_entry {
	uint64_t dir, inode;
	const char *name; /* the tree's own, until the tree changes */
	uint64_t size, attributes;
	bool directory;
};
struct names_entries {
	VECTOR_FIELDS(struct names_entry);
};

/*
 * All names that can be reached from the root, by ascending directory and name:
 * equal lists are equal trees. `entries` is empty before; the caller frees it. 0 or
 * -ENOMEM.
 */
int names_tree_list(const struct names_tree *tree, struct names_entries *entries);
/* In such a list, the index of the first entry of this directory or of a later one; else the count. */
size_t names_entries_find(const struct names_entries *entries, uint64_t dir);

#endif
