/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The order of two records of one line in different lanes is not known from the
 * rings: thread A may have flushed first and fenced last, and writing its older
 * snapshot over B's newer one would lose what B was guaranteed. So the daemon
 * counts when a drain begins and when it ends, tells the producers, and remembers
 * for each line the last batch that wrote it and from which lane. A record that read batch
 * number b before its snapshot, when the line was last written by another lane
 * in batch d < b, is newer: the batch d was over before the snapshot was taken.
 * With d >= b the order is unknown; then the line's content in the view now is
 * written instead, which is at least as new as every snapshot, and legal at any
 * time, for a cache may write a line back whenever it likes.
 */

#include "domain/order.h"

#include <sys/mman.h>

#include "common/rng.h"

/*
 * A full ring has 32768 records of a line, anywhere in the view: then one line in sixteen shares an
 * entry with one of another full ring, and is taken from the view for nothing. Of 65536 entries it
 * was two in five.
 */
#define RECENT_LINES (1u << 19)
#define RECENT_PAGES (1u << 14)

#define FROM_VIEW UINT64_MAX	 /* a writer: the view's own content, newer than anything that waits */
#define SEVERAL (UINT64_MAX - 1) /* more than one */

/*
 * Who last wrote a line alone, or among others that are not all of its page. Lines
 * that hash to one entry share it, as if they were one line: the order that is
 * kept is then of all of them.
 */
struct drained_line {
	uint64_t batch;
	uint64_t writer; /* wpq id * WPQ_LANES + lane, or one of the above */
};

/* The same for pages, so that one that is flushed as a whole is looked up once and not line by line. */
struct drained_page {
	uint64_t batch, writer;		    /* of the last write to all of it */
	uint64_t lines_batch, lines_writer; /* of the last write to some of its lines */
};

struct recent {
	struct drained_line lines[RECENT_LINES];
	struct drained_page pages[RECENT_PAGES];
};

struct recent *order_create(void)
{
	/* Most of it is never touched, and costs nothing. */
	void *recent = mmap(NULL, sizeof(struct recent), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return recent == MAP_FAILED ? NULL : recent;
}

void order_destroy(struct recent *recent)
{
	if (recent)
		munmap(recent, sizeof(*recent));
}

/* Pages of the largest pool take 32 bits. */
static uint64_t page_key(const struct view *view, uint64_t page)
{
	return ((uint64_t)view->id << 32) ^ page;
}

/* Those of the page, which stand together: drained together, each alone would miss the cache. */
static struct drained_line *recent_lines(const struct view *view, uint64_t page)
{
	return &view->domain->recent->lines[rng_mix(page_key(view, page)) * LINES_PER_PAGE % RECENT_LINES];
}

static struct drained_page *recent_page(const struct view *view, uint64_t page)
{
	uint64_t key = page_key(view, page);
	/* Neighbours stand together here too. */
	uint64_t first = rng_mix(key / CHUNK_PAGES) * CHUNK_PAGES;

	return &view->domain->recent->pages[(first + key % CHUNK_PAGES) % RECENT_PAGES];
}

void order_prefetch(const struct view *view, uint64_t line)
{
	const uint64_t page = line / LINES_PER_PAGE;

	__builtin_prefetch(recent_lines(view, page) + line % LINES_PER_PAGE, 1);
	__builtin_prefetch(recent_page(view, page), 1);
}

/* May what `writer` wrote in `batch` be newer than the snapshot? */
static bool maybe_newer(uint64_t batch, uint64_t writer, const struct snapshot *snapshot)
{
	return batch >= snapshot->batch && writer != snapshot->writer;
}

/* What is known of one page. */
struct history {
	uint64_t now; /* the batch */
	struct drained_page *page;
	struct drained_line *lines;
};

static struct history look_up(const struct view *view, uint64_t page)
{
	return (struct history){ view->domain->batch, recent_page(view, page), recent_lines(view, page) };
}

/* Note that `writer` writes some lines of the page now. */
static void note_lines(const struct history *history, uint64_t mask, uint64_t writer)
{
	struct drained_page *recent = history->page;

	if (recent->lines_batch && recent->lines_writer != writer)
		recent->lines_writer = SEVERAL;
	else
		recent->lines_writer = writer;
	recent->lines_batch = history->now;
	for (; mask; mask &= mask - 1)
		history->lines[__builtin_ctzll(mask)] =
			(struct drained_line){ .batch = history->now, .writer = writer };
}

static void note_page(const struct history *history, uint64_t writer)
{
	history->page->batch = history->now;
	history->page->writer = writer;
}

void order_note_direct(struct view *view, uint64_t page, uint64_t mask)
{
	struct history history;

	if (!view->domain->recent || !mask)
		return;
	history = look_up(view, page);
	if (mask == ALL_LINES)
		note_page(&history, FROM_VIEW);
	else
		note_lines(&history, mask, FROM_VIEW);
}

/* Those of the lines that somebody wrote alone, maybe after they were snapshot. */
static uint64_t lines_maybe_newer(const struct history *history, uint64_t mask,
				  const struct snapshot *snapshot)
{
	uint64_t found = 0;

	for (uint64_t rest = mask; rest; rest &= rest - 1) {
		const struct drained_line *recent = &history->lines[__builtin_ctzll(rest)];

		if (maybe_newer(recent->batch, recent->writer, snapshot))
			found |= rest & -rest;
	}
	return found;
}

uint64_t order_unknown(struct view *view, uint64_t page, uint64_t mask, const struct snapshot *snapshot)
{
	const struct history history = look_up(view, page);
	const struct drained_page *recent = history.page;
	uint64_t unknown = 0;

	if (maybe_newer(recent->batch, recent->writer, snapshot))
		unknown = mask;
	else if (mask != ALL_LINES || maybe_newer(recent->lines_batch, recent->lines_writer, snapshot))
		unknown = lines_maybe_newer(&history, mask, snapshot);
	if (mask == ALL_LINES) {
		note_page(&history, unknown == mask ? FROM_VIEW : snapshot->writer);
		if (unknown && unknown != mask)
			note_lines(&history, unknown, FROM_VIEW);
		return unknown;
	}
	if (unknown)
		note_lines(&history, unknown, FROM_VIEW);
	if (mask & ~unknown)
		note_lines(&history, mask & ~unknown, snapshot->writer);
	return unknown;
}
