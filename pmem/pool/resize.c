/* SPDX-License-Identifier: BSD-3-Clause */

/* Truncate, fallocate, and where the data is. */

#include "pool/private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

static uint64_t pages_up(uint64_t bytes)
{
	return align_up(bytes, PAGE_BYTES) / PAGE_BYTES;
}

/* A change to the map and the size that can still be taken back. */
struct change {
	struct extmap map_before;
	uint64_t size_before, durable_size_before;
	struct extmap removed; /* blocks to release once the change is committed */
};

static int change_begin(struct pool *pool, struct change *change)
{
	*change = (struct change){ .size_before = pool->size, .durable_size_before = pool->durable_size };
	return extmap_copy(&pool->map, &change->map_before);
}

static void change_end(struct change *change)
{
	extmap_free(&change->map_before);
	extmap_free(&change->removed);
}

/* Blocks that the map has now and had not before. */
static void release_new(struct pool *pool, const struct extmap *before)
{
	for (uint32_t i = 0; i < pool->map.count; i++) {
		const struct extent *extent = &pool->map.extents[i];

		for (uint64_t page = extent->page; page < extent_end(extent);) {
			uint32_t at = extmap_find(before, page);
			uint64_t stop = extent_end(extent);

			if (at < before->count && before->extents[at].page <= page) {
				page = extent_end(&before->extents[at]);
				continue;
			}
			if (at < before->count)
				stop = min_u64(stop, before->extents[at].page);
			space_release(&pool->pools->space, extent->block + (page - extent->page),
				      stop - page);
			page = stop;
		}
	}
}

static void change_undo(struct pool *pool, struct change *change)
{
	release_new(pool, &change->map_before);
	extmap_free(&pool->map);
	pool->map = change->map_before;
	change->map_before = (struct extmap){ 0 };
	pool->size = change->size_before;
	pool->durable_size = change->durable_size_before;
}

/*
 * Before the durable size moves up past the end of its page: what the media
 * holds behind it in that page must be what a reader sees there. A page that
 * is not written there reads as zeros, and a zero range relies on its staying so.
 */
static int settle_tail(struct pool *pool)
{
	const uint64_t page = pool->durable_size / PAGE_BYTES;

	if (is_aligned(pool->durable_size, PAGE_BYTES) || !pool->view ||
	    !pool_view_ops.find(pool, page, 1).placed)
		return 0;
	return pool_persist(pool, page, 1);
}

/*
 * Behind the end in its page the media may hold what was cut off, or what
 * became durable before a size that did not. Nobody sees it now; but should the
 * file grow again and lines of that page be lost, it would come back.
 */
void pool_blank_tail(struct pool *pool)
{
	const uint64_t page = pool->durable_size / PAGE_BYTES, in_page = pool->durable_size % PAGE_BYTES;
	struct placement place = pool_view_ops.find(pool, page, 1);

	if (in_page == 0)
		return;
	/*
	 * Dirty lines there would reach the media with the next sync. A page that is
	 * present always takes a store.
	 */
	if (pool->view && view_page_present(pool->view, page))
		view_store_zero(pool->view, pool->durable_size, PAGE_BYTES - in_page);
	if (!place.placed)
		return;
	media_zero(pool->pools->region, place.media_offset + in_page, PAGE_BYTES - in_page);
	media_fence(pool->pools->region);
}

static int change_commit(struct pool *pool, struct change *change, uint64_t durable_size)
{
	const struct timespec mtime = pool->durable_mtime, ctime = pool->durable_ctime;
	int error = durable_size > pool->durable_size ? settle_tail(pool) : 0;

	if (!error) {
		pool->durable_size = durable_size;
		pool->durable_mtime = pool->durable_ctime = now();
		pool->map_changed = true;
		error = file_commit(pool);
	}
	if (error) {
		pool->durable_mtime = mtime;
		pool->durable_ctime = ctime;
		change_undo(pool, change);
		return error;
	}
	pool->mtime = pool->ctime = pool->durable_mtime;
	extents_release(&pool->pools->space, &change->removed);
	return 0;
}

/* ---- Truncate --------------------------------------------------------------- */

