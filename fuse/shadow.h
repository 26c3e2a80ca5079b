/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_SHADOW_H
#define FUSE_SHADOW_H

/*
 * What the kernel was given of pages of attached pools.
 *
 * A page that the kernel writes back has all its bytes: those that were stored
 * through a mapping of the mount, and those that were only read. CPUs store to an
 * attached pool without the kernel's knowledge, so the latter may be old, and
 * must not overwrite newer ones. Therefore the bytes that the kernel was given
 * are remembered, and of a page that comes back only those that differ are
 * stored.
 *
 * A READ may fill a page of the kernel's cache or only the buffer of a reader; it
 * does not say which. So several versions of a page are remembered, and a line
 * that comes back is compared with the version that is most like it.
 *
 * Offsets and lengths are in bytes. All functions may be called from any thread,
 * with no pool locked.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pool/pool.h"

struct node;

#define SHADOW_BUCKETS 4096u
struct shadows {
	pthread_mutex_t lock; /* guards all below; pools' locks are taken inside it */
	struct shadow *buckets[SHADOW_BUCKETS];
	size_t count; /* of versions of pages */
	uint64_t epoch;
	bool asked; /* the kernel is to drop its pages of a node, so that ours can be forgotten */
};

void fusefs_shadows_init(struct shadows *shadows);
void fusefs_shadows_destroy(struct shadows *shadows);

/*
 * The kernel is given these bytes, and may keep them. Whole pages, but for the
 * last one of the file. True: the kernel should drop its pages of the node soon,
 * because there are too many to remember, or no memory for these.
 */
bool fusefs_shadow_note(struct shadows *shadows, const struct node *node, uint64_t offset, const void *bytes,
			size_t length);
/* write(2) through the kernel's cache has changed its pages. */
void fusefs_shadow_overlay(struct shadows *shadows, const struct node *node, uint64_t offset,
			   const void *bytes, size_t length);
/*
 * Write the stored bytes of pages that come back to the pool, and set *drop as
 * fusefs_shadow_note() returns it. `size`, or a negative errno of pool_write():
 * then some of the bytes may have been written.
 */
ssize_t fusefs_shadow_write_back(struct shadows *shadows, const struct node *node,
				 struct pool_handle *handle, const void *bytes, size_t size, uint64_t offset,
				 bool *drop);

/*
 * Around having the kernel drop all its pages of a node: what was noted before
 * the first call is forgotten by the second.
 */
uint64_t fusefs_shadow_begin_drop(struct shadows *shadows);
void fusefs_shadow_end_drop(struct shadows *shadows, const struct node *node, uint64_t epoch);
/* Forget a node. NULL: all nodes. */
void fusefs_shadow_forget(struct shadows *shadows, const struct node *node);

#endif
