/* SPDX-License-Identifier: BSD-3-Clause */

/* Where a view's pages live on the media, and how volatile ones get there. */

#include "pool/private.h"

#include <errno.h>

/* Space that was reserved and never written is zeroed when it is first written to, this much at a time. */
#define CONVERT_PAGES GROUP_BLOCKS

static struct placement find(void *owner, uint64_t page, uint64_t want)
{
	const struct pool *pool = owner;
	uint32_t at = extmap_find(&pool->map, page);
	struct placement place = { .pages = want };
	const struct extent *extent;

	if (at == pool->map.count)
		return place;
	extent = &pool->map.extents[at];
	if (extent->page > page) {
		place.pages = min_u64(want, extent->page - page);
		return place;
	}
	place.pages = min_u64(want, extent_end(extent) - page);
	place.placed = !extent_unwritten(extent);
	place.media_offset = (extent->block + (page - extent->page)) * BLOCK_BYTES;
	return place;
}

/* The part of the unwritten extent around `page` that becomes written at once. */
static int convert(struct pool *pool, const struct extent *extent, uint64_t page, uint64_t want,
		   struct placement *out)
{
	struct region *region = pool->pools->region;
	uint64_t start = max_u64(align_down(page, CONVERT_PAGES), extent->page);
	uint64_t end = min_u64(align_down(page, CONVERT_PAGES) + CONVERT_PAGES, extent_end(extent));
	uint64_t stop = min_u64(page + want, end);
	uint64_t block = extent->block + (start - extent->page);

	if (extmap_reserve(&pool->map, 2))
		return -ENOMEM;
	media_zero(region, block * BLOCK_BYTES, (page - start) * PAGE_BYTES);
	media_zero(region, (block + (stop - start)) * BLOCK_BYTES, (end - stop) * PAGE_BYTES);
	extmap_flag(&pool->map, start, end - start, false);
	pool->map_changed = true;
	*out = (struct placement){
		.media_offset = (block + (page - start)) * BLOCK_BYTES,
		.pages = stop - page,
		.placed = true,
		.fresh = true,
	};
	return 0;
}

/* Pages that are stored to together and that nothing is mapped for, from `page` on. */
static uint64_t unmapped_run(const struct pool *pool, uint64_t page, uint64_t want, uint32_t at)
{
	if (at < pool->map.count)
		want = min_u64(want, pool->map.extents[at].page - page);
	return want;
}

static int place(void *owner, uint64_t page, uint64_t want, struct placement *out)
{
	struct pool *pool = owner;
	uint32_t at = extmap_find(&pool->map, page);
	uint64_t run, block, got;

	if (at < pool->map.count && pool->map.extents[at].page <= page)
		return convert(pool, &pool->map.extents[at], page, want, out);
	/* Every page that is stored to was promised a block, but for a mapping's that outlived its pages. */
	if (pool->promised == 0)
		return -ENOSPC;
	if (extmap_reserve(&pool->map, 1))
		return -ENOMEM;
	run = unmapped_run(pool, page, want, at);
	got = space_take(&pool->pools->space, SPACE_PROMISED, extmap_goal(&pool->map, page), run,
			 pool->size >= (uint64_t)GROUP_BLOCKS * BLOCK_BYTES && is_aligned(page, GROUP_BLOCKS),
			 &block);
	if (got == 0)
		return -ENOSPC;
	pool->promised -= got;
	extmap_insert(&pool->map, page, got, block, false);
	pool->map_changed = true;
	*out = (struct placement){
		.media_offset = block * BLOCK_BYTES, .pages = got, .placed = true, .fresh = true
	};
	return 0;
}

const struct view_owner_ops pool_view_ops = {
	.find = find,
	.place = place,
};

uint64_t pool_promised_pages(const struct pool *pool, uint64_t page, uint64_t pages)
{
	uint64_t end = page + pages, promised = 0;

	if (!pool->view)
		return 0;
	for (uint64_t at = page; pool->promised && (at = view_next_present(pool->view, at, end)) < end;
	     at++) {
		uint32_t extent = extmap_find(&pool->map, at);

		if (extent == pool->map.count || pool->map.extents[extent].page > at)
			promised++;
	}
	return promised;
}

void pool_discard_pages(struct pool *pool, uint64_t page, uint64_t pages, uint64_t promised)
{
	if (!pool->view)
		return;
	view_discard(pool->view, page, pages);
	space_unpromise(&pool->pools->space, promised);
	pool->promised -= promised;
}

void pool_count_view(struct pool *pool)
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
	pool_count_view(pool);
}

/* ---- Sectors ------------------------------------------------------------------ */

/*
 * A sector is kept or lost whole even if the daemon is killed in the middle of a
 * copy: dirty pages go to new blocks, and the commit of the map is what moves the
 * file there. Gives new blocks to dirty pages of [page, end) until space runs
 * out; *reached is where. -ENOSPC: not even one.
 */
