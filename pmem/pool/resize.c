/* SPDX-License-Identifier: BSD-3-Clause */

/* Truncate and fallocate. */

#include "pool/resize.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "domain/domain.h"
#include "pool/da_alloc.h"
#include "pool/gate.h"
#include "pool/placement.h"
#include "pool/pools.h"
#include "pool/undo.h"
#include "pool/view_limits.h"
#include "pool/writeback.h"

/* ---- A change that can be undone ------------------------------------------------- */

/* A change of the map and of the size, which can be undone until it is committed. */
struct change {
	struct extmap map_before;
	uint64_t size_before, durable_size_before;
	struct extmap removed; /* blocks to release once the change is committed */
	uint64_t page, pages;  /* whose extents may change */
};

static int change_begin(struct pool *pool, uint64_t page, uint64_t pages, struct change *change)
{
	*change = (struct change){
		.size_before = pool->size,
		.durable_size_before = pool->durable_size,
		.page = page,
		.pages = pages,
	};
	return pool_extmap_copy(&pool->map, &change->map_before);
}

static void change_end(struct change *change)
{
	pool_extmap_free(&change->map_before);
	pool_extmap_free(&change->removed);
}

static void change_undo(struct pool *pool, struct change *change)
{
	pool_space_release_new(&pool->pools->space, &pool->map, &change->map_before);
	pool_extmap_free(&pool->map);
	pool->map = change->map_before;
	change->map_before = (struct extmap){ 0 };
	pool->size = change->size_before;
	pool->durable_size = change->durable_size_before;
}

/* ---- The size, and what lies behind it ------------------------------------------- */

int pool_extend(struct pool *pool, uint64_t size)
{
	uint64_t page_end = align_up(pool->size, PAGE_BYTES);
	int error = 0;

	if (size <= pool->size)
		return 0;
	/*
	 * The bytes past the end in its page do not belong to the file. They may be left from a time
	 * when it was longer.
	 */
	if (pool->size != page_end) {
		error = pool_ensure_view(pool);
		if (!error)
			error = view_store_zero(pool->view, pool->size, min_u64(page_end, size) - pool->size);
	}
	if (!error && pool->view)
		error = view_extend(pool->view, pool->size, size);
	if (!error)
		pool->size = size;
	return error;
}

/*
 * Before the durable size grows past the end of its page, the media must hold in that page what a
 * reader sees there. A page that is not written on the media reads as zeros; ZERO_RANGE relies on it
 * staying unwritten.
 */
static int sync_tail(struct pool *pool)
{
	const uint64_t page = pool->durable_size / PAGE_BYTES;

	if (is_aligned(pool->durable_size, PAGE_BYTES) || !pool->view ||
	    !pool_find_pages(pool, page, 1).placed)
		return 0;
	return pool_persist(pool, page, 1);
}

void pool_zero_tail(struct pool *pool)
{
	const uint64_t page = pool->durable_size / PAGE_BYTES, in_page = pool->durable_size % PAGE_BYTES;
	struct placement place = pool_find_pages(pool, page, 1);

	if (in_page == 0)
		return;
	/*
	 * A dirty line there would reach the media with the next sync. Storing to a page that is
	 * in memory cannot fail.
	 */
	if (pool->view && view_next_in_memory(pool->view, page, page + 1) == page)
		view_store_zero(pool->view, pool->durable_size, PAGE_BYTES - in_page);
	if (!place.placed)
		return;
	/* Where a bad page does not become zero, no read of it succeeds either. */
	(void)!media_zero(pool->pools->region, place.media_offset + in_page, PAGE_BYTES - in_page);
	media_fence(pool->pools->region);
}

/* ---- What an outage needs to take the change back -------------------------------- */

