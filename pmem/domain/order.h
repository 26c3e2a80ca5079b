/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_ORDER_H
#define DOMAIN_ORDER_H

/* Private to pmem/domain: which of two records of one line is the newer. domain->lock is held throughout. */

#include "domain/private.h"

/* Where a record's lines come from. */
struct snapshot {
	uint64_t writer; /* the lane: less than UINT64_MAX - 1 */
	uint64_t batch;	 /* the domain's, before the lines were read */
};

/* What a domain remembers; NULL without memory. */
struct recent *order_create(void);
void order_destroy(struct recent *recent);

/*
 * Which snapshots of the page's masked lines may be older than what the media
 * has? Those are to be written from the view. Notes that all are written now.
 */
uint64_t order_unknown(struct view *view, uint64_t page, uint64_t mask, const struct snapshot *snapshot);

/* The lines are about to be written from the view itself: records that wait are older. */
void order_note_direct(struct view *view, uint64_t page, uint64_t mask);

/* The line will be asked about soon. */
void order_prefetch(const struct view *view, uint64_t line);

#endif
