/* SPDX-License-Identifier: BSD-3-Clause */

/* The part of a view in an outage: what of its volatile lines the model keeps is written to the media. */

#include <string.h>

#include "domain/chunk.h"
#include "domain/domain_state.h"
#include "domain/persist.h"
#include "model/settle.h"

/*
 * Those of the page's volatile lines that survive. CPUs that store to the view itself write
 * lines. A page that the kernel writes back is written in sectors, as by a page cache over a BTT.
 */
static uint64_t lines_kept(const struct view *view, const struct power_failure *failure, uint64_t page,
			   uint64_t mask)
{
	return settle_lines(&failure->chooser, page, mask, view->attached ? LINE_SIZE : failure->sector,
			    failure->size);
}

/* The number of volatile pages in a row from `page` on, up to a limit: they are placed together. */
static uint64_t volatile_run(const struct view *view, uint64_t page)
{
	const uint64_t most = 4096; /* 16 MiB */
	struct volatile_walk walk = { 0 };
	uint64_t run = 1;

	while (run < most && view_next_volatile(view, page + run, page + run + 1, &walk) == page + run)
		run++;
	return run;
}

/*
 * Write the kept lines of volatile page `page`. `at` is the placement of a run of
 * such pages that begins at `from`; past its end the next run is placed. Pages of a
 * fresh run are written even if none of their lines is kept.
 */
static int keep_lines(struct view *view, uint64_t page, uint64_t keep, struct placement *at, uint64_t *from)
{
	if (page < *from || page - *from >= at->pages) {
		int error;

		if (!keep)
			return 0;
		error = view_place(view, page, volatile_run(view, page), at);
		if (error) {
			at->pages = 0;
			return error;
		}
		*from = page;
	}
	if (!keep && !at->fresh)
		return 0;
	return view_write_page(view, page, at->media_offset + (page - *from) * PAGE_BYTES, at->fresh, keep,
			       view->memory + page * PAGE_BYTES);
}

/* Give the lost lines of a present page the media's content. */
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
	const uint64_t end = view_end(view);
	const bool keep_memory = failure->keep_memory && view->attached && !view->exact;
	uint64_t undetermined = 0, kept = 0, from = 0;
	struct volatile_walk walk = { 0 };
	struct placement at = { 0 };
	int error = 0;

	for (uint64_t page = 0; (page = view_next_volatile(view, page, end, &walk)) < end; page++) {
		uint64_t mask = view_volatile_mask(view, page);
		uint64_t keep = lines_kept(view, failure, page, mask);
		int failed = keep_lines(view, page, keep, &at, &from);

		undetermined += (uint64_t)__builtin_popcountll(mask);
		if (failed)
			error = failed;
		else
			kept += (uint64_t)__builtin_popcountll(keep);
		failed = keep_memory ? restore_lines(view, page, mask & ~keep) : 0;
		error = error ? error : failed;
	}
	media_fence(view->domain->region);
	lines->guaranteed = view->durable_lines;
	lines->undetermined = undetermined;
	lines->kept = kept;
	lines->lost = undetermined - kept;
	/* What was stored past the size is no page of the view, and must not become one when that grows. */
	if (keep_memory && failure->size < view->fd_size)
		view_discard(view, failure->size / PAGE_BYTES, (view->fd_size - failure->size) / PAGE_BYTES);
	if (keep_memory && !error)
		view_mark_clean(view);
	else
		view_drop(view);
	view->durable_lines = 0;
	return error;
}
