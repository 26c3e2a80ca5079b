/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace/idmap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/rng.h"

static struct idmap_entry *find(struct idmap_entry *entries, size_t capacity, uint64_t seed, uint64_t key)
{
	size_t at = (size_t)rng_mix(key ^ seed) & (capacity - 1);

	while (entries[at].value && entries[at].key != key)
		at = (at + 1) & (capacity - 1);
	return &entries[at];
}

void *idmap_get(const struct idmap *map, uint64_t key)
{
	return map->capacity ? find(map->entries, map->capacity, map->seed, key)->value : NULL;
}

static int grow(struct idmap *map)
{
	const size_t capacity = map->capacity ? 2 * map->capacity : 64;
	struct idmap_entry *entries = calloc(capacity, sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	if (!map->seed && getrandom(&map->seed, sizeof(map->seed), GRND_NONBLOCK) != sizeof(map->seed))
		map->seed = (uintptr_t)entries;
	for (size_t i = 0; i < map->capacity; i++)
		if (map->entries[i].value)
			*find(entries, capacity, map->seed, map->entries[i].key) = map->entries[i];
	free(map->entries);
	map->entries = entries;
	map->capacity = capacity;
	return 0;
}

int idmap_set(struct idmap *map, uint64_t key, void *value)
{
	struct idmap_entry *entry;

	if (map->count >= map->capacity / 4 * 3) {
		int error = grow(map);

		if (error)
			return error;
	}
	entry = find(map->entries, map->capacity, map->seed, key);
	if (!entry->value)
		map->count++;
	*entry = (struct idmap_entry){ .key = key, .value = value };
	return 0;
}

void *idmap_make(struct idmap *map, uint64_t key, size_t size)
{
	void *value = idmap_get(map, key);

	if (value)
		return value;
	value = calloc(1, size);
	if (value && idmap_set(map, key, value) < 0) {
		free(value);
		return NULL;
	}
	return value;
}

void idmap_clear(struct idmap *map, void (*free_value)(void *value))
{
	for (size_t i = 0; free_value && i < map->capacity; i++)
		if (map->entries[i].value)
			free_value(map->entries[i].value);
	free(map->entries);
	*map = (struct idmap){ 0 };
}

const struct idmap_entry *idmap_next(const struct idmap *map, const struct idmap_entry *entry)
{
	size_t at = entry ? (size_t)(entry - map->entries) + 1 : 0;

	for (; at < map->capacity; at++)
		if (map->entries[at].value)
			return &map->entries[at];
	return NULL;
}
