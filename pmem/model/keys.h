/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MODEL_KEYS_H
#define MODEL_KEYS_H

/*
 * Private to pmem/model: hash tables whose keys are a number and a string, such
 * as a name in a directory, or a number alone with an empty string. The node is
 * the first member of what is found by it; the table owns neither.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"

struct keys_node {
	struct keys_node *next; /* in its bucket */
	uint64_t hash, number;
	const char *name; /* lives as long as the node */
};

struct keys {
	struct keys_node **buckets; /* NULL while the table is empty and was never used */
	size_t capacity;	    /* a power of two */
	size_t count;
	uint64_t seed;
};

static inline uint64_t keys_hash(const struct keys *keys, uint64_t number, const char *name)
{
	uint64_t hash = rng_mix(keys->seed ^ rng_mix(number));

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
	return rng_mix(hash);
}

static inline struct keys_node *keys_find(const struct keys *keys, uint64_t number, const char *name)
{
	const uint64_t hash = keys_hash(keys, number, name);
	struct keys_node *node = keys->count ? keys->buckets[hash & (keys->capacity - 1)] : NULL;

	while (node && (node->hash != hash || node->number != number || strcmp(node->name, name) != 0))
		node = node->next;
	return node;
}

/* Make room for one more; false without memory. */
static inline bool keys_reserve(struct keys *keys)
{
	const size_t capacity = keys->capacity ? keys->capacity * 2 : 64;
	struct keys_node **buckets;

	if (keys->count < keys->capacity)
		return true;
	buckets = calloc(capacity, sizeof(*buckets));
	if (!buckets)
		return false;
	for (size_t i = 0; i < keys->capacity; i++)
		while (keys->buckets[i]) {
			struct keys_node *node = keys->buckets[i];

			keys->buckets[i] = node->next;
			node->next = buckets[node->hash & (capacity - 1)];
			buckets[node->hash & (capacity - 1)] = node;
		}
	free(keys->buckets);
	keys->buckets = buckets;
	keys->capacity = capacity;
	return true;
}

/* Add a node that is not there; keys_reserve() has returned true since the last one was added. */
static inline void keys_add(struct keys *keys, struct keys_node *node, uint64_t number, const char *name)
{
	node->hash = keys_hash(keys, number, name);
	node->number = number;
	node->name = name;
	node->next = keys->buckets[node->hash & (keys->capacity - 1)];
	keys->buckets[node->hash & (keys->capacity - 1)] = node;
	keys->count++;
}

static inline void keys_remove(struct keys *keys, const struct keys_node *node)
{
	struct keys_node **link = &keys->buckets[node->hash & (keys->capacity - 1)];

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	keys->count--;
}

/* Any node, taken out; NULL if there is none. Starts looking at bucket *from, which begins with 0. */
static inline struct keys_node *keys_take_any(struct keys *keys, size_t *from)
{
	for (; keys->count && *from < keys->capacity; ++*from) {
		struct keys_node *node = keys->buckets[*from];

		if (!node)
			continue;
		keys->buckets[*from] = node->next;
		keys->count--;
		return node;
	}
	return NULL;
}

/* The nodes are the caller's. */
static inline void keys_free(struct keys *keys)
{
	free(keys->buckets);
	keys->buckets = NULL;
	keys->capacity = keys->count = 0;
}

#endif
