/* SPDX-License-Identifier: BSD-3-Clause */

/* From the view to the media: persisting, eviction, and power failure. */

#include "domain/private.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "domain/chunk.h"
#include "abi/line.h"
#include "domain/order.h"

/* In as few writes as may be. */
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

/* The page's media, given to it now if it has none. */
static int page_placement(struct view *view, uint64_t page, uint64_t want, struct placement *at)
{
	*at = view->ops->find(view->owner, page, want);
	at->fresh = false;
	return at->placed ? 0 : view->ops->place(view->owner, page, want, at);
}

/* The masked lines of a page to its media; if that is fresh all of it is written, zero where not masked. */
static int write_page(struct view *view, uint64_t media_offset, bool fresh, uint64_t mask,
		      const unsigned char *content)
{
	_Alignas(LINE_SIZE) unsigned char copy[PAGE_BYTES];

	/* Content that nobody else can be storing to goes out as it is. */
	if (!view->attached && (mask == ALL_LINES || !fresh))
		return view_write_masked(view, media_offset, content, mask);
	memset(copy, 0, sizeof(copy));
	for (uint64_t rest = mask; rest; rest &= rest - 1) {
		size_t line = (size_t)__builtin_ctzll(rest) * LINE_SIZE;

		line_snapshot(copy + line, content + line);
	}
	return view_write_masked(view, media_offset, copy, fresh ? ALL_LINES : mask);
}

int view_write_lines(struct view *view, uint64_t page, uint64_t mask, const unsigned char *content)
{
	struct placement at;
	int error;

	if (!mask)
		return 0;
	error = page_placement(view, page, 1, &at);
	if (error)
		return error;
	return write_page(view, at.media_offset, at.fresh, mask,
			  content ? content : view->memory + page * PAGE_BYTES);
}

uint64_t view_nonzero_lines(const unsigned char *page)
{
	static const unsigned char zeros[PAGE_BYTES];
	uint64_t mask = 0;

	if (memcmp(page, zeros, PAGE_BYTES) == 0)
		return 0;
	for (unsigned line = 0; line < LINES_PER_PAGE; line++)
		if (memcmp(page + line * LINE_SIZE, zeros, LINE_SIZE) != 0)
			mask |= (uint64_t)1 << line;
	return mask;
}

/* The lines of a present page that differ from the media: all of them if the page's media cannot be read. */
static uint64_t differing_lines(const struct view *view, uint64_t page)
{
	const unsigned char *now = view->memory + page * PAGE_BYTES;
	struct placement at = view->ops->find(view->owner, page, 1);
	uint64_t mask;

	if (!at.placed)
		return view_nonzero_lines(now);
	return media_compare_lines(view->domain->region, at.media_offset, now, &mask) < 0 ? ALL_LINES : mask;
}

/* The lines of a present page that are not durable: known from our own stores, or seen by comparing. */
static uint64_t volatile_lines(const struct view *view, uint64_t page)
{
	return view->attached ? differing_lines(view, page) : chunk_dirty(view, page);
}

static uint64_t next_volatile(const struct view *view, uint64_t page, uint64_t end)
{
	return view->attached ? view_next_present(view, page, end) : view_next_dirty(view, page, end);
}

uint64_t view_volatile_lines(const struct view *view)
{
	const uint64_t end = view->node_count * NODE_PAGES;
	uint64_t lines = 0;

	for (uint64_t page = 0; (page = next_volatile(view, page, end)) < end; page++)
		lines += (uint64_t)__builtin_popcountll(volatile_lines(view, page));
	return lines;
}

/* Nobody else stores to this view: its dirty pages [page, page+at.pages) go out in runs, without a copy. */
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
		error = page_placement(view, page, stop - page, &at);
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
 * Write lines of a view that others store to. Records of them that wait in some
 * WPQ are older than what goes out now, and must not come after it unseen.
 */
static int write_around_wpqs(struct view *view, uint64_t page, uint64_t mask)
{
	LOCK_SCOPE(&view->domain->lock);
	order_note_direct(view, page, mask);
	return view_write_lines(view, page, mask, NULL);
}

