/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_SHADOW_H
#define FUSE_SHADOW_H

/*
 * Copies of the pages of attached pools that the kernel was given.
 *
 * The kernel writes back whole pages: bytes that were stored through a mapping of
 * the mount, and bytes that were only read. Programs store to an attached pool
 * without the kernel's knowledge, so a byte that was only read may be old by then
 * and must not overwrite a newer one. Therefore each page that the kernel gets is
 * copied here. When the page is written back, only the bytes that differ from the
 * copy go to the pool.
 *
 * Reads may overlap, and it is not known which of them filled the page that the
 * kernel has. So several versions of a page are kept, and a line that is written
 * back is compared with the version that is most like it.
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
struct recorder;

#define SHADOW_BUCKETS 4096u
struct shadows {
	pthread_mutex_t lock; /* guards all below; pools' locks are taken inside it */
	struct shadow *buckets[SHADOW_BUCKETS];
	size_t count; /* of versions of pages */
	uint64_t epoch;
	struct recorder *recorder; /* of what is written back; set once; may be NULL */
	bool asked; /* the kernel has been asked to drop its pages of a node, so that copies can be freed */
};

void fusefs_shadows_init(struct shadows *shadows);
void fusefs_shadows_destroy(struct shadows *shadows);

/*
 * Copy bytes that the kernel is given and may cache: whole pages, except at the
 * end of the file. True: the caller has the kernel drop its pages of the node
 * soon, because there are too many copies, or no memory for these.
 */
bool fusefs_shadow_note(struct shadows *shadows, const struct node *node, uint64_t offset, const void *bytes,
			size_t length);
/* Change the copies as write(2) through the kernel's cache changed the kernel's pages. */
void fusefs_shadow_overlay(struct shadows *shadows, const struct node *node, uint64_t offset,
			   const void *bytes, size_t length);
/*
 * Write those bytes of pages that the kernel writes back to the pool that were
 * stored through a mapping, and set *drop to what fusefs_shadow_note() returns.
 * Returns `size`, or a negative errno of pool_write(); then some of the bytes may
 * have been written.
 */
ssize_t fusefs_shadow_write_back(struct shadows *shadows, const struct node *node,
				 struct pool_handle *handle, const void *bytes, size_t size, uint64_t offset,
				 bool *drop);

/*
 * Call begin, have the kernel drop all its pages of a node, and call end with the
 * epoch that begin returned: it frees the copies that were made before begin.
 */
uint64_t fusefs_shadow_begin_drop(struct shadows *shadows);
void fusefs_shadow_end_drop(struct shadows *shadows, const struct node *node, uint64_t epoch);
/* Forget a node. NULL: all nodes. */
void fusefs_shadow_forget(struct shadows *shadows, const struct node *node);

#endif
