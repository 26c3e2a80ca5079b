/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_CHUNK_H
#define DOMAIN_CHUNK_H

/*
 * Private to pmem/domain: what is known of each page of a view. Pages are numbered
 * from the beginning of the view; a mask has bit i set for line i of a page. The
 * owner's lock is held throughout, exclusively by what changes anything.
 */

#include "common/align.h"
#include "domain/view_state.h"

/* The mask of a whole page. */
#define ALL_LINES UINT64_MAX

/*
 * 32 pages of a view: a bit for each page, and in the arrays a mask for each page. That is little enough for
 * the cache that malloc(3) keeps for each thread, up to 1032 bytes: chunks come and go with small files.
 */
#define CHUNK_PAGES 32u
struct view_chunk {
	uint64_t present;
	uint64_t dirty_pages;  /* pages whose dirty mask is not 0 */
	uint64_t dirty[CHUNK_PAGES];
	uint64_t durable[CHUNK_PAGES]; /* written since power-up and made durable, possibly dirty again */
};

/*
 * Two levels of pointers, so that one byte at 16 TiB costs a megabyte of pointers and not half a gigabyte.
 * A bit for each pointer tells whether there is something dirty or written behind it, so that a search
 * costs what it finds.
 */
#define NODE_CHUNKS 1024u
#define NODE_PAGES (NODE_CHUNKS * CHUNK_PAGES)
#define NODE_WORDS (NODE_CHUNKS / 64)
/* Most files are small: a node has room for these chunks until it needs more. */
#define NODE_CHUNKS_FIRST 16u
struct view_node {
	uint64_t dirty[NODE_WORDS];   /* chunks that have dirty pages */
	uint64_t written[NODE_WORDS]; /* chunks that may have dirty or durable lines */
	uint64_t room;		      /* NODE_CHUNKS_FIRST or NODE_CHUNKS */
	struct view_chunk *chunks[];
};

/* The bit of `page` in its chunk. */
static inline uint64_t page_bit(uint64_t page)
{
	return (uint64_t)1 << (page % CHUNK_PAGES);
}

/* The chunk of `page`, or NULL if it has none. It belongs to the view. */
struct view_chunk *chunk_at(const struct view *view, uint64_t page);
/* The same, but make it if there is none. NULL: out of memory. */
struct view_chunk *chunk_make(struct view *view, uint64_t page);

/* The page is present. Its chunk exists (chunk_make()). */
void chunk_mark_present(struct view *view, uint64_t page);
/* The page is neither present nor dirty nor counted as durable. Its chunk exists. */
void chunk_mark_absent(struct view *view, uint64_t page);
/* The masked lines of a present page were stored to, and are not durable. Its chunk exists. */
void chunk_set_dirty(struct view *view, uint64_t page, uint64_t mask);

/* The lines of the page that were stored to and not persisted; 0 for a page without a chunk. */
uint64_t chunk_dirty(const struct view *view, uint64_t page);
/* Those of the masked lines that are dirty have become durable. */
void chunk_clear_dirty(struct view *view, uint64_t page, uint64_t mask);
/* Count the masked lines as made durable, through a WPQ. Without memory they are not counted. */
void chunk_note_durable(struct view *view, uint64_t page, uint64_t mask);

/*
 * Present pages are equal to the media: nothing is dirty, nothing was written since power-up, and the view
 * is not attached. Takes time by what was written.
 */
void view_mark_clean(struct view *view);
/* Free all memory of the view except for the struct: afterwards it reads from the media. */
void view_drop(struct view *view);

/* Prefetch what chunk_note_durable() of the page will need. */
static inline void chunk_prefetch(const struct view *view, uint64_t page)
{
	const struct view_chunk *chunk = chunk_at(view, page);

	if (chunk)
		__builtin_prefetch(&chunk->durable[page % CHUNK_PAGES], 1);
}

#endif
