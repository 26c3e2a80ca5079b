/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "common/rng.h"
#include "pool/inode.h"
#include "pool/lifetime.h"
#include "pool/placement.h"
#include "pool/pools.h"
#include "pool/resize.h"
#include "pool/superblock.h"
#include "pool/view_limits.h"

int pools_power_off(struct pools *pools)
{
	bool was_on = false;

	if (!atomic_compare_exchange_strong(&pools->power_off, &was_on, true))
		return -EBUSY;
	/* From here on handles are dead and nobody else starts; then wait for those who are inside. */
	atomic_fetch_add(&pools->generation, 1);
	pthread_rwlock_wrlock(&pools->power);
	pthread_rwlock_unlock(&pools->power);
	return 0;
}

void pools_power_on(struct pools *pools)
{
	LOCK_SCOPE(&pools->gate_lock);
	atomic_store(&pools->power_off, false);
	pthread_cond_broadcast(&pools->gate);
}

/* The fate of one pool's volatile state. */
struct power_cut {
	enum chooser_policy policy;
	uint64_t coin;
	bool mappers_are_gone;
};

static uint64_t size_after(const struct pool *pool, const struct power_cut *cut)
{
	switch (cut->policy) {
	case CHOOSER_LOSE:
		return pool->durable_size;
	case CHOOSER_KEEP:
		return pool->size;
	case CHOOSER_RANDOM:
		return rng_mix(cut->coin) & 1 ? pool->size : pool->durable_size;
	}
	return pool->durable_size;
}

/* Blocks behind the end that were written and not committed with a size must not show when it grows again. */
static int hide_behind(struct pool *pool, uint64_t size)
{
	uint64_t first = pages_up(size);
	uint32_t at = pool_extmap_find(&pool->map, first);

	for (; at < pool->map.count; at++)
		if (!extent_unwritten(&pool->map.extents[at]))
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

static int cut_pool(struct pool *pool, const struct power_cut *cut, struct domain_lines *lines)
{
	uint64_t size = size_after(pool, cut);
	bool keeps_times = cut->policy == CHOOSER_KEEP || size != pool->durable_size;
	bool changes = size != pool->durable_size || keeps_times;
	int error = 0;

	if (pool->view) {
		const struct power_failure failure = {
			.policy = cut->policy,
			.coin = cut->coin,
			.sector = tearing_unit(pool),
			.size = size,
			/*
			 * What lies behind a size that is not a page's, or that changes, is about to
			 * change on the media.
			 */
			.keep_memory = cut->mappers_are_gone && size == pool->size &&
				       is_aligned(size, PAGE_BYTES),
		};

		error = view_power_failure(pool->view, &failure, lines);
	}
	pool_account_view(pool);
	pool_space_unpromise(&pool->pools->space, pool->promised);
	pool->promised = 0;
	if (!error)
		error = hide_behind(pool, size);
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

static void report_pool(struct pool *pool, const struct pools_power_options *options,
			struct pool_power_report *report)
{
	if (!options->report)
		return;
	if (pool_path(pool, report->path, sizeof(report->path)) < 0)
		report->path[0] = '\0';
	report->mode = pool->pool_mode;
	options->report(options->context, report);
}

static void log_failure(struct pools *pools, const struct pool *pool, int error)
{
	log_sink_print(&pools->options.log,
		       "power failure: file entry %u: what was to be kept is lost: %s", pool->index,
		       strerror(-error));
}

/* Files that only a handle held: the handles are dead. */
static void destroy_nameless(struct pools *pools)
{
	WRITE_SCOPE(&pools->tree);
	for (uint32_t index = 1; index < pools->entries; index++) {
		struct pool *pool = pools->files[index];

		if (!pool || pool->links)
			continue;
		pool_ref(pool, 1);
		{
			WRITE_SCOPE(&pool->lock);
			pool_destroy(pool);
		}
		pool_unref(pool, 1);
	}
}

static void activate_again(struct pools *pools, struct pool_list *warm)
{
	struct pool *pool;

	LOCK_SCOPE(&pools->list_lock);
	while ((pool = LIST_FIRST(warm))) {
		LIST_REMOVE(pool, active);
		LIST_INSERT_HEAD(&pools->active, pool, active);
	}
}

int pools_power_apply(struct pools *pools, const struct pools_power_options *options)
{
	bool battery = domain_persistence(pools->domain) == PERSISTENCE_CPU_CACHE;
	struct pool_list warm = LIST_HEAD_INITIALIZER(warm);
	struct pool_power_report *report = calloc(1, sizeof(*report));
	struct pool *pool;
	int result = 0;

	if (!report)
		return -ENOMEM;
	domain_settle(pools->domain, options->policy, options->seed);
	while ((pool = LIST_FIRST(&pools->active))) {
		/* The coin hangs on what the pool is in the region, not on when it was touched. */
		struct power_cut cut = { .policy = battery ? CHOOSER_KEEP : options->policy,
					 .coin = rng_mix(options->seed ^ rng_mix(pool->index + 1)),
					 .mappers_are_gone = options->mappers_are_gone };

		pool_ref(pool, 1);
		*report = (struct pool_power_report){ .size_before = pool->size };
		{
			WRITE_SCOPE(&pool->lock);
			int error = pools->read_only ? 0 : cut_pool(pool, &cut, &report->lines);

			if (error) {
				log_failure(pools, pool, error);
				result = error;
			}
			report->size_after = pool->size;
		}
		if (S_ISREG(pool->mode))
			report_pool(pool, options, report);
		{
			LOCK_SCOPE(&pools->list_lock);
			LIST_REMOVE(pool, active);
			if (pool->is_attached)
				LIST_REMOVE(pool, attached);
			pool->is_attached = false;
			/* A view that kept its memory may have to give it back one day. */
			pool->is_active = pool->counted;
			if (pool->is_active)
				LIST_INSERT_HEAD(&warm, pool, active);
		}
		pool_unref(pool, 1);
	}
	free(report);
	activate_again(pools, &warm);
	if (pools->read_only)
		return result;
	destroy_nameless(pools);
	LOCK_SCOPE(&pools->table_lock);
	pools->superblock.generation = atomic_load(&pools->generation);
	pools->superblock.dirty_shutdowns++;
	pool_superblock_write(pools->region, &pools->superblock);
	return result;
}
