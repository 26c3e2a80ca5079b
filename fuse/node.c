/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/cleanup.h"
#include "node.h"

int fusefs_nodes_init(struct nodes *nodes)
{
	nodes->bucket_count = 1024;
	nodes->buckets = calloc(nodes->bucket_count, sizeof(*nodes->buckets));
	if (!nodes->buckets)
		return -ENOMEM;
	pthread_mutex_init(&nodes->lock, NULL);
	return 0;
}

void fusefs_node_free(struct node *node)
{
	fusefs_cached_destroy(&node->cached);
	free(node);
}

void fusefs_nodes_destroy(struct nodes *nodes)
{
	struct node *node, *next;

	if (!nodes->buckets)
		return;
	for (node = nodes->all; node; node = next) {
		next = node->next;
		pool_unref(node->pool, node->lookups);
		fusefs_node_free(node);
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

static struct node *hash_find(const struct nodes *nodes, const struct pool *pool)
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

struct node *fusefs_node_take(struct tree *tree, struct pool *pool, bool regular)
{
	struct nodes *nodes = &tree->nodes;
	struct node *node;

	if (pool == tree->root.pool) {
		pool_unref(pool, 1);
		return &tree->root;
	}
	LOCK_SCOPE(&nodes->lock);
	node = hash_find(nodes, pool);
	if (!node) {
		node = alloc_zeroed(sizeof(*node));
		if (!node)
			return NULL;
		node->tree = tree;
		node->pool = pool;
		node->regular = regular;
		fusefs_cached_init(&node->cached);
		insert(nodes, node);
	}
	node->lookups++;
	return node;
}

void fusefs_node_hold(struct node *node)
{
	LOCK_SCOPE(&node->tree->nodes.lock);

	pool_ref(node->pool, 1);
	node->lookups++;
}

bool fusefs_node_forget(struct node *node, uint64_t lookups)
{
	struct nodes *nodes = &node->tree->nodes;
	/* Another thread may free the node as soon as the lock is released. */
	struct pool *pool = node->pool;
	bool last;

	{
		LOCK_SCOPE(&nodes->lock);
		node->lookups -= lookups;
		last = !node->lookups;
		if (last && !node->dead)
			hash_remove(nodes, node);
		if (last)
			list_remove(nodes, node);
	}
	pool_unref(pool, lookups);
	return last;
}

struct node *fusefs_node_find(struct tree *tree, const struct pool *pool)
{
	LOCK_SCOPE(&tree->nodes.lock);

	return pool == tree->root.pool ? &tree->root : hash_find(&tree->nodes, pool);
}

static void end_node(struct nodes *nodes, struct node *node)
{
	if (node->dead)
		return;
	hash_remove(nodes, node);
	node->dead = true;
}

void fusefs_nodes_end_generation(struct nodes *nodes)
{
	LOCK_SCOPE(&nodes->lock);

	for (struct node *node = nodes->all; node; node = node->next)
		if (node->regular)
			end_node(nodes, node);
}

void fusefs_nodes_retire(struct nodes *nodes)
{
	LOCK_SCOPE(&nodes->lock);

	for (struct node *node = nodes->all; node; node = node->next)
		end_node(nodes, node);
}
