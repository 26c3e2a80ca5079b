/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_NODE_H
#define FUSE_NODE_H

/* The inodes that the kernel knows, and the regions' trees that they belong to. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cached_pages.h"
#include "pool/pool.h"

struct tree;

/*
 * One inode that the kernel knows; its address is the nodeid. A regular file gets
 * a new node in each generation, so that neither pages that the kernel cached for
 * an older node nor mappings of it can reach bytes of the new generation.
 */
struct node {
	struct tree *tree; /* NULL: the root of a mount of several regions, which has no pool */
	struct pool *pool; /* with as many references as `lookups`; a tree's root has one */
	uint64_t lookups;  /* how often the kernel was given the nodeid; guarded by nodes.lock */
	bool regular;
	bool dead;		  /* of an older generation; written while no request is served */
	struct cached_pages cached; /* of a regular file */
	/* Open files through which pages can be mapped and stored to. */
	_Atomic unsigned storable;
	struct node *chain;	  /* in nodes.buckets, unless dead; guarded by nodes.lock */
	struct node *prev, *next; /* in nodes.all; guarded by nodes.lock */
};

struct nodes {
	pthread_mutex_t lock;
	struct node **buckets; /* by pool */
	size_t bucket_count;   /* a power of two */
	size_t count;	       /* of nodes in buckets */
	struct node *all;      /* the dead ones too */
};

/* The pools of a region. */
struct tree {
	struct pools *pools;
	char *name;	   /* of its directory, where there are several regions; owned */
	uint64_t ino_base; /* its files' st_ino have these bits too */
	struct node root;
	struct nodes nodes;
	/* Its media are lost, and the kernel's caches of them are emptied: EIO for good. */
	atomic_bool gone;
};

/* 0 or -ENOMEM; then nothing is to be destroyed. */
int fusefs_nodes_init(struct nodes *nodes);
/* Free all nodes, and drop their references. To be called after the last request. */
void fusefs_nodes_destroy(struct nodes *nodes);

/*
 * The node of a pool, with one more lookup, which takes over the caller's
 * reference to the pool. NULL: no memory, and the caller keeps the reference.
 */
struct node *fusefs_node_take(struct tree *tree, struct pool *pool, bool regular);
/*
 * The kernel forgets `lookups` of the lookups of a node that is no root; as many
 * references are dropped. True if none is left: the caller calls fusefs_node_free().
 */
bool fusefs_node_forget(struct node *node, uint64_t lookups);
/* One more lookup and reference, to be given back by fusefs_entry_forget(). Not of a root. */
void fusefs_node_hold(struct node *node);
/* Free a node for which fusefs_node_forget() returned true. */
void fusefs_node_free(struct node *node);
/* The node of this generation by which the kernel may know a pool of the tree; NULL: none. */
struct node *fusefs_node_find(struct tree *tree, const struct pool *pool);
/* Make the nodes of all regular files nodes of an older generation. No request is served during the call. */
void fusefs_nodes_end_generation(struct nodes *nodes);

/* The same for all nodes but the tree's root: their pools are dead. */
void fusefs_nodes_retire(struct nodes *nodes);

/*
 * May the kernel have stores of a mapping that it has not written back? When a mapping goes, it is written
 * back before its file is released.
 */
static inline bool fusefs_node_may_have_stores(const struct node *node)
{
	return atomic_load(&node->storable) > 0;
}

static inline bool fusefs_node_is_root(const struct node *node)
{
	return !node->tree || node == &node->tree->root;
}

static inline bool fusefs_tree_is_lost(const struct tree *tree)
{
	return atomic_load(&tree->gone) || pools_media_lost(tree->pools);
}

#endif
