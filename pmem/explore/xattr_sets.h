/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_XATTR_SETS_H
#define EXPLORE_XATTR_SETS_H

/*
 * Private to pmem/explore: sets of extended attributes that files of a trace had at some time. A set has a
 * number that follows from what is in it, as far as other sets do not have that number by chance, and never
 * changes. The metadata model carries the number as a part of a file's attributes.
 *
 * Not thread safe.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/vector.h"
#include "trace/event.h"
#include "trace/idmap.h"

struct explore_xattr {
	const char *name; /* ends with a NUL */
	const unsigned char *value;
	uint32_t length; /* of the value */
};

/* By ascending names. */
struct explore_xattrs {
	VECTOR_FIELDS(struct explore_xattr);
};

/* Zero-initialised it has no set but the empty one, whose number is 0. */
struct explore_xattr_sets {
	struct idmap sets; /* struct explore_xattrs */
	VECTOR(void *) blocks;
};

/* Numbers are below this. */
#define EXPLORE_XATTRS_BITS 52

/* Nobody's file has more. */
#define EXPLORE_XATTRS_MOST 4096u

/*
 * *number: the set `from` with this attribute; without it if `value` is NULL. 0, -ENOMEM, or -E2BIG: it would
 * have too many.
 */
int explore_xattrs_change(struct explore_xattr_sets *sets, uint64_t from, const struct trace_bytes *name,
			  const struct trace_bytes *value, uint64_t *number);
/* The set with this number, until the sets are cleared; NULL: the empty one. */
const struct explore_xattrs *explore_xattrs_find(const struct explore_xattr_sets *sets, uint64_t number);
void explore_xattrs_clear(struct explore_xattr_sets *sets);

#endif
