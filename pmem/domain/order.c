/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The rings do not tell the order of two records of one line in different lanes:
 * thread A may have flushed first and fenced last, and writing its older copy over
 * B's newer one would lose what B was guaranteed. So the domain numbers the
 * beginnings and ends of its drains (batches), tells the producers the number, and
 * remembers for each line which lane wrote it last, in which batch. The rule
 * itself is in model/settle.h.
 *
 * Lines share an entry of the memory if they hash to it. The entry then remembers
 * the newest write of any of them, and the newest one by any other writer.
 */

#include "domain/order.h"

#include <sys/mman.h>

#include "common/rng.h"
#include "domain/chunk.h"

/*
 * A full ring has 32768 records of one line each, anywhere in the view. With this many entries, one line in
 * sixteen shares its entry with a line of another full ring, and is taken from the view without need. With
 * 65536 entries it was two lines in five.
 */
#define RECENT_LINES (1u << 19)
#define RECENT_PAGES (1u << 14)

/* A writer: the view's own content, which is newer than all copies that wait. */
#define FROM_VIEW UINT64_MAX

/* A page that is flushed as a whole is looked up once, not line by line. */
struct page_writes {
	struct settle_writes whole; /* writes of all of its lines at once */
	struct settle_writes parts; /* writes of some of its lines; each line has an entry of its own, too */
};

struct recent {
	struct settle_writes lines[RECENT_LINES];
	struct page_writes pages[RECENT_PAGES];
};

struct recent *order_create(void)
{
	/* Most of it is never touched, and then takes no memory. */
	void *recent = mmap(NULL, sizeof(struct recent), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return recent == MAP_FAILED ? NULL : recent;
}

void order_destroy(struct recent *recent)
{
	if (recent)
		munmap(recent, sizeof(*recent));
}

/* The page numbers of the largest pool take 32 bits. */
static uint64_t page_key(const struct view *view, uint64_t page)
{
	return ((uint64_t)view->id << 32) ^ page;
}

/* The entries of the page's lines. They are adjacent: lines of a page are often drained together. */
static struct settle_writes *line_entries(const struct view *view, uint64_t page)
{
	return &view->domain->recent->lines[rng_mix(page_key(view, page)) * LINES_PER_PAGE % RECENT_LINES];
}

/* The entries of neighbouring pages are adjacent, too. */
static struct page_writes *page_entry(const struct view *view, uint64_t page)
{
	uint64_t key = page_key(view, page);
	uint64_t first = rng_mix(key / CHUNK_PAGES) * CHUNK_PAGES;

	return &view->domain->recent->pages[(first + key % CHUNK_PAGES) % RECENT_PAGES];
}

void order_prefetch(const struct view *view, uint64_t line)
{
	const uint64_t page = line / LINES_PER_PAGE;

	__builtin_prefetch(line_entries(view, page) + line % LINES_PER_PAGE, 1);
	__builtin_prefetch(page_entry(view, page), 1);
}

/* What is remembered of one page. */
struct history {
	uint64_t now; /* the batch */
	struct page_writes *page;
	struct settle_writes *lines;
};

static struct history look_up(const struct view *view, uint64_t page)
{
	return (struct history){ view->domain->batch, page_entry(view, page), line_entries(view, page) };
}

static void note_lines(const struct history *history, uint64_t mask, uint64_t writer)
{
	settle_note_write(&history->page->parts, writer, history->now);
	for (; mask; mask &= mask - 1)
		settle_note_write(&history->lines[__builtin_ctzll(mask)], writer, history->now);
}

static void note_page(const struct history *history, uint64_t writer)
{
	settle_note_write(&history->page->whole, writer, history->now);
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

/* Those of the lines whose own entry says that the media may have newer content. */
static uint64_t lines_maybe_newer(const struct history *history, uint64_t mask,
				  const struct settle_copy *copy)
{
	uint64_t found = 0;

	for (uint64_t rest = mask; rest; rest &= rest - 1)
		if (settle_any_maybe_newer(&history->lines[__builtin_ctzll(rest)], copy))
			found |= rest & -rest;
	return found;
}

uint64_t order_unknown(struct view *view, uint64_t page, uint64_t mask, const struct settle_copy *copy)
{
	const struct history history = look_up(view, page);
	uint64_t unknown = 0;

	/* Bytes of the view became zero since the copy was taken, or before: see view_discard(). */
	if (copy->batch <= view->superseded) {
		order_note_direct(view, page, mask);
		return mask;
	}
	if (settle_any_maybe_newer(&history.page->whole, copy))
		unknown = mask;
	else if (mask != ALL_LINES || settle_any_maybe_newer(&history.page->parts, copy))
		unknown = lines_maybe_newer(&history, mask, copy);
	if (mask == ALL_LINES) {
		note_page(&history, unknown == mask ? FROM_VIEW : copy->writer);
		if (unknown && unknown != mask)
			note_lines(&history, unknown, FROM_VIEW);
		return unknown;
	}
	if (unknown)
		note_lines(&history, unknown, FROM_VIEW);
	if (mask & ~unknown)
		note_lines(&history, mask & ~unknown, copy->writer);
	return unknown;
}
