/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_IDMAP_H
#define TRACE_IDMAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * A hash table from numbers to pointers that are not NULL, with linear probing. It is seeded at
 * random, so that a hostile trace cannot choose ids that collide. Zero-initialised it is empty. Entries
 * are never removed. No thread safety.
 */
struct idmap {
	struct idmap_entry *entries;
	size_t capacity; /* 0 or a power of two */
	size_t count;
	uint64_t seed;
};

struct idmap_entry {
	uint64_t key;
	void *value; /* NULL: the entry is free */
};

/* The value of the key, or NULL. */
void *idmap_get(const struct idmap *map, uint64_t key);

/* Set the value of the key, new or not. 0 or -ENOMEM. */
int idmap_set(struct idmap *map, uint64_t key, void *value);

/* The value of the key; if it has none, a zeroed one of `size` bytes is made, for free(). NULL: no memory. */
void *idmap_make(struct idmap *map, uint64_t key, size_t size);

/* Free the table, and each value with free_value unless that is NULL. */
void idmap_clear(struct idmap *map, void (*free_value)(void *value));

/* For each entry in no order: `for (e = NULL; (e = idmap_next(map, e));)`. */
const struct idmap_entry *idmap_next(const struct idmap *map, const struct idmap_entry *entry);

#endif
