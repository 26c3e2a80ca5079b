/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_LIFETIME_H
#define POOL_LIFETIME_H

/*
 * Private to pmem/pool: the end of a pool. Its blocks and its entry are freed when its last name and its
 * last handle are gone, and nothing on the undo list (undo.h) may bring a name back; its memory when the last
 * reference is dropped.
 */

#include "pool/inode.h"

/* Free the blocks and the entry. pool->lock and pools->tree are held exclusively, or no other thread runs. */
/*
 * Another tree has come in place of the one that the pool was in: it is dead, without a change of the media.
 * Its names were freed. pool->lock is held exclusively, and no call is in the pools. The caller has a
 * reference.
 */
void pool_retire(struct pool *pool);
void pool_destroy(struct pool *pool);
/*
 * Destroy the pool if it has neither a name nor a handle, and the undo list does not keep it: true.
 * pools->tree is held, and the caller has a reference.
 */
bool pool_destroy_if_unused(struct pool *pool);
/* The same for a caller without a reference. NULL is allowed. */
void pool_destroy_nameless(struct pool *pool);
/* Record that the pool has lost its last name and is still open. */
void pool_note_nameless(struct pool *pool);
/* Record that the pool has a name, again or for the first time. */
void pool_forget_nameless(struct pool *pool);
/*
 * Destroy all pools without a name: their handles are of an older generation. The caller holds pools->tree
 * exclusively.
 */
void pools_destroy_nameless(struct pools *pools);

#endif
