/* SPDX-License-Identifier: BSD-3-Clause */

/* From the view to the media: persisting and eviction. The power failure: view_outage.c. */

#include "domain/persist.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "abi/line.h"
#include "common/cleanup.h"
#include "domain/chunk.h"
#include "domain/domain_state.h"
#include "domain/order.h"
#include "model/settle.h"

/* One write for each run of lines. */
int view_write_masked(struct view *view, uint64_t media_offset, const unsigned char *page, uint64_t mask)
{
	int error = 0;

	while (mask) {
		unsigned first = (unsigned)__builtin_ctzll(mask);
		uint64_t shifted = ~(mask >> first);
		unsigned count = shifted ? (unsigned)__builtin_ctzll(shifted) : 64;
		int failed;

		if (count > 64 - first)
			count = 64 - first;
		failed = media_write(view->domain->region, media_offset + first * LINE_SIZE,
				     page + first * LINE_SIZE, (uint64_t)count * LINE_SIZE);
		error = error ? error : failed;
		if (first + count == 64)
			break;
		mask &= ALL_LINES << (first + count);
	}
	return error;
}

int view_place(struct view *view, uint64_t page, uint64_t want, struct placement *at)
{
	*at = view->ops->find(view->owner, page, want);
	at->fresh = false;
	return at->placed ? 0 : view->ops->place(view->owner, page, want, at);
}

bool view_ends_in_page(const struct view *view, uint64_t page)
{
	const uint64_t size = view_size(view);

	return size / PAGE_BYTES == page && !is_aligned(size, LINE_SIZE);
}

void view_clip_page(const struct view *view, uint64_t page, unsigned char *copy)
{
	const uint64_t size = view_size(view);

	if (view_ends_in_page(view, page))
		memset(copy + size % PAGE_BYTES, 0, align_up(size, LINE_SIZE) - size);
}

int view_write_page(struct view *view, uint64_t page, uint64_t media_offset, bool fresh, uint64_t mask,
		    const unsigned char *content)
{
	_Alignas(LINE_SIZE) unsigned char copy[PAGE_BYTES];

	/* Without mappings no other thread stores to the content, so it needs no copy. */
	if (!view->attached && (mask == ALL_LINES || !fresh))
		return view_write_masked(view, media_offset, content, mask);
	memset(copy, 0, sizeof(copy));
	for (uint64_t rest = mask; rest; rest &= rest - 1) {
		size_t line = (size_t)__builtin_ctzll(rest) * LINE_SIZE;

		line_snapshot(copy + line, content + line);
	}
	view_clip_page(view, page, copy);
	return view_write_masked(view, media_offset, copy, fresh ? ALL_LINES : mask);
}

int view_write_lines(struct view *view, uint64_t page, uint64_t mask, const unsigned char *content)
{
	struct placement at;
	int error;

	if (!mask)
		return 0;
	error = view_place(view, page, 1, &at);
	if (error)
		return error;
	return view_write_page(view, page, at.media_offset, at.fresh, mask,
			       content ? content : view->memory + page * PAGE_BYTES);
}

static const unsigned char zero_page[PAGE_BYTES];

/* The lines of a page that are not all zero. */
static uint64_t nonzero_lines(const unsigned char *page)
{
	uint64_t mask = 0;

	if (memcmp(page, zero_page, PAGE_BYTES) == 0)
		return 0;
	for (unsigned line = 0; line < LINES_PER_PAGE; line++)
		if (memcmp(page + line * LINE_SIZE, zero_page, LINE_SIZE) != 0)
			mask |= (uint64_t)1 << line;
	return mask;
}

bool view_lines_are_zero(const unsigned char *page, uint64_t mask)
{
	for (; mask; mask &= mask - 1) {
		size_t line = (size_t)__builtin_ctzll(mask) * LINE_SIZE;

		if (memcmp(page + line, zero_page, LINE_SIZE) != 0)
			return false;
	}
	return true;
}

/* The lines of a present page that differ from the media; all lines if the media cannot be read. */
static uint64_t differing_lines(const struct view *view, uint64_t page)
{
	const unsigned char *now = view->memory + page * PAGE_BYTES;
	struct placement at = view->ops->find(view->owner, page, 1);
	uint64_t mask;

	if (!at.placed)
		return nonzero_lines(now);
	return media_compare_lines(view->domain->region, at.media_offset, now, &mask) < 0 ? ALL_LINES : mask;
}

uint64_t view_volatile_mask(const struct view *view, uint64_t page)
{
	if (!view->attached)
		return chunk_dirty(view, page);
	return differing_lines(view, page) & settle_lines_inside(page, view_size(view));
}

uint64_t view_next_memory(const struct view *view, uint64_t page, uint64_t end, uint64_t *stop)
{
	const uint64_t attached = min_u64(view_attached_pages(view), end);
	off_t data, hole;

	if (page >= attached)
		return end;
	data = lseek(view->fd, (off_t)(page * PAGE_BYTES), SEEK_DATA);
	if (data < 0 || (uint64_t)data >= attached * PAGE_BYTES)
		return end;
	page = (uint64_t)data / PAGE_BYTES;
	hole = lseek(view->fd, data, SEEK_HOLE);
	*stop = hole < 0 ? page + 1 : min_u64((uint64_t)hole / PAGE_BYTES, attached);
	return page;
}

/* The same, in a walk. */
static uint64_t next_stored(const struct view *view, uint64_t page, uint64_t end, struct volatile_walk *walk)
{
	return page < walk->stored_end ? page : view_next_memory(view, page, end, &walk->stored_end);
}

