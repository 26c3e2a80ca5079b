/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "common/cleanup.h"
#include "private.h"

int nodes_init(struct nodes *nodes)
{
	nodes->bucket_count = 1024;
	nodes->buckets = calloc(nodes->bucket_count, sizeof(*nodes->buckets));
	if (!nodes->buckets)
		return -ENOMEM;
	pthread_mutex_init(&nodes->lock, NULL);
	return 0;
}

static bool is_root(const struct node *node)
{
	return !node->tree || node == &node->tree->root;
}

static void node_free(struct node *node)
{
	pool_unref(node->pool, node->lookups);
	free(node);
}

void nodes_fini(struct nodes *nodes)
{
	struct node *node, *next;

	if (!nodes->buckets)
		return;
	for (node = nodes->all; node; node = next) {
		next = node->next;
		node_free(node);
	}
	free(nodes->buckets);
	pthread_mutex_destroy(&nodes->lock);
}

static struct node **bucket_of(const struct nodes *nodes, const struct pool *pool)
{
	/* Fibonacci hashing: the upper half of the product mixes all of the address. */
	uint64_t hash = (uint64_t)(uintptr_t)pool * 0x9e3779b97f4a7c15u;

	return &nodes->buckets[(hash >> 32) & (nodes->bucket_count - 1)];
}

static struct node *find(const struct nodes *nodes, const struct pool *pool)
{
	struct node *node = *bucket_of(nodes, pool);

	while (node && node->pool != pool)
		node = node->chain;
	return node;
}

static void hash_insert(struct nodes *nodes, struct node *node)
{
	struct node **bucket = bucket_of(nodes, node->pool);

	node->chain = *bucket;
	*bucket = node;
}

static void grow(struct nodes *nodes)
{
	struct node **buckets = calloc(nodes->bucket_count * 2, sizeof(*buckets));
	struct node *node;

	if (!buckets) /* Longer chains are slower, not wrong. */
		return;
	free(nodes->buckets);
	nodes->buckets = buckets;
	nodes->bucket_count *= 2;
	for (node = nodes->all; node; node = node->next)
		if (!node->dead)
			hash_insert(nodes, node);
}

static void insert(struct nodes *nodes, struct node *node)
{
	if (nodes->count >= nodes->bucket_count)
		grow(nodes);
	hash_insert(nodes, node);
	nodes->count++;
	node->next = nodes->all;
	if (node->next)
		node->next->prev = node;
	nodes->all = node;
}

static void hash_remove(struct nodes *nodes, struct node *node)
{
	struct node **link = bucket_of(nodes, node->pool);

	while (*link != node)
		link = &(*link)->chain;
	*link = node->chain;
	nodes->count--;
}

static void list_remove(struct nodes *nodes, struct node *node)
{
	if (node->prev)
		node->prev->next = node->next;
	else
		nodes->all = node->next;
	if (node->next)
		node->next->prev = node->prev;
}

struct node *node_take(struct tree *tree, struct pool *pool, bool regular)
{
	struct nodes *nodes = &tree->nodes;
	struct node *node;

	if (pool == tree->root.pool) {
		pool_unref(pool, 1);
		return &tree->root;
	}
	LOCK_SCOPE(&nodes->lock);
	node = find(nodes, pool);
	if (!node) {
		node = calloc(1, sizeof(*node));
		if (!node)
			return NULL;
		node->tree = tree;
		node->pool = pool;
		node->regular = regular;
		insert(nodes, node);
	}
	node->lookups++;
	return node;
}

void node_forget(struct fusefs *fs, fuse_ino_t ino, uint64_t lookups)
{
	struct node *node = node_of(fs, ino);
	struct nodes *nodes;
	struct pool *pool;
	bool last;

	if (is_root(node) || tree_is_lost(node->tree))
		return;
	nodes = &node->tree->nodes;
	pool = node->pool;
	pthread_mutex_lock(&nodes->lock);
	node->lookups -= lookups;
	last = !node->lookups;
	if (last) {
		if (!node->dead)
			hash_remove(nodes, node);
		list_remove(nodes, node);
	}
	pthread_mutex_unlock(&nodes->lock);
	if (last) {
		shadow_forget_node(fs, node);
		free(node);
	}
	pool_unref(pool, lookups);
}

fuse_ino_t node_find(struct fusefs *fs, struct pool *pool)
{
	for (unsigned i = 0; i < fs->tree_count; i++) {
		struct tree *tree = &fs->trees[i];
		LOCK_SCOPE(&tree->nodes.lock);
		struct node *node = pool == tree->root.pool ? &tree->root : find(&tree->nodes, pool);

		if (node)
			return node_ino(fs, node);
	}
	return 0;
}

void nodes_bury(struct nodes *nodes)
{
	LOCK_SCOPE(&nodes->lock);
	struct node *node;

	for (node = nodes->all; node; node = node->next) {
		if (!node->regular || node->dead)
			continue;
		hash_remove(nodes, node);
		node->dead = true;
	}
}