/* The bytes on the media that pool_zero_tail() is about to zero. */
static int keep_tail(const struct pool *pool, struct undo_resize *undo)
{
	const uint64_t page = pool->durable_size / PAGE_BYTES;
	const uint64_t end = min_u64(align_up(pool->durable_size, PAGE_BYTES), undo->size);
	const struct placement place = pool_find_pages(pool, page, 1);

	if (pool->durable_size >= end || !place.placed)
		return 0;
	undo->tail_offset = pool->durable_size;
	undo->tail_length = (uint32_t)(end - pool->durable_size);
	undo->tail = malloc(undo->tail_length);
	if (!undo->tail)
		return -ENOMEM;
	/* If they cannot be read, no outage can bring them back. */
	if (media_read(pool->pools->region, place.media_offset + pool->durable_size % PAGE_BYTES, undo->tail,
		       undo->tail_length) == 0)
		return 0;
	free(undo->tail);
	undo->tail = NULL;
	return 0;
}

/* The change is on the media. */
static void change_note(struct pool *pool, struct change *change, struct timespec mtime,
			struct timespec ctime)
{
	struct undo_resize undo = {
		.page = change->page,
		.pages = change->pages,
		.size = change->durable_size_before,
		.mtime = mtime,
		.ctime = ctime,
	};
	int error = 0;

	if (!change->pages && pool->durable_size == change->durable_size_before) {
		/* A truncate to the size that the file has: as a write inside the file, it sets times. */
		pool_undo_add_write(pool, pool->size);
		return;
	}
	if (pool_undo_is_needed_for_size(pool)) {
		if (change->pages)
			error = pool_extmap_remove(&change->map_before, change->page, change->pages,
						   &undo.before);
		if (!error)
			error = keep_tail(pool, &undo);
		if (!error) {
			undo.removed = change->removed;
			change->removed = (struct extmap){ 0 };
			pool_undo_add_resize(pool, &undo);
			return;
		}
		/* Without memory for a note this change is committed, and so must be what came before. */
		pool_extmap_free(&undo.before);
		pools_undo_commit_all(pool->pools);
	} else if (!pool->is_attached) {
		pool_undo_add_unseen(pool, NAMES_RESIZE);
	}
	pool_space_release_extents(&pool->pools->space, &change->removed);
}

static int change_commit(struct pool *pool, struct change *change, uint64_t durable_size)
{
	const struct timespec mtime = pool->durable_mtime, ctime = pool->durable_ctime;
	int error = durable_size > pool->durable_size ? sync_tail(pool) : 0;

	if (!error) {
		pool->durable_size = durable_size;
		pool->durable_mtime = pool->durable_ctime = pool_time_now();
		pool->map_changed = true;
		error = pool_inode_commit(pool);
	}
	if (error) {
		pool->durable_mtime = mtime;
		pool->durable_ctime = ctime;
		change_undo(pool, change);
		return error;
	}
	pool->mtime = pool->ctime = pool->durable_mtime;
	change_note(pool, change, mtime, ctime);
	return 0;
}

/* ---- Truncate -------------------------------------------------------------------- */

/*
 * Does the size cut anything off? Blocks that were allocated behind the end, with FALLOC_FL_KEEP_SIZE, are
 * cut off even if the size stays the same, as on ext4 and xfs.
 */
static bool cuts(const struct pool *pool, uint64_t size)
{
	return size < pool->size ||
	       (size == pool->size && pool_extmap_find(&pool->map, pages_up(size)) < pool->map.count);
}

