/* SPDX-License-Identifier: BSD-3-Clause */

/* Pools whose views other processes map, and the draining of what those publish. */

#include "pool/private.h"

#include <errno.h>

struct domain *pools_domain(struct pools *pools)
{
	return pools->domain;
}

static void note_attached(struct pool *pool)
{
	LOCK_SCOPE(&pool->pools->list_lock);
	if (pool->is_attached || pool->is_husk)
		return;
	LIST_INSERT_HEAD(&pool->pools->attached, pool, attached);
	pool->is_attached = true;
}

static int attach_locked(struct pool *pool, struct pool_attachment *attachment)
{
	uint64_t length = align_up(pool->size, PAGE_BYTES);
	int error;

	if (pool->pools->read_only)
		return -EROFS;
	if (!S_ISREG(pool->mode) || pool->size == 0)
		return -EINVAL;
	/*
	 * What is attached is there: its size and its space are settled, so that
	 * draining, which has nobody to tell, needs no more of either.
	 */
	error = pool_sync_locked(pool);
	if (!error)
		error = file_reserve(pool, 0, length / PAGE_BYTES);
	pool->map_changed = true;
	if (!error)
		error = file_commit(pool);
	if (!error)
		error = pool_need_view(pool);
	if (error)
		return error;
	pool_activate(pool);
	error = view_attach(pool->view, length);
	pool_count_view(pool);
	if (error)
		return error;
	note_attached(pool);
	*attachment = (struct pool_attachment){
		.fd = view_fd(pool->view),
		.view = view_id(pool->view),
		.size = pool->size,
	};
	return 0;
}

int pool_attach(struct pool *pool, struct pool_attachment *attachment)
{
	GATE_SCOPE(pool->pools);
	WRITE_SCOPE(&pool->lock);
	return pool->dead ? -ESTALE : attach_locked(pool, attachment);
}

bool pools_are_attached(struct pools *pools)
{
	LOCK_SCOPE(&pools->list_lock);
	return !LIST_EMPTY(&pools->attached);
}

/* The attached pools, each with a reference; how many in *count. NULL: none, or no memory. */
static struct pool **attached_pools(struct pools *pools, size_t *count)
{
	struct pool **found, *pool;
	size_t at = 0;

	LOCK_SCOPE(&pools->list_lock);
	*count = 0;
	LIST_FOREACH(pool, &pools->attached, attached)
		++*count;
	found = *count ? calloc(*count, sizeof(*found)) : NULL;
	if (!found)
		return NULL;
	LIST_FOREACH(pool, &pools->attached, attached) {
		pool_ref(pool, 1);
		found[at++] = pool;
	}
	return found;
}

/*
 * Draining may write to any attached pool, so all of them are locked, and only
 * then the domain. One thread at a time does this; everybody else holds one
 * pool's lock at most, so the order among them does not matter.
 */
int pools_drain(struct pools *pools)
{
	CLEANUP_FREE struct pool **attached = NULL;
	size_t count;
	int result;

	GATE_SCOPE(pools);
	LOCK_SCOPE(&pools->drain_lock);
	attached = attached_pools(pools, &count);
	if (!attached)
		return count ? -ENOMEM : 0;
	for (size_t i = 0; i < count; i++)
		pthread_rwlock_wrlock(&attached[i]->lock);
	result = domain_drain(pools->domain);
	for (size_t i = 0; i < count; i++) {
		struct pool *pool = attached[i];
		int error = pool->map_changed && !pool->dead ? file_commit(pool) : 0;

		if (error)
			result = error;
		pthread_rwlock_unlock(&pool->lock);
		pool_unref(pool, 1);
	}
	return result;
}
