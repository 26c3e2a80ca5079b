/* SPDX-License-Identifier: BSD-3-Clause */

/* Which pools are active, and how much their views may take. */

#include "pool/view_limits.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "domain/domain.h"
#include "pool/gate.h"
#include "pool/undo.h"
#include "pool/writeback.h"

/*
 * A view takes a descriptor and two mappings. The views of all regions together may use half of what the
 * process may have.
 */
static uint64_t views_limit(void)
{
	const uint64_t mappings = 30000; /* vm.max_map_count is 65530 by default, and a view takes two */
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return mappings;
	return min_u64(mappings, limit.rlim_cur / 2);
}

/* An eighth of the machine's memory. */
static uint64_t pages_limit(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);

	return pages > 0 ? (uint64_t)pages / 8 : 0;
}

void pools_set_limits(struct pools *pools)
{
	const unsigned regions = pools->options.regions ? pools->options.regions : 1;

	pools->populated_max = max_u64(views_limit() / regions, 64);
	pools->present_max = pages_limit() / regions;
}

/* ---- Active pools ---------------------------------------------------------------- */

void pool_activate(struct pool *pool)
{
	if (pool->is_active)
		return;
	LOCK_SCOPE(&pool->pools->list_lock);
	if (pool->is_active || pool->is_destroyed)
		return;
	TAILQ_INSERT_TAIL(&pool->pools->active, pool, active);
	pool->is_active = true;
}

struct pool **pools_copy_active(struct pools *pools, size_t *count)
{
	struct pool **found, *pool;
	size_t at = 0;

	LOCK_SCOPE(&pools->list_lock);
	*count = 0;
	TAILQ_FOREACH(pool, &pools->active, active)
	++*count;
	found = calloc(*count + 1, sizeof(struct pool *));
	if (!found)
		return NULL;
	TAILQ_FOREACH(pool, &pools->active, active)
	{
		pool_ref(pool, 1);
		found[at++] = pool;
	}
	return found;
}

/* The active pool that was looked at least recently, with a reference; NULL: there is none. */
static struct pool *take_oldest(struct pools *pools)
{
	struct pool *pool;

	LOCK_SCOPE(&pools->list_lock);
	pool = TAILQ_FIRST(&pools->active);
	if (!pool)
		return NULL;
	TAILQ_REMOVE(&pools->active, pool, active);
	TAILQ_INSERT_TAIL(&pools->active, pool, active);
	pool_ref(pool, 1);
	return pool;
}

/* ---- Memory ---------------------------------------------------------------------- */

static void account(_Atomic uint64_t *total, uint64_t *counted, uint64_t now)
{
	if (now == *counted)
		return;
	atomic_fetch_add(total, now - *counted);
	*counted = now;
}

void pool_account_view(struct pool *pool)
{
	struct pools *pools = pool->pools;
	const bool populated = pool->view && view_fd(pool->view) >= 0;

	if (populated != pool->counted)
		atomic_fetch_add(&pools->populated, populated ? 1 : UINT64_MAX);
	pool->counted = populated;
	if (!pool->view)
		return;
	account(&pools->present_pages, &pool->counted_pages, view_present_pages(pool->view));
	account(&pools->dirty_pages, &pool->counted_dirty, view_dirty_pages(pool->view));
}

void pool_drop_clean_view(struct pool *pool)
{
	if (!pool->view)
		return;
	view_drop_clean(pool->view);
	pool_account_view(pool);
}

/* How many pools one call looks at: a caller that writes or closes a file must not wait for all of them. */
#define LOOK_AT 64u
/* How many it looks at for one that needs no sync: where all are dirty, each call does it in vain. */
#define LOOK_AT_FIRST 4u

static bool has_memory(const struct pool *pool)
{
	return !pool->dead && pool->view && view_fd(pool->view) >= 0;
}

static void drop_if_clean(struct pool *pool)
{
	if (has_memory(pool))
		pool_drop_clean_view(pool);
}

/* The same, also of a pool that clients had mapped. */
static void release_if_clean(struct pool *pool)
{
	if (has_memory(pool) && pool_release_view(pool))
		pool_drop_clean_view(pool);
}

