/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/xattr_sets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_START 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u
#define NUMBER_MASK (((uint64_t)1 << EXPLORE_XATTRS_BITS) - 1)

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ ((const unsigned char *)bytes)[i]) * HASH_PRIME;
	return hash;
}

/* Not 0 unless the set is empty. */
static uint64_t number_of(const struct explore_xattrs *set)
{
	uint64_t hash = HASH_START;

	if (!set->count)
		return 0;
	for (size_t i = 0; i < set->count; i++) {
		const struct explore_xattr *xattr = &set->items[i];

		hash = hash_bytes(hash, xattr->name, strlen(xattr->name) + 1);
		hash = hash_bytes(hash, &xattr->length, sizeof(xattr->length));
		hash = hash_bytes(hash, xattr->value, xattr->length);
	}
	hash = (hash ^ hash >> EXPLORE_XATTRS_BITS) & NUMBER_MASK;
	return hash ? hash : 1;
}

static bool equal(const struct explore_xattrs *a, const struct explore_xattrs *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->items[i].length != b->items[i].length ||
		    strcmp(a->items[i].name, b->items[i].name) != 0 ||
		    memcmp(a->items[i].value, b->items[i].value, a->items[i].length) != 0)
			return false;
	return true;
}

const struct explore_xattrs *explore_xattrs_find(const struct explore_xattr_sets *sets, uint64_t number)
{
	return number ? idmap_get(&sets->sets, number) : NULL;
}

/* A copy that lives as long as the sets. The value has no NUL behind it. False: no memory. */
static bool copy_xattr(struct explore_xattr_sets *sets, const struct trace_bytes *name,
		       const struct trace_bytes *value, struct explore_xattr *xattr)
{
	char *block = malloc((size_t)name->length + 1 + value->length);

	if (!block || vector_append(&sets->blocks, block) != 0) {
		free(block);
		return false;
	}
	memcpy(block, name->at, name->length);
	block[name->length] = '\0';
	if (value->length)
		memcpy(block + name->length + 1, value->at, value->length);
	*xattr = (struct explore_xattr){ block, (unsigned char *)block + name->length + 1, value->length };
	return true;
}

/* Names in a trace end without a NUL, and have none. */
static int compare_name(const struct explore_xattr *xattr, const struct trace_bytes *name)
{
	const int order = strncmp(xattr->name, (const char *)name->at, name->length);

	return order ? order : xattr->name[name->length] != '\0';
}

/* `from` in the order of names, with the attribute in its place or without it. */
static int make_set(struct explore_xattr_sets *sets, const struct explore_xattrs *from,
		    const struct trace_bytes *name, const struct trace_bytes *value,
		    struct explore_xattrs *set)
{
	const size_t count = from ? from->count : 0;
	size_t before = 0, after;
	int error = vector_reserve(set, count + 1);

	while (before < count && compare_name(&from->items[before], name) < 0)
		before++;
	after = before;
	if (after < count && compare_name(&from->items[after], name) == 0)
		after++;
	if (!error && before)
		error = vector_append_all(set, from->items, before);
	if (!error && value && !copy_xattr(sets, name, value, &set->items[set->count++]))
		error = -ENOMEM;
	if (!error && after < count)
		error = vector_append_all(set, from->items + after, count - after);
	return error ? error : set->count > EXPLORE_XATTRS_MOST ? -E2BIG : 0;
}

int explore_xattrs_change(struct explore_xattr_sets *sets, uint64_t from, const struct trace_bytes *name,
			  const struct trace_bytes *value, uint64_t *number)
{
	struct explore_xattrs set = { 0 }, *kept = NULL;
	int error = make_set(sets, explore_xattrs_find(sets, from), name, value, &set);

	*number = error ? 0 : number_of(&set);
	/* Another set may have the number by chance, or by a hostile trace. */
	while (!error && *number && (kept = idmap_get(&sets->sets, *number)) && !equal(kept, &set))
		*number = *number < NUMBER_MASK ? *number + 1 : 1;
	if (error || !*number || kept) {
		vector_free(&set);
		return error;
	}
	kept = idmap_make(&sets->sets, *number, sizeof(*kept));
	if (!kept) {
		vector_free(&set);
		return -ENOMEM;
	}
	*kept = set;
	return 0;
}

static void free_set(void *set)
{
	vector_free((struct explore_xattrs *)set);
	free(set);
}

void explore_xattrs_clear(struct explore_xattr_sets *sets)
{
	idmap_clear(&sets->sets, free_set);
	for (size_t i = 0; i < sets->blocks.count; i++)
		free(sets->blocks.items[i]);
	vector_free(&sets->blocks);
}
