/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_WALK_H
#define SRC_WALK_H

/*
 * Walks the tree without recursion, for which a deep tree would need a deep stack, and without blocking
 * other threads for long: names are read in batches.
 */

#include "pool/pool.h"

/* The number of names in a batch: so few that no thread waits long for the lock of the names. */
#define BATCH 64

struct batch {
	int count;
	uint64_t cookie; /* cookie after which the next batch begins */
	struct {
		char name[POOL_NAME_MAX + 1];
		struct pool *pool;
	} entries[BATCH];
};

/*
 * Read the names after `cookie` (0: from the first). Returns their number, or a negative errno. Each
 * comes with a reference; batch_drop() drops them.
 */
int batch_read(struct pool *directory, uint64_t cookie, struct batch *batch);
void batch_drop(struct batch *batch);

/* A directory that is to be visited, with a reference, on a stack of such directories. */
struct visit {
	struct pool *directory;
	char *path; /* its path, in the form that the caller uses */
	struct visit *next;
};

/* Push a directory: takes its own reference, and copies the path. */
int visit_push(struct visit **stack, struct pool *directory, const char *path);
/* Pop the top directory, for visit_free(). */
struct visit *visit_take(struct visit **stack);
void visit_free(struct visit *visit);

#endif
