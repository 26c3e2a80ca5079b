/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Programs flush some lines over and over (the head of a log, a counter) and
 * others one after the other. So a few pages are kept open while a lane is being
 * drained. They gather lines: a line that is flushed again is written once, and
 * placement and order are looked up once for all lines of a page.
 *
 * The media then gets records in another order than they were published in. If the
 * daemon is killed during a drain and its media survives, it may have a state that no
 * power failure could have left. So lines are gathered only if the media ends with the
 * daemon. Otherwise each record is written before the next one is read.
 */

#include "domain/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "domain/chunk.h"
#include "domain/domain_state.h"
#include "domain/persist.h"
#include "model/settle.h"

#define OPEN_PAGES 64u

/* Records of this many lines of a page, or more, are written without being gathered. */
#define MANY_LINES 8u

struct open_page {
	struct view *view;
	uint64_t page, mask;
	uint64_t batch; /* that of the records of all its lines */
	uint32_t at[LINES_PER_PAGE]; /* where the masked lines are, in lines from the ring's beginning */
};

struct gather {
	struct domain *domain;
	uint64_t writer;
	const unsigned char *ring;
	struct domain_counts *counts;
	uint64_t used; /* a bit for each open page */
	bool one_by_one;
	struct open_page pages[OPEN_PAGES];
};
_Static_assert(OPEN_PAGES <= 64, "`used` has a bit for each");

struct gather *gather_create(void)
{
	return calloc(1, sizeof(struct gather));
}

void gather_begin(struct gather *gather, struct domain *domain, uint64_t writer, const unsigned char *ring,
		  struct domain_counts *counts)
{
	gather->domain = domain;
	gather->writer = writer;
	gather->ring = ring;
	gather->counts = counts;
	gather->used = 0;
	gather->one_by_one = region_outlives_process(domain->region) || domain->count_clean;
}

/* Count the lines that are about to be written and are on the media already. */
static void count_clean(const struct gather *gather, struct view *view, uint64_t media_offset,
			const unsigned char *bytes, uint64_t length)
{
	uint64_t clean = 0;

	for (uint64_t at = 0; at < length; at += LINE_SIZE)
		clean += media_compare(gather->domain->region, media_offset + at, bytes + at, LINE_SIZE) == 0;
	view->counts.clean_lines += clean;
	gather->counts->clean_lines += clean;
}

/* Lines that are contiguous both in the ring and on the media: they are written together. */
struct media_run {
	struct gather *gather;
	struct view *view;
	uint64_t media_offset;
	const unsigned char *bytes;
	uint64_t length;
};

/*
 * Lines that a bad page does not take are lost, and the drain goes on with the others: a view with a
 * bad page must not hold up the WPQ's other views. view_persist() meets the same page, and says so.
 */
static void run_write(struct media_run *run)
{
	if (!run->length)
		return;
	if (run->gather->domain->count_clean)
		count_clean(run->gather, run->view, run->media_offset, run->bytes, run->length);
	(void)!media_write(run->gather->domain->region, run->media_offset, run->bytes, run->length);
	run->length = 0;
}

static void run_add(struct media_run *run, uint64_t media_offset, const unsigned char *bytes, uint64_t length)
{
	if (run->length && run->bytes + run->length == bytes &&
	    run->media_offset + run->length == media_offset) {
		run->length += length;
		return;
	}
	run_write(run);
	run->media_offset = media_offset;
	run->bytes = bytes;
	run->length = length;
}

