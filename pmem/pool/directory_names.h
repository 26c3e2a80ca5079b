/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_DIRECTORY_NAMES_H
#define POOL_DIRECTORY_NAMES_H

/*
 * Private to pmem/pool: names in memory. A hash of all names finds one; each
 * directory has a list of its own in the order of cookies, for reading it.
 *
 * pools->tree is held by the caller, exclusively if it changes anything.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/vector.h"
#include "pool/format.h"

struct pool;
struct pools;

struct name {
	struct name *hash_next;
	struct pool *parent, *file;
	struct name *same_file;	       /* the next name of the file */
	struct name **same_file_place; /* what points to this one: the file, or the name before it */
	uint64_t cookie;	       /* its place in the directory */
	uint32_t index;		       /* of its entry */
	uint8_t length;
	char text[]; /* NUL terminated */
};

/* A directory's names in the order of cookies; a removed one leaves a NULL until the list is compacted. */
struct directory_item {
	uint64_t cookie;
	struct name *name;
};
struct directory {
	VECTOR_FIELDS(struct directory_item);
	size_t holes; /* items whose name is NULL */
	uint64_t next_cookie;
	uint32_t subdirectories;
};

/* May a file have this name? 0, -ENOENT (empty), -ENAMETOOLONG, -EINVAL or, for "." and "..", -EEXIST. */
int pool_name_check(const char *text, size_t length);
/* A name that is in no directory yet; freed with free(). `length` is at most POOL_NAME_MAX. */
struct name *pool_name_alloc(const char *text, size_t length);
/* The slot of a name, except for the fields that pool_table_write() fills in. */
void pool_name_encode(const struct name *name, union slot *slot);

/* NULL: there is no such name. */
struct name *pool_names_find(struct pools *pools, const struct pool *directory, const char *text,
			     size_t length);
/* The index of the directory's first item after `cookie`. */
size_t pool_names_after(const struct directory *directory, uint64_t cookie);
bool pool_directory_is_empty(const struct pool *directory);
/* Add it to the hash, the directory and the file: 0, or -ENOMEM and nothing was added. */
int pool_names_link(struct pools *pools, struct name *name, struct pool *directory, struct pool *file);
/* The reverse of pool_names_link(). The caller frees the name. */
void pool_names_unlink(struct pools *pools, struct name *name);

#endif
