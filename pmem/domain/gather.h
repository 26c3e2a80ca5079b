/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_GATHER_H
#define DOMAIN_GATHER_H

/*
 * Private to pmem/domain: lines of one lane on their way from its ring to the
 * media. domain->lock is held in all of it.
 */

#include "domain/order.h"
#include "domain/wpq.h"

struct gather;

/* Empty; NULL without memory. free() ends it. */
struct gather *gather_create(void);

/*
 * Begin with a lane: `ring` is its memory, mapped twice, and `counts` the WPQ's. What was gathered before and
 * could not be written is forgotten.
 */
void gather_begin(struct gather *gather, struct domain *domain, uint64_t writer, const unsigned char *ring,
		  struct domain_counts *counts);

/*
 * Lines of a record, which lie in the view and have their bytes at `payload` in
 * the ring: they are on the media, or will be after gather_write(), and supersede
 * what the lane had for them before. On an error nothing may be said of what was gathered.
 */
int gather_lines(struct gather *gather, struct view *view, const struct wpq_record *record,
		 const unsigned char *payload);

/* To the media with all of it; durable after the next media_fence(). */
int gather_write(struct gather *gather);

#endif
