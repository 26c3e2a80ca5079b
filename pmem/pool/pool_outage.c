/* SPDX-License-Identifier: BSD-3-Clause */

/* The pools' part in an outage: what becomes of each pool's volatile state. */

#include "pool/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "model/settle.h"
#include "pool/inode.h"
#include "pool/lifetime.h"
#include "pool/placement.h"
#include "pool/pools.h"
#include "pool/resize.h"
#include "pool/superblock.h"
#include "pool/undo.h"
#include "pool/view_limits.h"

void pools_stop(struct pools *pools)
{
	bool were_stopped = atomic_exchange(&pools->power_off, true);

	assert(!were_stopped);
	(void)were_stopped;
	/* Handles are dead now and no call begins. Wait for the calls that are inside. */
	atomic_fetch_add(&pools->generation, 1);
	pthread_rwlock_wrlock(&pools->power);
	pthread_rwlock_unlock(&pools->power);
}

void pools_resume(struct pools *pools)
{
	LOCK_SCOPE(&pools->gate_lock);
	atomic_store(&pools->power_off, false);
	pthread_cond_broadcast(&pools->gate);
}

/* Blocks past the end were written without a committed size: they must read as zero when the pool grows. */
static int hide_past_end(struct pool *pool, uint64_t size)
{
	uint64_t first = pages_up(size);
	uint32_t at = pool_extmap_find(&pool->map, first);

	for (; at < pool->map.count; at++)
		if (!extent_unwritten(&pool->map.items[at]))
			break;
	if (at == pool->map.count)
		return 0;
	if (pool_extmap_reserve(&pool->map, 2))
		return -ENOMEM;
	pool_extmap_flag(&pool->map, first, POOL_PAGES_MAX - first, true);
	pool->map_changed = true;
	return 0;
}

static uint32_t tearing_unit(const struct pool *pool)
{
	return pool->pool_mode == POOL_MODE_FSDAX ? LINE_SIZE : (uint32_t)pool->pool_mode;
}

/* `chooser` is derived for this pool. pool->lock is held exclusively. */
static int decide_pool(struct pool *pool, const struct chooser *chooser, bool mappers_are_gone,
		       struct domain_lines *lines)
{
	uint64_t size = pool->undo_size == NAMES_SIZE_OLDEST ?
				pool->durable_size :
				settle_size(chooser, pool->durable_size, pool->size);
	bool keeps_times = settle_keeps_times(chooser, pool->durable_size, size);
	bool changes = size != pool->durable_size || keeps_times;
	int error = 0;

	if (pool->view) {
		const struct power_failure failure = {
			.chooser = *chooser,
			.sector = tearing_unit(pool),
			.size = size,
			/*
			 * If the size is not a multiple of the page size, or changes, the bytes past it
			 * are zeroed on the media below, and the view's memory would differ from them.
			 */
			.keep_memory = mappers_are_gone && size == pool->size && is_aligned(size, PAGE_BYTES),
		};

		error = view_power_failure(pool->view, &failure, lines);
	}
	pool_account_view(pool);
	pool_space_unpromise(&pool->pools->space, pool->promised);
	pool->promised = 0;
	if (!error)
		error = hide_past_end(pool, size);
	pool->size = pool->durable_size = size;
	if (keeps_times) {
		pool->durable_mtime = pool->mtime;
		pool->durable_ctime = pool->ctime;
	}
	pool->mtime = pool->durable_mtime;
	pool->ctime = pool->durable_ctime;
	if (!error && (changes || pool->map_changed))
		error = pool_inode_commit(pool);
	if (!error)
		pool_zero_tail(pool);
	return error;
}

static void report_pool(struct pool *pool, const struct pools_outage *outage,
			struct pool_outage_report *report)
{
	if (!outage->report)
		return;
	if (pool_path(pool, report->path, sizeof(report->path)) < 0)
		report->path[0] = '\0';
	report->mode = pool->pool_mode;
	outage->report(outage->context, report);
}

static void log_failure(struct pools *pools, const struct pool *pool, int error)
{
	log_sink_print(&pools->options.log, "power failure: file entry %u: what the policy keeps is lost: %s",
		       pool->index, strerror(-error));
}

/* Before bytes are decided: a file whose creation is taken back has none. */
static int decide_names(struct pools *pools, const struct chooser *chooser, const struct pools_outage *outage)
{
	const enum metadata_mode own = pools->mixed ? METADATA_STRICT : pools->options.metadata;
	const enum metadata_mode mode = metadata_mode_stronger(outage->metadata, own);
	int error;

	{
		WRITE_SCOPE(&pools->tree);
		error = pools_undo_decide(pools, mode, chooser, outage);
	}
	pools_undo_reap(pools);
	return error;
}

int pools_decide(struct pools *pools, const struct chooser *chooser, const struct pools_outage *outage)
{
	const struct chooser stores = settle_caches(chooser, domain_persistence(pools->domain));
	struct pool_queue warm = TAILQ_HEAD_INITIALIZER(warm);
	struct pool_outage_report *report = calloc(1, sizeof(*report));
	struct pool *pool;
	int result = 0, error;

	if (!report)
		return -ENOMEM;
	domain_settle(pools->domain, chooser);
	result = decide_names(pools, chooser, outage);
	while ((pool = TAILQ_FIRST(&pools->active))) {
		/*
		 * Derived from the pool's entry, so that the outcome does not depend on the order in
		 * which pools became active.
		 */
		const struct chooser own = chooser_derive(&stores, pool->index);

		pool_ref(pool, 1);
		*report = (struct pool_outage_report){ .size_before = pool->size };
		{
			WRITE_SCOPE(&pool->lock);
			error = pools->read_only ? 0 : decide_pool(pool, &own, outage->mappers_are_gone,
								   &report->lines);
			if (error) {
				log_failure(pools, pool, error);
				result = error;
			}
			report->size_after = pool->size;
			pool->undo_size = NAMES_SIZE_NEWEST;
		}
		if (S_ISREG(pool->mode))
			report_pool(pool, outage, report);
		{
			LOCK_SCOPE(&pools->list_lock);
			TAILQ_REMOVE(&pools->active, pool, active);
			pool_unlist_attached(pool);
			/*
			 * A pool whose view kept its memory stays on the list, so that
			 * pools_limit_memory() finds it.
			 */
			pool->is_active = pool->counted;
			if (pool->is_active)
				TAILQ_INSERT_TAIL(&warm, pool, active);
		}
		pool_unref(pool, 1);
	}
	free(report);
	{
		LOCK_SCOPE(&pools->list_lock);
		TAILQ_CONCAT(&pools->active, &warm, active);
	}
	if (pools->read_only)
		return result;
	{
		/* All handles to them are of an older generation now. */
		WRITE_SCOPE(&pools->tree);
		pools_destroy_nameless(pools);
	}
	LOCK_SCOPE(&pools->table_lock);
	pools->superblock.generation = atomic_load(&pools->generation);
	pools->superblock.dirty_shutdowns++;
	error = pool_superblock_write(pools->region, &pools->superblock);
	return error ? error : result;
}
