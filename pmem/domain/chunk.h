/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_CHUNK_H
#define DOMAIN_CHUNK_H

/* Private to pmem/domain: what is known of each page of a view. */

#include "domain/private.h"

static inline uint64_t page_bit(uint64_t page)
{
	return (uint64_t)1 << (page % CHUNK_PAGES);
}

/* The chunk that holds `page`, or NULL; make: NULL only without memory. */
struct view_chunk *chunk_at(const struct view *view, uint64_t page);
struct view_chunk *chunk_make(struct view *view, uint64_t page);

/* For these three the chunk is there (chunk_make). */
void chunk_mark_present(struct view *view, uint64_t page);
/* Nothing is known of the page any more: it is not present, not dirty and not written. */
void chunk_mark_absent(struct view *view, uint64_t page);
void chunk_set_dirty(struct view *view, uint64_t page, uint64_t mask, enum view_store_kind kind);

/* Lines stored and not persisted; 0 for a page nothing is known of. */
uint64_t chunk_dirty(const struct view *view, uint64_t page);
void chunk_clear_dirty(struct view *view, uint64_t page, uint64_t mask);
/* Do some of its dirty lines come from a mapping? */
bool chunk_from_mapping(const struct view *view, uint64_t page);
/* Lines made durable through a WPQ count as written. Best effort: without memory they are not counted. */
void chunk_note_written(struct view *view, uint64_t page, uint64_t mask);
void chunk_forget_written(struct view *view, uint64_t page, uint64_t mask);
/*
 * What is present is as the media have it, nothing was written since power-up, and the view is not attached.
 * Takes time by what was written.
 */
void view_mark_clean(struct view *view);
/* Free everything but the struct: afterwards the view reads from the media. */
void view_drop(struct view *view);

/* chunk_note_written() of the page will come soon. */
static inline void chunk_prefetch(const struct view *view, uint64_t page)
{
	const struct view_chunk *chunk = chunk_at(view, page);

	if (chunk)
		__builtin_prefetch(&chunk->written[page % CHUNK_PAGES], 1);
}

#endif
