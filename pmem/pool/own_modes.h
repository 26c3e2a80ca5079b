/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_OWN_MODES_H
#define POOL_OWN_MODES_H

/*
 * Private to pmem/pool: metadata modes of directories. A directory that was given a mode, when it was created
 * or by pool_set_metadata(), has it in its entry, and what is created below it inherits it. A file is under
 * the strongest mode of the directories that its names are in; one that has no name any more is under the
 * mode that it had last. What that means for operations is in model/names.h.
 *
 * pool->metadata is a *code*: 0 is the mode of pools->options, and else it is an enum metadata_mode + 1.
 * Changed with pools->tree held exclusively, or before others know the pool; read without a lock.
 */

#include <stdint.h>

#include "pool/inode.h"

struct pools;

static inline uint32_t pool_metadata_code(enum metadata_mode mode)
{
	return (uint32_t)mode + 1;
}

/* Of operations on names in a directory, or on the attributes and size of the pool. */
enum metadata_mode pool_metadata(const struct pool *pool);

/* Before a file gets a name in `directory`. pools->tree is held exclusively, and pools->mixed is set. */
void pool_metadata_named(struct pool *file, const struct pool *directory);
/* The same, after it has lost one there. */
void pool_metadata_unnamed(struct pool *file, const struct pool *directory);

/* After loading: set pools->mixed, and the modes of all files. No call is in the pools. */
void pools_settle_metadata(struct pools *pools);
/* The weakest mode of all, and how many directories have one of their own. Takes pools->tree. */
enum metadata_mode pools_weakest_metadata(struct pools *pools, uint64_t *own);

#endif
