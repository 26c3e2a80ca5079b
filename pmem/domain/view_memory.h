/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_VIEW_MEMORY_H
#define DOMAIN_VIEW_MEMORY_H

/* Private to pmem/domain: the memory of a view. The owner's lock is held exclusively. */

#include "domain/view_state.h"

/*
 * Make the view's memfd and our mapping of it at least `end` bytes long; creates the memfd if there is none.
 * The mapping may move. 0 or a negative errno; -EPERM: the memfd is sealed against growth.
 */
int view_memory_extend(struct view *view, uint64_t end);
/*
 * Note that bytes of the view have become zero: copies of its lines that were taken up to now are older.
 * Takes domain->lock.
 */
void view_supersede_copies(struct view *view);

#endif