static int persist_attached(struct view *view, uint64_t page, uint64_t end, uint64_t *reached)
{
	int result = 0;

	for (; (page = view_next_present(view, page, end)) < end; page++) {
		int error = write_around_wpqs(view, page, differing_lines(view, page));

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

	if (!view->present_pages)
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

	if (!view_page_present(view, page))
		return 0;
	error = write_around_wpqs(view, page, mask);
	if (error)
		return error;
	media_fence(view->domain->region);
	chunk_clear_dirty(view, page, mask);
	return 0;
}

/* ---- Power failure ---------------------------------------------------------- */

static uint64_t lines_from(unsigned line)
{
	return line >= LINES_PER_PAGE ? 0 : ALL_LINES << line;
}

/* The lines of a page that lie below the pool's size. */
static uint64_t lines_inside(uint64_t page, uint64_t size)
{
	uint64_t start = page * PAGE_BYTES;

	if (size <= start)
		return 0;
	if (size >= start + PAGE_BYTES)
		return ALL_LINES;
	return ~lines_from((unsigned)((size - start + LINE_SIZE - 1) / LINE_SIZE));
}

/* One choice for each unit that tears apart from the others. */
static uint64_t lines_chosen(const struct power_failure *failure, uint64_t page, uint64_t mask,
			      bool from_mapping)
{
	uint32_t unit = from_mapping ? LINE_SIZE : failure->sector;
	uint64_t kept = 0;

	for (uint64_t start = 0; start < PAGE_BYTES; start += unit) {
		uint64_t lines = lines_from((unsigned)(start / LINE_SIZE)) &
				 ~lines_from((unsigned)((start + unit) / LINE_SIZE));

		if (chooser_keeps(&failure->chooser, page * PAGE_BYTES + start))
			kept |= lines;
	}
	return mask & kept;
}

static uint64_t lines_kept(const struct view *view, const struct power_failure *failure, uint64_t page,
			   uint64_t mask)
{
	mask &= lines_inside(page, failure->size);
	/* The same at every place: no need to ask for each. */
	if (failure->chooser.policy != CHOOSER_RANDOM)
		return chooser_keeps(&failure->chooser, CHOOSER_WHOLE) ? mask : 0;
	return lines_chosen(failure, page, mask, view->attached || chunk_from_mapping(view, page));
}

/* How many pages from `page` on are volatile, up to what is worth placing together. */
static uint64_t volatile_run(const struct view *view, uint64_t page)
{
	const uint64_t most = 4096;
	uint64_t run = 1;

	while (run < most && next_volatile(view, page + run, page + run + 1) == page + run)
		run++;
	return run;
}

/*
 * Write the kept lines of volatile page `page`; `at` is the placement of a run of
 * such pages that begins at `from`, and is found anew where it ends. Pages of a
 * run that is fresh are written even if nothing of them is kept.
 */
static int keep_lines(struct view *view, uint64_t page, uint64_t keep, struct placement *at, uint64_t *from)
{
	if (page < *from || page - *from >= at->pages) {
		int error;

		if (!keep)
			return 0;
		error = page_placement(view, page, volatile_run(view, page), at);
		if (error) {
			at->pages = 0;
			return error;
		}
		*from = page;
	}
	if (!keep && !at->fresh)
		return 0;
	return write_page(view, at->media_offset + (page - *from) * PAGE_BYTES, at->fresh, keep,
			  view->memory + page * PAGE_BYTES);
}

/* The lost lines of a present page are again what the media has. */
static int restore_lines(struct view *view, uint64_t page, uint64_t lost)
{
	struct placement at = view->ops->find(view->owner, page, 1);

	for (; lost; lost &= lost - 1) {
		size_t line = (size_t)__builtin_ctzll(lost) * LINE_SIZE;
		unsigned char *to = view->memory + page * PAGE_BYTES + line;
		int error = 0;

		if (at.placed)
			error = media_read(view->domain->region, at.media_offset + line, to, LINE_SIZE);
		else
			memset(to, 0, LINE_SIZE);
		if (error)
			return error;
	}
	return 0;
}

int view_power_failure(struct view *view, const struct power_failure *failure, struct domain_lines *lines)
{
	const uint64_t end = view->node_count * NODE_PAGES;
	const bool keep_memory = failure->keep_memory && view->attached && !view->exact;
	uint64_t undetermined = 0, kept = 0, from = 0;
	struct placement at = { 0 };
	int error = 0;

	for (uint64_t page = 0; (page = next_volatile(view, page, end)) < end; page++) {
		uint64_t mask = volatile_lines(view, page);
		uint64_t keep = lines_kept(view, failure, page, mask);
		int failed = keep_lines(view, page, keep, &at, &from);

		undetermined += (uint64_t)__builtin_popcountll(mask);
		if (failed)
			error = failed;
		else
			kept += (uint64_t)__builtin_popcountll(keep);
		/* What is durable by now is guaranteed no more than by this choice: not counted as such. */
		chunk_forget_written(view, page, mask);
		failed = keep_memory ? restore_lines(view, page, mask & ~keep) : 0;
		error = error ? error : failed;
	}
	media_fence(view->domain->region);
	lines->guaranteed = view->written_lines;
	lines->undetermined = undetermined;
	lines->kept = kept;
	lines->lost = undetermined - kept;
	if (keep_memory && !error)
		view_mark_clean(view);
	else
		view_drop(view);
	view->written_lines = 0;
	return error;
}