/* Write lines of one page; those in `from_view` with the view's content, the others with `content`. */
static int write_lines(const struct gather *gather, struct view *view, uint64_t page,
		       const struct placement *at, uint64_t mask, uint64_t from_view, unsigned char *content)
{
	int error = 0;

	for (uint64_t rest = from_view; rest; rest &= rest - 1) {
		size_t line = (size_t)__builtin_ctzll(rest) * LINE_SIZE;

		line_snapshot(content + line, view->memory + page * PAGE_BYTES + line);
	}
	view_clip_page(view, page, content);
	/* A page without media reads as zeros already, as after it was cut off and came back. */
	if (!at->placed && view_lines_are_zero(content, mask)) {
		chunk_note_durable(view, page, mask);
		return 0;
	}
	if (at->placed) {
		for (uint64_t rest = mask; rest && gather->domain->count_clean; rest &= rest - 1) {
			size_t line = (size_t)__builtin_ctzll(rest) * LINE_SIZE;

			count_clean(gather, view, at->media_offset + line, content + line, LINE_SIZE);
		}
		error = view_write_masked(view, at->media_offset, content, mask);
	} else {
		error = view_write_lines(view, page, mask, content);
	}
	chunk_note_durable(view, page, mask);
	/* As in run_write(). */
	return error == -EIO ? 0 : error;
}

static uint64_t slot_bit(const struct gather *gather, const struct open_page *open)
{
	return (uint64_t)1 << (open - gather->pages);
}

static const unsigned char *ring_line(const struct gather *gather, uint32_t line)
{
	return gather->ring + (uint64_t)line * LINE_SIZE;
}

/* Lines that have to be put together in one buffer first. */
static __attribute__((noinline)) int write_copied(const struct gather *gather, const struct open_page *open,
						  uint64_t mask, const struct placement *at,
						  uint64_t from_view)
{
	_Alignas(LINE_SIZE) unsigned char content[PAGE_BYTES];

	for (uint64_t rest = mask & ~from_view; rest; rest &= rest - 1) {
		unsigned line = (unsigned)__builtin_ctzll(rest);

		memcpy(content + line * LINE_SIZE, ring_line(gather, open->at[line]), LINE_SIZE);
	}
	return write_lines(gather, open->view, open->page, at, mask, from_view, content);
}

static int write_page(struct gather *gather, const struct open_page *open)
{
	const struct settle_copy copy = { .writer = gather->writer, .batch = open->batch };
	struct media_run run = { .gather = gather, .view = open->view };
	struct placement at;
	uint64_t from_view, mask;

	gather->used &= ~slot_bit(gather, open);
	mask = open->mask & settle_lines_inside(open->page, view_size(open->view));
	if (!mask)
		return 0;
	from_view = order_unknown(open->view, open->page, mask, &copy);
	at = open->view->ops->find(open->view->owner, open->page, 1);
	if (from_view || !at.placed || view_ends_in_page(open->view, open->page))
		return write_copied(gather, open, mask, &at, from_view);
	for (uint64_t rest = mask; rest; rest &= rest - 1) {
		unsigned line = (unsigned)__builtin_ctzll(rest);

		run_add(&run, at.media_offset + line * LINE_SIZE, ring_line(gather, open->at[line]),
			LINE_SIZE);
	}
	run_write(&run);
	chunk_note_durable(open->view, open->page, mask);
	return 0;
}

int gather_write(struct gather *gather)
{
	int error = 0;

	while (!error && gather->used)
		error = write_page(gather, &gather->pages[__builtin_ctzll(gather->used)]);
	return error;
}

static struct open_page *slot(struct gather *gather, const struct view *view, uint64_t page)
{
	/* Neighbouring pages have different slots, and views begin at different ones. */
	return &gather->pages[(page + view->id * 7) % OPEN_PAGES];
}

static bool is_open(const struct gather *gather, const struct open_page *open, const struct view *view,
		    uint64_t page)
{
	return gather->used & slot_bit(gather, open) && open->page == page && open->view == view;
}