static int truncate_locked(struct pool *pool, uint64_t size)
{
	const uint64_t end = POOL_SIZE_MAX / PAGE_BYTES + 1;
	bool shrinks = size < pool->size;
	struct change change;
	uint64_t promised;
	int error;

	if (pool->pools->read_only)
		return -EROFS;
	if (!S_ISREG(pool->mode))
		return S_ISDIR(pool->mode) ? -EISDIR : -EINVAL;
	if (size > POOL_SIZE_MAX)
		return -EFBIG;
	pool_activate(pool);
	promised = pool_promised_pages(pool, pages_up(size), end - pages_up(size));
	error = change_begin(pool, &change);
	if (!error && shrinks)
		error = extmap_remove(&pool->map, pages_up(size), end - pages_up(size), &change.removed);
	if (!error && !shrinks)
		error = pool_extend(pool, size);
	if (!error)
		error = change_commit(pool, &change, size);
	if (!error && shrinks) {
		pool->size = size;
		pool_blank_tail(pool);
		pool_discard_pages(pool, pages_up(size), end - pages_up(size), promised);
	}
	pool_count_view(pool);
	change_end(&change);
	return error;
}

static int truncate_handle(struct pool_handle *handle, uint64_t size)
{
	HANDLE_SCOPE(handle);
	WRITE_SCOPE(&handle->pool->lock);
	return truncate_locked(handle->pool, size);
}

int pool_truncate(struct pool *pool, struct pool_handle *handle, uint64_t size)
{
	if (handle)
		return truncate_handle(handle, size);
	GATE_SCOPE(pool->pools);
	WRITE_SCOPE(&pool->lock);
	return pool->dead ? -ESTALE : truncate_locked(pool, size);
}

/* ---- Fallocate ---------------------------------------------------------------- */

/* Fill the hole at `page` (at most `want` pages) with unwritten blocks, from the promise. */
static int fill_hole(struct pool *pool, uint64_t page, uint64_t want, uint64_t *filled)
{
	uint64_t goal = extmap_goal(&pool->map, page);
	bool align = is_aligned(page, GROUP_BLOCKS) && want >= GROUP_BLOCKS;
	uint64_t block;

	if (extmap_reserve(&pool->map, 1))
		return -ENOMEM;
	*filled = space_take(&pool->pools->space, SPACE_PROMISED, goal, want, align, &block);
	if (*filled == 0)
		return -ENOSPC;
	pool->promised -= *filled;
	extmap_insert(&pool->map, page, *filled, block, true);
	return 0;
}

int file_reserve(struct pool *pool, uint64_t page, uint64_t pages)
{
	uint64_t end = page + pages, absent = pool_absent_pages(pool, page, pages);
	int error = space_promise(&pool->pools->space, absent);

	if (error)
		return error;
	pool->promised += absent;
	while (page < end) {
		uint32_t at = extmap_find(&pool->map, page);
		uint64_t stop = end, filled;

		if (at < pool->map.count && pool->map.extents[at].page <= page) {
			page = extent_end(&pool->map.extents[at]);
			continue;
		}
		if (at < pool->map.count)
			stop = min_u64(end, pool->map.extents[at].page);
		error = fill_hole(pool, page, stop - page, &filled);
		if (error)
			return error;
		page += filled;
	}
	return 0;
}

/* After an undo: pages that are present and have no block are promised one, and no others. */
static void promise_again(struct pool *pool)
{
	const uint64_t end = POOL_SIZE_MAX / PAGE_BYTES + 1;
	uint64_t unplaced = 0;

	for (uint64_t page = 0; pool->view && (page = view_next_present(pool->view, page, end)) < end;
	     page++) {
		uint32_t at = extmap_find(&pool->map, page);

		unplaced += at == pool->map.count || pool->map.extents[at].page > page ? 1 : 0;
	}
	space_promise_exactly(&pool->pools->space, pool->promised, unplaced);
	pool->promised = unplaced;
}

static int fallocate_grow(struct pool *pool, int mode, uint64_t offset, uint64_t length)
{
	uint64_t first = offset / PAGE_BYTES, last = pages_up(offset + length);
	uint64_t durable_size = pool->durable_size;
	struct change change;
	int error = change_begin(pool, &change);

	if (!error)
		error = file_reserve(pool, first, last - first);
	if (!error && mode & FALLOC_FL_ZERO_RANGE) {
		/* Whole pages are zero from here on by what the map says of them; the others by a store. */
		uint64_t whole = pages_up(offset), stop = (offset + length) / PAGE_BYTES;

		error = extmap_reserve(&pool->map, 2);
		if (!error && whole < stop)
			extmap_flag(&pool->map, whole, stop - whole, true);
	}
	if (!error && !(mode & FALLOC_FL_KEEP_SIZE)) {
		durable_size = max_u64(durable_size, offset + length);
		error = pool_extend(pool, offset + length);
	}
	if (error)
		change_undo(pool, &change);
	else
		error = change_commit(pool, &change, durable_size);
	if (error)
		promise_again(pool);
	change_end(&change);
	return error;
}

