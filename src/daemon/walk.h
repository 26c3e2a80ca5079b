/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_WALK_H
#define SRC_WALK_H

/*
 * Walking the tree without recursion, which a deep tree would turn into a
 * deep stack, and without holding up others: names are taken a batch at a time.
 */

#include "pool/pool.h"

/* So many names at once, that nobody waits long for the names lock. */
#define BATCH 64

struct batch {
	int count;
	uint64_t cookie; /* where the next batch begins */
	struct {
		char name[POOL_NAME_MAX + 1];
		struct pool *pool;
	} entries[BATCH];
};

/*
 * The names after `cookie` (0: from the first). How many there were, or a
 * negative errno; each comes with a reference, for batch_drop().
 */
int batch_read(struct pool *directory, uint64_t cookie, struct batch *batch);
void batch_drop(struct batch *batch);

/* A directory to be visited, with a reference, on a stack of them. */
struct visit {
	struct pool *directory;
	char *path; /* what it is called: the caller's business */
	struct visit *next;
};

/* Adds a reference of its own, and copies the path. */
int visit_push(struct visit **stack, struct pool *directory, const char *path);
/* The top one, for visit_free(). */
struct visit *visit_take(struct visit **stack);
void visit_free(struct visit *visit);

#endif
