/* SPDX-License-Identifier: BSD-3-Clause */

/* Pools whose views client processes map, and the draining of those clients' WPQs. */

#include "pool/pool.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "domain/wpq.h"
#include "pool/gate.h"
#include "pool/placement.h"
#include "pool/undo.h"
#include "pool/view_limits.h"
#include "pool/writeback.h"

static void note_attached(struct pool *pool)
{
	atomic_fetch_add(&pool->pools->attachments, 1);
	LOCK_SCOPE(&pool->pools->list_lock);
	if (pool->is_attached || pool->is_destroyed)
		return;
	LIST_INSERT_HEAD(&pool->pools->attached, pool, attached);
	atomic_fetch_add(&pool->pools->attached_count, 1);
	pool->is_attached = true;
	if (!pool->was_attached)
		LIST_INSERT_HEAD(&pool->pools->once_attached, pool, once_attached);
	pool->was_attached = true;
}

static int attach_view(struct pool *pool)
{
	return view_attach(pool->view, align_up(pool->size, PAGE_BYTES));
}

static int attach_view_exact(struct pool *pool)
{
	return view_attach_exact(pool->view, pool->size);
}

static int attach_locked(struct pool *pool, int (*attach)(struct pool *pool),
			 struct pool_attachment *attachment)
{
	bool again = pool->is_attached && pool->size == pool->durable_size;
	int error = 0, fd;

	if (pool->pools->read_only)
		return -EROFS;
	if (!S_ISREG(pool->mode) || pool->size == 0)
		return -EINVAL;
	/*
	 * The size becomes durable before a client can store. A second attach of an unchanged pool skips the
	 * sync: mapping a pool must not make other clients' stores durable. Holes get blocks when stores to
	 * them are drained, as on DAX at the first store: a pool may be larger than its region.
	 */
	if (!again)
		error = pool_sync_locked(pool);
	if (!error)
		error = pool_ensure_view(pool);
	if (error)
		return error;
	pool_activate(pool);
	error = attach(pool);
	pool_account_view(pool);
	if (error)
		return error;
	/* With the lock held: without it the memory may be dropped, and its number may be another file's. */
	fd = view_share(pool->view);
	note_attached(pool);
	if (fd < 0)
		return fd;
	/* As a page fault through a mapping with MAP_SYNC does. */
	pool_undo_sync(pool, false);
	*attachment = (struct pool_attachment){
		.fd = fd,
		.view = view_id(pool->view),
		.size = pool->size,
	};
	return 0;
}

static int attach_once(struct pool *pool, int (*attach)(struct pool *pool),
		       struct pool_attachment *attachment)
{
	WRITE_SCOPE(&pool->lock);
	return pool->dead ? -ESTALE : attach_locked(pool, attach, attachment);
}

/* What the undo list keeps must not make it fail. */
static int attach_with_room(struct pool *pool, int (*attach)(struct pool *pool),
			    struct pool_attachment *attachment)
{
	int error;

	GATE_SCOPE(pool->pools);
	pools_limit_views(pool->pools);
	pools_limit_attached(pool->pools);
	do
		error = attach_once(pool, attach, attachment);
	while (pool_make_room(pool, error));
	return media_outcome(pool->pools, error);
}

int pool_attach(struct pool *pool, struct pool_attachment *attachment)
{
	return attach_with_room(pool, attach_view, attachment);
}

int pool_attach_exact(struct pool *pool, struct pool_attachment *attachment)
{
	return attach_with_room(pool, attach_view_exact, attachment);
}

void pool_unlist_attached(struct pool *pool)
{
	if (!pool->is_attached)
		return;
	LIST_REMOVE(pool, attached);
	atomic_fetch_sub(&pool->pools->attached_count, 1);
	pool->is_attached = false;
}

bool pool_release_view(struct pool *pool)
{
	struct pools *pools = pool->pools;

	if (!pool_is_attached(pool))
		return true;
	/*
	 * The mount's kernel may have pages of an open file that are older than what clients stored. While it
	 * is attached, what comes back of such a page is compared with what the kernel was given.
	 */
	if (atomic_load(&pool->opens) || !view_release(pool->view))
		return false;
	{
		LOCK_SCOPE(&pools->list_lock);
		pool_unlist_attached(pool);
	}
	pool_note_stores(pool);
	/* Pages of zeros in holes. */
	if (pool->promised)
		pool_recount_promised(pool);
	pool_account_view(pool);
	return true;
}

bool pool_is_attached(struct pool *pool)
{
	LOCK_SCOPE(&pool->pools->list_lock);
	return pool->is_attached;
}

bool pool_was_attached(struct pool *pool)
{
	LOCK_SCOPE(&pool->pools->list_lock);
	return pool->was_attached;
}