static int truncate_locked(struct pool *pool, uint64_t size)
{
	const uint64_t end = POOL_PAGES_MAX;
	struct change change;
	uint64_t promised;
	bool shrinks;
	int error;

	if (pool->pools->read_only)
		return -EROFS;
	if (!S_ISREG(pool->mode))
		return S_ISDIR(pool->mode) ? -EISDIR : -EINVAL;
	if (size > POOL_SIZE_MAX)
		return -EFBIG;
	pool_activate(pool);
	shrinks = cuts(pool, size);
	promised = pool_promised_pages(pool, pages_up(size), end - pages_up(size));
	error = change_begin(pool, pages_up(size), shrinks ? end - pages_up(size) : 0, &change);
	if (!error && shrinks)
		error = pool_extmap_remove(&pool->map, pages_up(size), end - pages_up(size), &change.removed);
	if (!error && !shrinks)
		error = pool_extend(pool, size);
	if (!error)
		error = change_commit(pool, &change, size);
	if (!error && size == 0)
		pool_note_truncated(pool);
	if (!error && shrinks) {
		pool->size = size;
		pool_zero_tail(pool);
		pool_discard_pages(pool, pages_up(size), end - pages_up(size), promised);
	}
	pool_account_view(pool);
	change_end(&change);
	return error;
}

static int truncate_once(struct pool *pool, uint64_t size)
{
	WRITE_SCOPE(&pool->lock);
	return pool->dead ? -ESTALE : truncate_locked(pool, size);
}

/* What the undo list keeps must not make it fail. */
static int truncate_with_room(struct pool *pool, uint64_t size)
{
	int error;

	do
		error = truncate_once(pool, size);
	while (pool_make_room(pool, error));
	return error;
}

static int truncate_handle(struct pool_handle *handle, uint64_t size)
{
	HANDLE_SCOPE(handle);
	return truncate_with_room(handle->pool, size);
}

int pool_truncate(struct pool *pool, struct pool_handle *handle, uint64_t size)
{
	if (handle)
		return truncate_handle(handle, size);
	GATE_SCOPE(pool->pools);
	return truncate_with_room(pool, size);
}

/* ---- Fallocate ------------------------------------------------------------------- */

static int fallocate_grow(struct pool *pool, int mode, uint64_t offset, uint64_t length)
{
	uint64_t first = offset / PAGE_BYTES, last = pages_up(offset + length);
	uint64_t durable_size = pool->durable_size;
	struct change change;
	int error = change_begin(pool, first, last - first, &change);

	if (!error)
		error = pool_reserve_pages(pool, first, last - first);
	if (!error && mode & FALLOC_FL_ZERO_RANGE) {
		/*
		 * Whole pages read as zero because the map says unwritten. zero_edges() zeroes the
		 * parts of pages.
		 */
		uint64_t whole = pages_up(offset), stop = (offset + length) / PAGE_BYTES;

		error = pool_extmap_reserve(&pool->map, 2);
		if (!error && whole < stop)
			pool_extmap_flag(&pool->map, whole, stop - whole, true);
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
		pool_recount_promised(pool);
	change_end(&change);
	return error;
}

/* Store zeros where the range covers only a part of a page. */
static int zero_edges(struct pool *pool, uint64_t offset, uint64_t end)
{
	uint64_t head = min_u64(align_up(offset, PAGE_BYTES), end),
		 tail = max_u64(align_down(end, PAGE_BYTES), head);
	int error;

	end = min_u64(end, pool->size);
	if ((head == offset && tail == end) || offset >= end)
		return 0;
	error = pool_ensure_view(pool);
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

	/* All pages of the range have a block now, so no promise is given back. */
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
		error = change_begin(pool, first, stop - first, &change);
		if (!error)
			error = pool_extmap_remove(&pool->map, first, stop - first, &change.removed);
		if (!error)
			error = change_commit(pool, &change, pool->durable_size);
		change_end(&change);
		if (error)
			return error;
		pool_discard_pages(pool, first, stop - first, promised);
	}
	return zero_edges(pool, offset, offset + length);
}

static int fallocate_locked(struct pool *pool, int mode, uint64_t offset, uint64_t length)
{
	int error;

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
	pool_account_view(pool);
	if (!error && domain_persistence(pool->pools->domain) == PERSISTENCE_CPU_CACHE)
		error = pool_sync_locked(pool);
	return error;
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
	do
		error = fallocate_locked(pool, mode, offset, length);
	while (pool_make_room(pool, error));
	return error;
}
