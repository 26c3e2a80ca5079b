/* SPDX-License-Identifier: BSD-3-Clause */

/* Which pools are active, and how much their views may take. */

#include "pool/view_limits.h"

#include <sys/resource.h>
#include <unistd.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "domain/domain.h"
#include "pool/writeback.h"

/*
 * Views take a descriptor and two mappings each; half of what the process may
 * have, so that nothing else starves.
 */
static uint64_t views_limit(void)
{
	const uint64_t mappings = 30000; /* vm.max_map_count is 65530 by default */
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return mappings;
	return min_u64(mappings, max_u64(limit.rlim_cur / 2, 64));
}

/* An eighth of the machine's memory. */
static uint64_t pages_limit(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);

	return pages > 0 ? (uint64_t)pages / 8 : 0;
}

void pools_set_limits(struct pools *pools)
{
	pools->populated_max = views_limit();
	pools->present_max = pages_limit();
}

/* ---- Active pools ---------------------------------------------------------------- */

void pool_activate(struct pool *pool)
{
	if (pool->is_active)
		return;
	LOCK_SCOPE(&pool->pools->list_lock);
	if (pool->is_active || pool->is_destroyed)
		return;
	LIST_INSERT_HEAD(&pool->pools->active, pool, active);
	pool->is_active = true;
}

/* The active pool after `previous` (NULL: the first), with a reference; drops the previous one's. */
struct pool *pools_next_active(struct pools *pools, struct pool *previous)
{
	struct pool *next;

	{
		LOCK_SCOPE(&pools->list_lock);
		next = previous && previous->is_active ? LIST_NEXT(previous, active) : NULL;
		if (!previous)
			next = LIST_FIRST(&pools->active);
		if (next)
			pool_ref(next, 1);
	}
	if (previous)
		pool_unref(previous, 1);
	return next;
}

/* ---- Memory ---------------------------------------------------------------------- */

void pool_account_view(struct pool *pool)
{
	bool populated = pool->view && view_fd(pool->view) >= 0;

	if (populated && !pool->counted)
		atomic_fetch_add(&pool->pools->populated, 1);
	if (!populated && pool->counted)
		atomic_fetch_sub(&pool->pools->populated, 1);
	pool->counted = populated;
	if (pool->view && view_present_pages(pool->view) != pool->counted_pages) {
		uint64_t present = view_present_pages(pool->view);

		atomic_fetch_add(&pool->pools->present_pages, present - pool->counted_pages);
		pool->counted_pages = present;
	}
}

void pool_drop_clean_view(struct pool *pool)
{
	if (!pool->view)
		return;
	view_drop_clean(pool->view);
	pool_account_view(pool);
}

void pools_limit_views(struct pools *pools)
{
	struct pool *pool = NULL;
	unsigned budget = 64;

	if (atomic_load(&pools->populated) < pools->populated_max)
		return;
	while (budget && (pool = pools_next_active(pools, pool))) {
		if (atomic_load(&pool->opens) || pthread_rwlock_trywrlock(&pool->lock) != 0)
			continue;
		if (!pool->dead && pool->view && view_fd(pool->view) >= 0 && pool_sync_locked(pool) == 0) {
			pool_drop_clean_view(pool);
			budget--;
		}
		pthread_rwlock_unlock(&pool->lock);
	}
	if (pool)
		pool_unref(pool, 1);
}

void pools_limit_memory(struct pools *pools)
{
	if (atomic_load(&pools->present_pages) <= pools->present_max)
		return;
	for (struct pool *pool = NULL; (pool = pools_next_active(pools, pool));) {
		if (atomic_load(&pool->opens) || pthread_rwlock_trywrlock(&pool->lock) != 0)
			continue;
		pool_drop_clean_view(pool);
		pthread_rwlock_unlock(&pool->lock);
	}
}