bool pool_attached_view(struct pool *pool, uint32_t *view)
{
	READ_SCOPE(&pool->lock);
	if (pool->dead || !pool->view || !pool_is_attached(pool))
		return false;
	*view = view_id(pool->view);
	return true;
}

struct pool **pools_copy_attached(struct pools *pools, size_t *count)
{
	struct pool **found, *pool;
	size_t at;

	LOCK_SCOPE(&pools->list_lock);
	*count = 0;
	LIST_FOREACH (pool, &pools->attached, attached)
		++*count;
	found = *count ? calloc(*count, sizeof(*found)) : NULL;
	if (!found)
		return NULL;
	/* The list has the last one first. */
	at = *count;
	LIST_FOREACH (pool, &pools->attached, attached) {
		pool_ref(pool, 1);
		found[--at] = pool;
	}
	return found;
}

/*
 * The same for pools that were attached since the region was opened, whether they still are or not;
 * `populated`: only those whose views have memory.
 */
static struct pool **once_attached_pools(struct pools *pools, bool populated, size_t *count)
{
	struct pool **found, *pool;
	size_t all = 0, at = 0;

	LOCK_SCOPE(&pools->list_lock);
	*count = 0;
	LIST_FOREACH (pool, &pools->once_attached, once_attached)
		all += !populated || pool->counted;
	found = calloc(all + 1, sizeof(*found));
	if (!found)
		return NULL;
	LIST_FOREACH (pool, &pools->once_attached, once_attached) {
		/* That may have changed meanwhile. */
		if (at == all || (populated && !pool->counted))
			continue;
		pool_ref(pool, 1);
		found[at++] = pool;
	}
	*count = at;
	return found;
}

static void call_each(struct pool **found, size_t count, void (*call)(void *context, struct pool *pool),
		      void *context)
{
	for (size_t i = 0; found && i < count; i++) {
		call(context, found[i]);
		pool_unref(found[i], 1);
	}
	free(found);
}

void pools_for_attached(struct pools *pools, void (*call)(void *context, struct pool *pool), void *context)
{
	size_t count;
	struct pool **found = pools_copy_attached(pools, &count);

	call_each(found, count, call, context);
}

void pools_for_once_attached(struct pools *pools, void (*call)(void *context, struct pool *pool),
			     void *context)
{
	size_t count;
	struct pool **found = once_attached_pools(pools, false, &count);

	call_each(found, count, call, context);
}

void pools_for_once_attached_views(struct pools *pools, void (*call)(void *context, struct pool *pool),
				   void *context)
{
	size_t count;
	struct pool **found = once_attached_pools(pools, true, &count);

	call_each(found, count, call, context);
}

struct pool *pools_find_attached(struct pools *pools, uint32_t view)
{
	size_t count;
	struct pool **attached = pools_copy_attached(pools, &count), *found = NULL;

	for (size_t i = 0; attached && i < count; i++) {
		bool same;
		{
			READ_SCOPE(&attached[i]->lock);
			same = attached[i]->view && view_id(attached[i]->view) == view;
		}
		if (same && !found)
			found = attached[i];
		else
			pool_unref(attached[i], 1);
	}
	free(attached);
	return found;
}

/* ---- Times -------------------------------------------------------------------------- */

void pool_note_stores(struct pool *pool)
{
	if (pool->dead || !pool->view || !view_take_stored(pool->view))
		return;
	if (!pool->mtime_is_newer)
		pool->mtime = pool->ctime = pool_time_now();
	/* Which stores were older is not known: those that become durable first are taken for them. */
	pool->mtime_is_newer = false;
}

void pool_note_mtime(struct pool *pool)
{
	if (!pool->is_attached || !pool->view)
		return;
	view_take_stored(pool->view);
	pool->mtime_is_newer = view_has_volatile_lines(pool->view);
}

static int sync_range(struct pool *pool, uint64_t offset, uint64_t length)
{
	const uint64_t first = offset / PAGE_BYTES;
	const uint64_t end = pages_up(min_u64(offset + length, POOL_SIZE_MAX));
	int error = first < end ? pool_persist(pool, first, end - first) : 0;

	pool_note_stores(pool);
	pool_account_view(pool);
	/* Pages of holes have blocks now. */
	if (!error && pool->map_changed)
		error = pool_inode_commit(pool);
	return error;
}

static int sync_range_once(struct pool *pool, uint64_t offset, uint64_t length)
{
	WRITE_SCOPE(&pool->lock);
	if (pool->dead)
		return 0;
	/* msync(2) is an fdatasync(2) of a range. */
	pool_undo_sync(pool, true);
	return sync_range(pool, offset, length);
}

