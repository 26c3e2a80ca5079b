/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_DRAIN_H
#define DOMAIN_DRAIN_H

/* Private to pmem/domain: the daemon's end of a WPQ. domain->lock guards it unless a field says otherwise. */

#include "domain/domain_state.h"
#include "domain/view_state.h"
#include "domain/wpq.h"

/* What the daemon knows of the slots of a WPQ. */
struct combining_state {
	uint64_t collected;		   /* all flushes up to this one are on the media */
	uint64_t number[WPQ_SLOTS]; /* the number of each slot's copy that was collected last */
	struct {
		uint64_t flushes, persists, fences;
	} counted[WPQ_SLOT_VIEWS];
};

struct wpq {
	struct wpq *next, **link; /* domain->lock */
	struct domain *domain;
	uint64_t id;
	int fd;
	_Atomic bool dead; /* written under domain->lock */
	_Atomic int fault; /* why it is dead: see wpq_fault() */
	/* Our own mapping. The client writes here, too, so everything in it is checked before it is used. */
	struct wpq_producer map;
	uint64_t drained[WPQ_LANES];
	struct combining_state combining;
	const struct wpq_rights *rights; /* NULL: records may name any view */
	struct domain_counts counts;
};

/* domain_drain(), with domain->lock held. */
int drain_all(struct domain *domain);

/*
 * Check the view and the range of a record. On entry *view is the view of another record
 * of the WPQ, or NULL; on return it is this record's view, or NULL if that is
 * gone. 0, or -EPROTO for a malformed record.
 */
int drain_find_view(const struct wpq *wpq, const struct wpq_record *record, struct view **view);

#endif
