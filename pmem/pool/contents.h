/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_CONTENTS_H
#define POOL_CONTENTS_H

/*
 * Snapshots of the contents of one pool: its bytes, holes and size, and neither its names nor its attributes.
 *
 * A snapshot costs nothing until blocks of the pool change, whoever changes them: then each is copied before
 * its first change (region/snapshot.h). Going back gives the pool new blocks for what has changed, and is one
 * atomic step on the media, durable on return.
 *
 * Snapshots of one region are made, restored and dropped by one thread at a time, also those of
 * region/snapshot.h. Functions return 0 or a negative errno.
 */

#include "pool/pool.h"

struct pool_contents;

/*
 * Make the pool durable, and remember its contents. -EISDIR, -EINVAL: it is no regular file. -ENOSPC: the
 * region has REGION_SNAPSHOTS_MAX snapshots already; -EROFS, -ESTALE, -ENOMEM; errors of pool_sync_pool().
 */
int pool_contents_keep(struct pool *pool, struct pool_contents **out);
/* Its memory is freed. */
void pool_contents_drop(struct pools *pools, struct pool_contents *contents);

/*
 * The pool that it was made of, under whatever name, with a reference: -ENOENT if there is none any more.
 * It is found again after a restore of the region, too.
 */
int pool_contents_find(struct pools *pools, const struct pool_contents *contents, struct pool **out);

/* Counts attachments of pools to clients (pool_attach()) since the region was opened. Any thread. */
uint64_t pools_attachments(struct pools *pools);
/*
 * Go back to the contents, which stay. What was not durable in the pool is lost. The caller knows that no
 * client maps the pool, and has called pools_attachments() before it looked.
 * -EBUSY: the pool is open, or a client has attached one in the meantime. -ENOSPC: no space for what has
 * changed. -ENOMEM, also if the copy of a block failed for lack of memory. The pool is then as it was.
 */
int pool_contents_restore(struct pool *pool, struct pool_contents *contents, uint64_t attachments);

/* Bytes of copies, and whether no copy failed. Any thread. */
uint64_t pool_contents_bytes(const struct pool_contents *contents);
bool pool_contents_are_whole(const struct pool_contents *contents);

#endif
