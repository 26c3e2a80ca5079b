/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_HOLES_H
#define POOL_HOLES_H

/*
 * Pages of attached pools that CPUs have touched and that have no block. They have memory, and a sparse pool
 * may be larger than its region and than the machine's memory.
 */

#include <stdbool.h>
#include <stdint.h>

struct pool;
struct pools;

struct pools_holes {
	uint64_t stored, read; /* pages, of all pools: those with other bytes than zeros, and those without */
	uint64_t left;	       /* pages that may become touched before this should be called again */
	/*
	 * If there are too many, the largest pool of the user whose pools have most of them, with a
	 * reference, else NULL. Too many are more that were stored to than the region has blocks, and more
	 * that were read than the region has and than an eighth of the machine's memory.
	 */
	struct pool *over;
	bool over_stored;
	uint64_t keep; /* so many pages of `over` that were stored to are not too many */
};
/* Count them. One thread at a time. Looks at memory only if much was touched since it was counted. */
void pools_count_holes(struct pools *pools, struct pools_holes *holes);
/*
 * Take back the memory of such pages of the pool: of those that were only read, and of those that were stored
 * to after the first `keep`. No process may be able to store to them. In the thread that counts.
 */
void pool_discard_holes(struct pool *pool, uint64_t keep);

#endif