/* Store zeros where the range covers a page in part. */
static int zero_edges(struct pool *pool, uint64_t offset, uint64_t end)
{
	uint64_t head = min_u64(align_up(offset, PAGE_BYTES), end),
		 tail = max_u64(align_down(end, PAGE_BYTES), head);
	int error;

	end = min_u64(end, pool->size);
	if ((head == offset && tail == end) || offset >= end)
		return 0;
	error = pool_need_view(pool);
	if (!error && min_u64(head, end) > offset)
		error = view_store_zero(pool->view, offset, min_u64(head, end) - offset);
	if (!error && end > tail)
		error = view_store_zero(pool->view, tail, end - tail);
	return error;
}

static int zero_range(struct pool *pool, int mode, uint64_t offset, uint64_t length)
{
	uint64_t whole = pages_up(offset), stop = (offset + length) / PAGE_BYTES;
	int error = fallocate_grow(pool, mode, offset, length);

	/* All of them have a block now: nothing is promised any more. */
	if (!error && whole < stop)
		pool_discard_pages(pool, whole, stop - whole, 0);
	return error ? error : zero_edges(pool, offset, offset + length);
}

static int punch_hole(struct pool *pool, uint64_t offset, uint64_t length)
{
	uint64_t first = pages_up(offset), stop = (offset + length) / PAGE_BYTES;
	struct change change;
	uint64_t promised;
	int error;

	if (first < stop) {
		promised = pool_promised_pages(pool, first, stop - first);
		error = change_begin(pool, &change);
		if (!error)
			error = extmap_remove(&pool->map, first, stop - first, &change.removed);
		if (!error)
			error = change_commit(pool, &change, pool->durable_size);
		change_end(&change);
		if (error)
			return error;
		pool_discard_pages(pool, first, stop - first, promised);
	}
	return zero_edges(pool, offset, offset + length);
}

int pool_fallocate(struct pool_handle *handle, int mode, uint64_t offset, uint64_t length)
{
	struct pool *pool = handle->pool;
	int error;

	HANDLE_SCOPE(handle);
	if (pool->pools->read_only)
		return -EROFS;
	if (length == 0)
		return -EINVAL;
	if (length > POOL_SIZE_MAX || offset > POOL_SIZE_MAX - length)
		return -EFBIG;
	WRITE_SCOPE(&pool->lock);
	if (!S_ISREG(pool->mode))
		return S_ISDIR(pool->mode) ? -EISDIR : -ENODEV;
	pool_activate(pool);
	switch (mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
		error = fallocate_grow(pool, mode, offset, length);
		break;
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
		error = punch_hole(pool, offset, length);
		break;
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		error = zero_range(pool, mode, offset, length);
		break;
	default:
		return -EOPNOTSUPP;
	}
	pool_count_view(pool);
	if (!error && domain_persistence(pool->pools->domain) == PERSISTENCE_CPU_CACHE)
		error = pool_sync_locked(pool);
	return error;
}

/* ---- Seek ------------------------------------------------------------------------ */

/* Does the page hold data, and up to which page is the answer the same? */
static bool data_run(const struct pool *pool, uint64_t page, uint64_t end, uint64_t *stop)
{
	struct placement place = pool_view_ops.find((void *)(uintptr_t)pool, page, end - page);
	uint64_t present;

	*stop = page + place.pages;
	if (place.placed || !pool->view)
		return place.placed;
	present = view_next_present(pool->view, page, *stop);
	if (present > page) {
		*stop = present;
		return false;
	}
	*stop = page + 1;
	return true;
}

int64_t pool_seek(struct pool_handle *handle, uint64_t offset, int whence)
{
	struct pool *pool = handle->pool;
	uint64_t page = offset / PAGE_BYTES, end, stop;

	HANDLE_SCOPE(handle);
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	READ_SCOPE(&pool->lock);
	if (offset >= pool->size)
		return -ENXIO;
	for (end = pages_up(pool->size); page < end; page = stop)
		if (data_run(pool, page, end, &stop) == (whence == SEEK_DATA))
			return (int64_t)max_u64(offset, page * PAGE_BYTES);
	return whence == SEEK_HOLE ? (int64_t)pool->size : -ENXIO;
}