int pool_sync_range(struct pool *pool, uint64_t offset, uint64_t length)
{
	int error;

	GATE_SCOPE(pool->pools);
	if (offset > POOL_SIZE_MAX || length > POOL_SIZE_MAX)
		return -EINVAL;
	do
		error = sync_range_once(pool, offset, length);
	while (error == -ENOSPC && pools_make_room(pool->pools));
	return media_outcome(pool->pools, error);
}

/* ---- The domain's services ------------------------------------------------------- */

int pools_create_wpq(struct pools *pools, uint32_t lane_size, struct wpq **out)
{
	return wpq_create(pools->domain, lane_size, out);
}

int pools_create_wpq_rights(struct pools *pools, struct wpq_rights **out)
{
	return wpq_rights_create(pools->domain, out);
}

uint64_t pools_published(struct pools *pools)
{
	return domain_published(pools->domain);
}

void pools_set_awake(struct pools *pools, bool awake)
{
	domain_set_awake(pools->domain, awake);
}

void pools_announce_fences(struct pools *pools, bool announce)
{
	domain_announce_fences(pools->domain, announce);
}

void pools_count_clean(struct pools *pools, bool count)
{
	domain_count_clean(pools->domain, count);
}

enum persistence_domain pools_persistence(const struct pools *pools)
{
	return domain_persistence(pools->domain);
}

/* ---- What is told of them ----------------------------------------------------- */

int pool_counts(struct pool *pool, struct domain_counts *counts)
{
	GATE_SCOPE(pool->pools);
	READ_SCOPE(&pool->lock);
	*counts = (struct domain_counts){ 0 };
	if (pool->view)
		view_counts(pool->view, counts);
	return pool->dead ? -ESTALE : 0;
}

int pool_volatile_lines(struct pool *pool, uint64_t *lines)
{
	GATE_SCOPE(pool->pools);
	READ_SCOPE(&pool->lock);
	*lines = pool->view ? view_volatile_lines(pool->view) : 0;
	return pool->dead ? -ESTALE : media_outcome(pool->pools, 0);
}

/* ---- Draining ------------------------------------------------------------------- */

/*
 * Draining may write to any attached pool, so it takes the locks of all of them, then the domain's.
 * pools->drain_lock admits one drain at a time, and every other thread holds the lock of at most one
 * pool, so the order among the pools does not matter.
 */
struct draining {
	struct pool **attached;
	size_t count;
};

/*
 * May the drain need blocks that the undo list keeps? A line in a hole takes a page, and more while an eighth
 * of the region is free. Once the drain has the locks of the pools, nothing can be given back.
 */
static bool space_is_tight(struct pools *pools)
{
	uint64_t lines;

	if (!pools_undo_held(pools))
		return false;
	lines = domain_published(pools->domain) / LINE_SIZE;
	return pool_space_free_for_data(&pools->space) < pools->space.blocks / 4 + lines;
}

/* pools->drain_lock is held. */
static int draining_begin(struct pools *pools, struct draining *draining)
{
	if (space_is_tight(pools))
		pools_undo_make_room(pools);
	draining->attached = pools_copy_attached(pools, &draining->count);
	if (!draining->attached && draining->count)
		return -ENOMEM;
	for (size_t i = 0; i < draining->count; i++)
		pthread_rwlock_wrlock(&draining->attached[i]->lock);
	return 0;
}

static int draining_end(struct draining *draining)
{
	int result = 0;

	for (size_t i = 0; i < draining->count; i++) {
		struct pool *pool = draining->attached[i];
		int error = pool->map_changed && !pool->dead ? pool_inode_commit(pool) : 0;

		pool_note_stores(pool);
		if (error)
			result = error;
		pthread_rwlock_unlock(&pool->lock);
		pool_unref(pool, 1);
	}
	free(draining->attached);
	return result;
}

int pools_drain(struct pools *pools)
{
	struct draining draining;
	int result, error;

	GATE_SCOPE(pools);
	LOCK_SCOPE(&pools->drain_lock);
	result = draining_begin(pools, &draining);
	if (result)
		return result;
	result = domain_drain(pools->domain);
	error = draining_end(&draining);
	/* This takes precedence over -EPROTO for a dead WPQ: no client's records have reached the media. */
	if (region_failed(pools->region))
		return -EIO;
	return error ? error : result;
}

void pools_destroy_wpqs(struct pools *pools, struct wpq **wpqs, size_t count)
{
	struct draining draining;

	GATE_SCOPE(pools);
	LOCK_SCOPE(&pools->drain_lock);
	/*
	 * Without memory for the list no pool can be locked. What is published has been promised to be
	 * durable, so wait for memory.
	 */
	while (draining_begin(pools, &draining) < 0)
		poll(NULL, 0, 10);
	for (size_t i = 0; i < count; i++)
		wpq_destroy(wpqs[i]);
	draining_end(&draining);
}