static int add_few(struct gather *gather, struct view *view, uint64_t page, uint64_t mask, uint64_t batch,
		   const unsigned char *payload)
{
	struct open_page *open = slot(gather, view, page);
	uint32_t at = (uint32_t)((uint64_t)(payload - gather->ring) / LINE_SIZE);

	if (!is_open(gather, open, view, page) || open->batch != batch) {
		int error = gather->used & slot_bit(gather, open) ? write_page(gather, open) : 0;

		if (error)
			return error;
		open->view = view;
		open->page = page;
		open->batch = batch;
		open->mask = 0;
		gather->used |= slot_bit(gather, open);
		/* The page is written later, when its slot is needed or the drain ends. */
		__builtin_prefetch(payload);
		order_prefetch(view, page * LINES_PER_PAGE + (uint64_t)__builtin_ctzll(mask));
		chunk_prefetch(view, page);
	}
	open->mask |= mask;
	for (uint64_t rest = mask; rest; rest &= rest - 1)
		open->at[__builtin_ctzll(rest)] = at++;
	return 0;
}

/* The placement of a view's pages that was looked up last. */
struct known_place {
	struct placement at;
	uint64_t page;
};

static int add_many(struct media_run *run, struct known_place *known, uint64_t page, uint64_t mask,
		    const struct settle_copy *copy, const unsigned char *payload, uint64_t last_page)
{
	struct gather *gather = run->gather;
	struct open_page *open = slot(gather, run->view, page);
	const size_t first = (size_t)__builtin_ctzll(mask) * LINE_SIZE;
	_Alignas(LINE_SIZE) unsigned char content[PAGE_BYTES];
	struct placement at;
	uint64_t from_view, length;

	if (is_open(gather, open, run->view, page))
		open->mask &= ~mask;
	mask &= settle_lines_inside(page, view_size(run->view));
	if (!mask)
		return 0;
	length = (uint64_t)__builtin_popcountll(mask) * LINE_SIZE;
	from_view = order_unknown(run->view, page, mask, copy);
	if (page - known->page >= known->at.pages) {
		known->at = run->view->ops->find(run->view->owner, page, last_page - page + 1);
		known->page = page;
	}
	at = known->at;
	at.media_offset += (page - known->page) * PAGE_BYTES;
	if (at.placed && !from_view && !view_ends_in_page(run->view, page)) {
		run_add(run, at.media_offset + first, payload, length);
		chunk_note_durable(run->view, page, mask);
		return 0;
	}
	/* The page may be placed now, together with many pages after it. */
	known->at.pages = 0;
	memcpy(content + first, payload, length);
	return write_lines(gather, run->view, page, &at, mask, from_view, content);
}

static uint64_t lines_mask(uint64_t first, uint64_t count)
{
	return (ALL_LINES >> (LINES_PER_PAGE - count)) << first;
}

/* A record of many lines, or of more than one page. */
static int add_pages(struct gather *gather, struct view *view, const struct wpq_record *record,
		     const unsigned char *payload)
{
	const struct settle_copy copy = { .writer = gather->writer, .batch = record->batch };
	uint64_t line = record->offset / LINE_SIZE, end = line + record->lines;
	struct media_run run = { .gather = gather, .view = view };
	struct known_place known = { 0 };
	int error = 0;

	while (!error && line < end) {
		uint64_t page = line / LINES_PER_PAGE, first = line % LINES_PER_PAGE;
		uint64_t count = min_u64(LINES_PER_PAGE - first, end - line);
		uint64_t mask = lines_mask(first, count);

		if (count < MANY_LINES)
			error = add_few(gather, view, page, mask, record->batch, payload);
		else
			error = add_many(&run, &known, page, mask, &copy, payload,
					 (end - 1) / LINES_PER_PAGE);
		payload += count * LINE_SIZE;
		line += count;
	}
	run_write(&run);
	return error;
}

int gather_lines(struct gather *gather, struct view *view, const struct wpq_record *record,
		 const unsigned char *payload)
{
	const uint64_t line = record->offset / LINE_SIZE, first = line % LINES_PER_PAGE;
	int error;

	view->stored = true;
	if (record->lines < MANY_LINES && first + record->lines <= LINES_PER_PAGE)
		error = add_few(gather, view, line / LINES_PER_PAGE, lines_mask(first, record->lines),
				record->batch, payload);
	else
		error = add_pages(gather, view, record, payload);
	return !error && gather->one_by_one ? gather_write(gather) : error;
}
