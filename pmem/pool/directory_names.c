/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Names in memory: one hash of all names for lookups, and for each directory a list in the order of
 * cookies.
 */

#include "pool/directory_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/rng.h"
#include "pool/inode.h"
#include "pool/own_modes.h"
#include "pool/pools.h"

int pool_name_check(const char *text, size_t length)
{
	if (length == 0)
		return -ENOENT;
	if (length > POOL_NAME_MAX)
		return -ENAMETOOLONG;
	if ((length == 1 && text[0] == '.') || (length == 2 && text[0] == '.' && text[1] == '.'))
		return -EEXIST;
	if (memchr(text, '/', length) || memchr(text, '\0', length))
		return -EINVAL;
	return 0;
}

struct name *pool_name_alloc(const char *text, size_t length)
{
	struct name *name = alloc_zeroed(sizeof(*name) + length + 1);

	if (!name)
		return NULL;
	name->length = (uint8_t)length;
	memcpy(name->text, text, length);
	return name;
}

void pool_name_encode(const struct name *name, union slot *slot)
{
	memset(slot, 0, sizeof(*slot));
	slot->head.kind = SLOT_NAME;
	slot->name.parent = name->parent->index;
	slot->name.file = name->file->index;
	slot->name.length = name->length;
	memcpy(slot->name.name, name->text, name->length);
}

static uint64_t hash_of(const struct pool *directory, const char *text, size_t length)
{
	uint64_t hash = directory->index;

	while (length) {
		uint64_t word = 0;
		size_t piece = length < 8 ? length : 8;

		memcpy(&word, text, piece);
		hash = rng_mix(hash ^ word ^ ((uint64_t)piece << 56));
		text += piece;
		length -= piece;
	}
	return hash;
}

struct name *pool_names_find(struct pools *pools, const struct pool *directory, const char *text,
			     size_t length)
{
	struct name *name;

	if (!pools->hash_size)
		return NULL;
	name = pools->hash[hash_of(directory, text, length) % pools->hash_size];
	while (name &&
	       (name->parent != directory || name->length != length || memcmp(name->text, text, length) != 0))
		name = name->hash_next;
	return name;
}

static int hash_grow(struct pools *pools)
{
	uint64_t size = pools->hash_size ? 2 * pools->hash_size : 1024;
	struct name **grown = calloc(size, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	for (uint64_t i = 0; i < pools->hash_size; i++) {
		while (pools->hash[i]) {
			struct name *name = pools->hash[i];
			struct name **slot = &grown[hash_of(name->parent, name->text, name->length) % size];

			pools->hash[i] = name->hash_next;
			name->hash_next = *slot;
			*slot = name;
		}
	}
	free(pools->hash);
	pools->hash = grown;
	pools->hash_size = size;
	return 0;
}

static int directory_append(struct directory *directory, struct name *name)
{
	const struct directory_item item = { .cookie = directory->next_cookie + 1, .name = name };

	if (vector_append(directory, item) < 0)
		return -ENOMEM;
	name->cookie = ++directory->next_cookie;
	return 0;
}

size_t pool_names_after(const struct directory *directory, uint64_t cookie)
{
	size_t low = 0, high = directory->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (directory->items[middle].cookie <= cookie)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool pool_directory_is_empty(const struct pool *pool)
{
	return pool->directory->count == pool->directory->holes;
}

static void directory_remove(struct directory *directory, const struct name *name)
{
	size_t kept = 0;

	directory->items[pool_names_after(directory, name->cookie - 1)].name = NULL;
	if (++directory->holes * 2 <= directory->count)
		return;
	for (size_t i = 0; i < directory->count; i++)
		if (directory->items[i].name)
			directory->items[kept++] = directory->items[i];
	directory->count = kept;
	directory->holes = 0;
}

int pool_names_link(struct pools *pools, struct name *name, struct pool *directory, struct pool *file)
{
	struct name **slot;

	if (pools->name_count >= pools->hash_size && hash_grow(pools) < 0)
		return -ENOMEM;
	name->parent = directory;
	name->file = file;
	if (directory_append(directory->directory, name) < 0)
		return -ENOMEM;
	if (pools->mixed)
		pool_metadata_named(file, directory);
	slot = &pools->hash[hash_of(directory, name->text, name->length) % pools->hash_size];
	name->hash_next = *slot;
	*slot = name;
	name->same_file = file->names;
	name->same_file_place = &file->names;
	if (name->same_file)
		name->same_file->same_file_place = &name->same_file;
	file->names = name;
	pools->name_count++;
	if (file->directory)
		directory->directory->subdirectories++;
	atomic_fetch_add(&file->links, 1);
	return 0;
}

void pool_names_unlink(struct pools *pools, struct name *name)
{
	struct name **slot = &pools->hash[hash_of(name->parent, name->text, name->length) % pools->hash_size];

	while (*slot != name)
		slot = &(*slot)->hash_next;
	*slot = name->hash_next;
	/* A file may have 65,000 names: none but its neighbours is looked at. */
	*name->same_file_place = name->same_file;
	if (name->same_file)
		name->same_file->same_file_place = name->same_file_place;
	directory_remove(name->parent->directory, name);
	if (name->file->directory)
		name->parent->directory->subdirectories--;
	pools->name_count--;
	atomic_fetch_sub(&name->file->links, 1);
	if (pools->mixed)
		pool_metadata_unnamed(name->file, name->parent);
}
