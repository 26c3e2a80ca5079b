/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_PERSIST_H
#define DOMAIN_PERSIST_H

/*
 * Private to pmem/domain: writing lines of a view to the media, and which lines
 * are not durable. Pages and masks are as in chunk.h. The owner's lock is held
 * exclusively by what writes.
 */

#include "domain/view_state.h"

/*
 * Write the masked lines of `page` to the media: from `content` (a page) if it is
 * given, else from the view. Places the page if it has no media yet; its other lines
 * then become zero there. Durable after the next media_fence(). Errors are those of
 * view_owner_ops.place() and media_write().
 */
int view_write_lines(struct view *view, uint64_t page, uint64_t mask, const unsigned char *content);
/*
 * The same for a page whose media is at `media_offset`, with `content` that no other thread stores to.
 * Tries all lines even if some cannot be written, and returns the first error of media_write().
 */
int view_write_masked(struct view *view, uint64_t media_offset, const unsigned char *content, uint64_t mask);
/*
 * view_write_lines() for a page whose media is at `media_offset`; if `fresh`, its other lines become zero.
 * Other threads may store to `content`, which is aligned to a line. Bytes past the owner's size become zero.
 */
int view_write_page(struct view *view, uint64_t page, uint64_t media_offset, bool fresh, uint64_t mask,
		    const unsigned char *content);
/* Are the masked lines of a page all zero? */
bool view_lines_are_zero(const unsigned char *page, uint64_t mask);
/* Where the media of up to `want` pages from `page` on is; placed now if they have none. -ENOSPC. */
int view_place(struct view *view, uint64_t page, uint64_t want, struct placement *at);
/* Make the bytes of a copy of `page` zero that are past the owner's size, in the line that it ends in. */
void view_clip_page(const struct view *view, uint64_t page, unsigned char *copy);
/* Does the owner's size end inside a line of this page? */
bool view_ends_in_page(const struct view *view, uint64_t page);

/*
 * The lines of a present page that are not durable: those that were stored to, or in an attached view, those
 * that differ from the media; all lines if the media cannot be read.
 */
uint64_t view_volatile_mask(const struct view *view, uint64_t page);
/* A walk over volatile pages, zeroed at its beginning. Pages below `stored_end` need no look-up. */
struct volatile_walk {
	uint64_t stored_end;
};
/*
 * The first page at or after `page` and below `end` that may have such lines; `end` if there is none. In an
 * attached view, memory that nobody has touched is passed over without being read.
 */
uint64_t view_next_volatile(const struct view *view, uint64_t page, uint64_t end, struct volatile_walk *walk);
/* No page from this one on is in the view's memory, or dirty. */
uint64_t view_end(const struct view *view);

#endif
