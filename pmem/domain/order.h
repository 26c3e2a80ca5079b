/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_ORDER_H
#define DOMAIN_ORDER_H

/*
 * Private to pmem/domain: which of two copies of a line, from the WPQs of two
 * threads, is the newer one. domain->lock is held throughout.
 */

#include "domain/domain_state.h"
#include "domain/view_state.h"
#include "model/settle.h"

/*
 * The memory of a domain: which lines and pages were last written to the media, by
 * which writer and in which batch. A writer is a lane of a WPQ, as a number below
 * UINT64_MAX. NULL: out of memory. order_destroy(NULL) does nothing.
 */
struct recent *order_create(void);
void order_destroy(struct recent *recent);

/*
 * Returns those of the masked lines of `page` (bit i: line i) for which the media
 * may have newer content than `copy`. These are to be written from the view, the
 * others from the copy. Notes that all of them are written now. The domain has a
 * memory. No errors.
 */
uint64_t order_unknown(struct view *view, uint64_t page, uint64_t mask, const struct settle_copy *copy);

/*
 * Note that the masked lines of `page` are about to be written from the view
 * itself: all copies that wait in WPQs are older. Does nothing in a domain without a memory.
 */
void order_note_direct(struct view *view, uint64_t page, uint64_t mask);

/* Prefetch what order_unknown() will need for this line. `line` is its offset in the view / LINE_SIZE. */
void order_prefetch(const struct view *view, uint64_t line);

#endif
