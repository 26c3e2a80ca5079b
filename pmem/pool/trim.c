/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Gives back what no pool has: the memory of free blocks, chunks of the table without an entry in use, and
 * the memory that clients took past the end of pools.
 */

#include <errno.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "domain/domain.h"
#include "pool/gate.h"
#include "pool/pools.h"
#include "pool/table.h"
#include "pool/undo.h"
#include "pool/view_limits.h"

/* The caller has other work, and 2 MiB take 0.1 ms. */
#define BLOCKS_A_CALL (512u * GROUP_BLOCKS)

static void discard(void *context, uint64_t block, uint64_t count)
{
	/* If the backend does not take the memory back, the blocks are free all the same. */
	(void)!media_discard(context, block * BLOCK_BYTES, count * BLOCK_BYTES);
}

/*
 * The table is looked at only while it may have shrunk since the last look: counting the free entries of the
 * last chunk reads all free entries.
 */
static bool trim_table(struct pools *pools)
{
	bool shrunk = false;

	if (!pool_table_may_shrink(pools))
		return false;
	WRITE_SCOPE(&pools->tree);
	while (pool_table_shrink(pools))
		shrunk = true;
	return shrunk;
}

bool pools_make_room(struct pools *pools)
{
	const bool committed = pools_undo_make_room(pools);

	return trim_table(pools) || committed;
}

#define TELL_MS 60000u

/* A client that takes memory in a loop has what it can fill between two calls, and causes a line a minute. */
static void take_back(void *context, struct pool *pool)
{
	struct pools *pools = context;
	uint64_t bytes = 0, now = clock_ms();

	/* A sync may hold the lock for long: the next call is soon. */
	if (pthread_rwlock_tryrdlock(&pool->lock) != 0)
		return;
	if (pool->view && !pool->dead)
		bytes = view_take_back(pool->view);
	pthread_rwlock_unlock(&pool->lock);
	if (!bytes || (pools->told_outside && now - pools->told_outside < TELL_MS))
		return;
	pools->told_outside = now;
	log_sink_print(&pools->options.log,
		       "file entry %u: a client took %llu bytes past its end: they were taken back",
		       pool->index, (unsigned long long)bytes);
}

void pools_trim(struct pools *pools)
{
	if (pools->read_only || region_failed(pools->region) || !pool_gate_try_enter(pools))
		return;
	pools_undo_reap(pools);
	trim_table(pools);
	if (pools->space.released)
		pool_space_discard(&pools->space, POOLS_TRIM_REST, BLOCKS_A_CALL, discard, pools->region);
	pools_for_once_attached_views(pools, take_back, pools);
	pool_gate_leave(pools);
}