static void sync_and_release(struct pool *pool)
{
	if (!has_memory(pool))
		return;
	if (pool_is_attached(pool) && (atomic_load(&pool->opens) || view_in_use(pool->view)))
		return;
	if (pool_sync_locked(pool) == 0)
		release_if_clean(pool);
}

/* A file without a name is not used again, unless its removal is taken back. */
static void release_if_clean_or_removed(struct pool *pool)
{
	if (pool->is_nameless)
		sync_and_release(pool);
	else
		release_if_clean(pool);
}

/*
 * Call for the closed ones among the `look_at` pools that were looked at least recently, while the total is
 * above `most`.
 */
static void for_closed(struct pools *pools, unsigned look_at, void (*call)(struct pool *pool),
		       _Atomic uint64_t *total, uint64_t most)
{
	for (unsigned i = 0; i < look_at && atomic_load(total) > most; i++) {
		struct pool *pool = take_oldest(pools);

		if (!pool)
			return;
		if (!atomic_load(&pool->opens) && pthread_rwlock_trywrlock(&pool->lock) == 0) {
			call(pool);
			pthread_rwlock_unlock(&pool->lock);
		}
		pool_unref(pool, 1);
	}
}

void pools_limit_views(struct pools *pools)
{
	const uint64_t most = pools->populated_max;

	for_closed(pools, LOOK_AT_FIRST, release_if_clean_or_removed, &pools->populated, most);
	for_closed(pools, LOOK_AT, sync_and_release, &pools->populated, most);
}

/* Of unused ones so many keep their memory, for a program that maps them again. */
#define ATTACHED_MAX 1024u

static void release_attached(struct pool *pool)
{
	if (has_memory(pool) && pool_is_attached(pool))
		pool_release_view(pool);
}

void pools_limit_attached(struct pools *pools)
{
	for_closed(pools, LOOK_AT, release_attached, &pools->attached_count, ATTACHED_MAX);
}

void pools_limit_memory(struct pools *pools)
{
	for_closed(pools, LOOK_AT, drop_if_clean, &pools->present_pages, pools->present_max);
}

/* ---- Descriptors ----------------------------------------------------------------- */

/* So many views are dropped at once: the next ones that are made find their descriptors. */
#define FREE_AT_ONCE 16u

/*
 * Call for the pools but `except`, open ones too, until enough have no memory any more. How many that are.
 * Waits for pools that are locked for `patience` ms, for all of them together, and leaves the others out.
 */
static unsigned free_some(struct pool **active, size_t count, const struct pool *except, unsigned patience,
			  void (*call)(struct pool *pool))
{
	const struct timespec until = clock_deadline_ms(patience);
	unsigned freed = 0;

	for (size_t i = 0; i < count && freed < FREE_AT_ONCE; i++) {
		struct pool *pool = active[i];

		if (pool == except || pthread_rwlock_clockwrlock(&pool->lock, CLOCK_MONOTONIC, &until) != 0)
			continue;
		if (has_memory(pool)) {
			call(pool);
			freed += !has_memory(pool);
		}
		pthread_rwlock_unlock(&pool->lock);
	}
	return freed;
}

static bool free_views(struct pools *pools, struct pool **(*list)(struct pools *pools, size_t *count),
		       const struct pool *except)
{
	size_t count = 0;
	struct pool **found = pools->read_only ? NULL : list(pools, &count);
	unsigned freed;

	if (!found)
		return false;
	freed = free_some(found, count, except, 0, release_if_clean);
	/* A pool that somebody just looked at must not make the caller fail. */
	if (!freed)
		freed = free_some(found, count, except, 200, sync_and_release);
	for (size_t i = 0; i < count; i++)
		pool_unref(found[i], 1);
	free(found);
	return freed;
}

bool pools_release_attached(struct pools *pools)
{
	GATE_SCOPE(pools);
	return free_views(pools, pools_copy_attached, NULL);
}

bool pool_make_room(struct pool *pool, int error)
{
	if (error == -ENOSPC)
		return pools_make_room(pool->pools);
	/* The limit of mappings is ENOMEM. */
	return (error == -EMFILE || error == -ENFILE || error == -ENOMEM) &&
	       free_views(pool->pools, pools_copy_active, pool);
}
