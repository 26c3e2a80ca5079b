/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_GATHER_H
#define DOMAIN_GATHER_H

/*
 * Private to pmem/domain: writing the lines of one lane from its ring to the
 * media. domain->lock is held throughout.
 */

#include "domain/order.h"
#include "domain/wpq.h"

struct gather;

/* An empty one, for free(). NULL: out of memory. */
struct gather *gather_create(void);

/*
 * Begin with a lane. `ring` is its memory, mapped twice; `counts` are the WPQ's. Lines that were gathered
 * before and could not be written are dropped.
 */
void gather_begin(struct gather *gather, struct domain *domain, uint64_t writer, const unsigned char *ring,
		  struct domain_counts *counts);

/*
 * Gather the lines of a record, which lie in the view; their bytes are at `payload` in
 * the ring. After gather_write() they are on the media, unless a later record of the lane
 * has replaced them. After an error, any part of what was gathered may be on the media.
 * Errors: those of view_owner_ops.place() and media_write(), except for -EIO.
 */
int gather_lines(struct gather *gather, struct view *view, const struct wpq_record *record,
		 const unsigned char *payload);

/* Write all that was gathered; durable after the next media_fence(). The same errors. */
int gather_write(struct gather *gather);

#endif