/* The same, or the first page that reads as zero in the view, and not on the media. */
static uint64_t next_touched(const struct view *view, uint64_t page, uint64_t end, struct volatile_walk *walk)
{
	while (page < end) {
		const uint64_t stored = next_stored(view, page, end, walk);

		if (stored == page)
			break;
		while (page < stored) {
			const struct placement at = view->ops->find(view->owner, page, stored - page);

			if (at.placed &&
			    media_is_zero(view->domain->region, at.media_offset, PAGE_BYTES) != 1)
				return page;
			page += at.placed ? 1 : at.pages;
		}
	}
	return page;
}

uint64_t view_next_volatile(const struct view *view, uint64_t page, uint64_t end, struct volatile_walk *walk)
{
	const uint64_t attached = min_u64(view_attached_pages(view), end);

	if (!view->attached)
		return view_next_dirty(view, page, end);
	if (page < attached)
		page = next_touched(view, page, attached, walk);
	return page < attached ? page : view_next_present(view, page, end);
}

uint64_t view_end(const struct view *view)
{
	return max_u64(view->node_count * NODE_PAGES, view_attached_pages(view));
}

uint64_t view_volatile_lines(const struct view *view)
{
	const uint64_t end = view_end(view);
	struct volatile_walk walk = { 0 };
	uint64_t lines = 0;

	for (uint64_t page = 0; (page = view_next_volatile(view, page, end, &walk)) < end; page++)
		lines += (uint64_t)__builtin_popcountll(view_volatile_mask(view, page));
	return lines;
}

bool view_has_volatile_lines(const struct view *view)
{
	const uint64_t end = view_end(view);
	struct volatile_walk walk = { 0 };

	for (uint64_t page = 0; (page = view_next_volatile(view, page, end, &walk)) < end; page++)
		if (view_volatile_mask(view, page))
			return true;
	return false;
}

/* Write dirty pages [page, page+at.pages) of a view that is not attached: in runs, and without a copy. */
static int persist_run(struct view *view, uint64_t page, const struct placement *at)
{
	uint64_t done = 0;
	int result = 0;

	while (done < at->pages) {
		uint64_t run = 0;
		int error;

		while (done + run < at->pages &&
		       (at->fresh || chunk_dirty(view, page + done + run) == ALL_LINES))
			run++;
		if (run) {
			error = media_write(view->domain->region, at->media_offset + done * PAGE_BYTES,
					    view->memory + (page + done) * PAGE_BYTES, run * PAGE_BYTES);
			done += run;
		} else {
			error = view_write_masked(view, at->media_offset + done * PAGE_BYTES,
						  view->memory + (page + done) * PAGE_BYTES,
						  chunk_dirty(view, page + done));
			done++;
		}
		result = result ? result : error;
	}
	return result;
}

/* A page with a media error does not keep the others from being persisted. */
static int persist_dirty(struct view *view, uint64_t page, uint64_t end, uint64_t *reached)
{
	int result = 0;

	while ((page = view_next_dirty(view, page, end)) < end) {
		uint64_t stop = page + 1;
		struct placement at;
		int error;

		while (stop < end && chunk_dirty(view, stop))
			stop++;
		error = view_place(view, page, stop - page, &at);
		if (error) {
			*reached = page;
			return error;
		}
		error = persist_run(view, page, &at);
		result = result ? result : error;
		page += at.pages;
	}
	*reached = end;
	return result;
}

/*
 * Write lines of a view that clients store to. Records of these lines that wait in a
 * WPQ are older than what is written now, and must not overwrite it later.
 */
static int write_around_wpqs(struct view *view, uint64_t page, uint64_t mask)
{
	LOCK_SCOPE(&view->domain->lock);
	order_note_direct(view, page, mask);
	return view_write_lines(view, page, mask, NULL);
}

static int persist_attached(struct view *view, uint64_t page, uint64_t end, uint64_t *reached)
{
	struct volatile_walk walk = { 0 };
	int result = 0;

	for (; (page = view_next_volatile(view, page, end, &walk)) < end; page++) {
		const uint64_t mask = view_volatile_mask(view, page);
		int error = write_around_wpqs(view, page, mask);

		/* Those that view_store() has stored to are dirty. */
		if (mask & ~chunk_dirty(view, page))
			view->stored = true;
		if (error && error != -EIO) {
			*reached = page;
			return error;
		}
		result = result ? result : error;
	}
	*reached = end;
	return result;
}

/* A page with a media error stays dirty, so that the next sync fails too. */
static bool is_written(const struct view *view, uint64_t page)
{
	struct placement at = view->ops->find(view->owner, page, 1);

	return !at.placed || media_probe(view->domain->region, at.media_offset, PAGE_BYTES) == 0;
}

int view_persist(struct view *view, uint64_t page, uint64_t pages)
{
	uint64_t end = page + pages, reached;
	int error;

	if (!view->present_pages && !view->attached)
		return 0;
	error = view->attached ? persist_attached(view, page, end, &reached) :
				 persist_dirty(view, page, end, &reached);
	media_fence(view->domain->region);
	for (uint64_t clean = page; (clean = view_next_dirty(view, clean, reached)) < reached; clean++)
		if (error != -EIO || is_written(view, clean))
			chunk_clear_dirty(view, clean, ALL_LINES);
	return error;
}

int view_evict(struct view *view, uint64_t offset)
{
	uint64_t page = offset / PAGE_BYTES;
	uint64_t mask = (uint64_t)1 << (offset % PAGE_BYTES / LINE_SIZE);
	int error;

	if (!view_in_memory(view, page))
		return 0;
	error = write_around_wpqs(view, page, mask & settle_lines_inside(page, view_size(view)));
	if (error)
		return error;
	media_fence(view->domain->region);
	chunk_clear_dirty(view, page, mask);
	return 0;
}