static int relocate(struct pool *pool, uint64_t page, uint64_t end, uint64_t *reached)
{
	const uint64_t start = page;

	while ((page = view_next_dirty(pool->view, page, end)) < end) {
		struct placement old;
		uint64_t run = 1, block, got;

		while (page + run < end &&
		       view_next_dirty(pool->view, page + run, page + run + 1) == page + run)
			run++;
		old = find(pool, page, run);
		if (!old.placed) {
			page += old.pages;
			continue;
		}
		if (extmap_reserve(&pool->map, 3))
			return -ENOMEM;
		got = space_take(&pool->pools->space, SPACE_METADATA, extmap_goal(&pool->map, page),
				 old.pages, false, &block);
		if (got == 0) {
			*reached = page;
			return page > start ? 0 : -ENOSPC;
		}
		if (extmap_remove(&pool->map, page, got, &pool->retired)) {
			space_release(&pool->pools->space, block, got);
			return -ENOMEM;
		}
		extmap_insert(&pool->map, page, got, block, true);
		pool->map_changed = true;
		page += got;
	}
	*reached = end;
	return 0;
}

static int persist_sectors(struct pool *pool, uint64_t page, uint64_t end)
{
	int error = 0;

	while (!error && page < end) {
		uint64_t reached;

		error = relocate(pool, page, end, &reached);
		if (!error)
			error = view_persist(pool->view, page, reached - page);
		/* The blocks of this part are what the next one needs. */
		if (!error && reached < end)
			error = file_commit(pool);
		page = reached;
	}
	return error;
}

int pool_persist(struct pool *pool, uint64_t page, uint64_t pages)
{
	if (!pool->view)
		return 0;
	/* Stores through a mapping tear at lines whatever the mode. */
	if (pool->pool_mode == POOL_MODE_FSDAX || pool->is_attached)
		return view_persist(pool->view, page, pages);
	return persist_sectors(pool, page, page + pages);
}

/* ---- Sync --------------------------------------------------------------------- */

int pool_sync_locked(struct pool *pool)
{
	const struct timespec durable_mtime = pool->durable_mtime, durable_ctime = pool->durable_ctime;
	const uint64_t durable_size = pool->durable_size;
	int error;

	if (!pool_is_volatile(pool))
		return 0;
	error = pool_persist(pool, 0, POOL_SIZE_MAX / PAGE_BYTES + 1);
	if (error)
		return error;
	pool->durable_size = pool->size;
	pool->durable_mtime = pool->mtime;
	pool->durable_ctime = pool->ctime;
	error = file_commit(pool);
	if (error) {
		pool->durable_size = durable_size;
		pool->durable_mtime = durable_mtime;
		pool->durable_ctime = durable_ctime;
	}
	return error;
}

int pool_sync(struct pool_handle *handle)
{
	struct pool *pool = handle->pool;

	HANDLE_SCOPE(handle);
	WRITE_SCOPE(&pool->lock);
	if (pool->dead || pool->pools->read_only)
		return 0;
	return pool_sync_locked(pool);
}

int pool_sync_pool(struct pool *pool)
{
	GATE_SCOPE(pool->pools);
	WRITE_SCOPE(&pool->lock);
	if (pool->dead || pool->pools->read_only)
		return 0;
	return pool_sync_locked(pool);
}

/* The active pool after `previous` (NULL: the first), with a reference; drops the previous one's. */
static struct pool *next_active(struct pools *pools, struct pool *previous)
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

/* A large pool is persisted in steps, so that progress can be told. */
static int sync_in_steps(struct pool *pool, uint64_t *done, uint64_t total)
{
	const struct pools_options *options = &pool->pools->options;
	const uint64_t end = POOL_SIZE_MAX / PAGE_BYTES + 1, step = 64u * 1024; /* pages: 256 MiB */
	int error = 0;

	for (uint64_t page = 0;
	     !error && pool->view && (page = view_next_dirty(pool->view, page, end)) < end;) {
		uint64_t dirty = view_dirty_pages(pool->view);

		error = pool_persist(pool, page, step);
		*done += dirty - view_dirty_pages(pool->view);
		if (options->progress)
			options->progress(options->progress_context, "draining", *done * PAGE_BYTES,
					  total * PAGE_BYTES);
	}
	return error ? error : pool_sync_locked(pool);
}

static uint64_t dirty_pages(struct pools *pools)
{
	uint64_t pages = 0;

	for (struct pool *pool = NULL; (pool = next_active(pools, pool));) {
		READ_SCOPE(&pool->lock);
		pages += pool->view ? view_dirty_pages(pool->view) : 0;
	}
	return pages;
}

int pools_sync(struct pools *pools)
{
	uint64_t done = 0, total;
	int result = 0;

	if (pools->read_only)
		return 0;
	GATE_SCOPE(pools);
	total = dirty_pages(pools);
	for (struct pool *pool = NULL; (pool = next_active(pools, pool));) {
		WRITE_SCOPE(&pool->lock);
		int error = pool->dead ? 0 : sync_in_steps(pool, &done, total);

		if (error)
			result = error;
	}
	return result;
}

void pools_relieve(struct pools *pools)
{
	struct pool *pool = NULL;
	unsigned budget = 64;

	if (atomic_load(&pools->populated) < pools->populated_max)
		return;
	while (budget && (pool = next_active(pools, pool))) {
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

void pools_trim(struct pools *pools)
{
	if (atomic_load(&pools->present_pages) <= pools->present_max)
		return;
	for (struct pool *pool = NULL; (pool = next_active(pools, pool));) {
		if (atomic_load(&pool->opens) || pthread_rwlock_trywrlock(&pool->lock) != 0)
			continue;
		pool_drop_clean_view(pool);
		pthread_rwlock_unlock(&pool->lock);
	}
}
