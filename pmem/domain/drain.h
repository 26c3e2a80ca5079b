/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_DRAIN_H
#define DOMAIN_DRAIN_H

/* Private to pmem/domain: the daemon's end of a WPQ. */

#include "domain/domain_state.h"
#include "domain/view_state.h"
#include "domain/wpq.h"

/* What a daemon knows of the lines that a WPQ holds. */
struct hold {
	uint64_t swept;		   /* all flushes up to this one */
	uint64_t number[WPQ_HELD]; /* of each line, the flush that was swept last */
	struct {
		uint64_t flushes, persists, fences;
	} counted[WPQ_HELD_VIEWS];
};

struct wpq {
	struct wpq *next, **link; /* domain->lock */
	struct domain *domain;
	uint64_t id;
	int fd;
	_Atomic bool dead; /* written under domain->lock */
	_Atomic int fault; /* why it is dead: see wpq_fault() */
	/* Our own mapping. The client writes here too: nothing in it is believed without a look. */
	struct wpq_producer map;
	uint64_t drained[WPQ_LANES];
	struct hold hold;
	const struct wpq_rights *rights; /* NULL: none are asked for */
	struct domain_counts counts;
};

/* domain_drain(), with domain->lock held. */
int drain_all(struct domain *domain);

/*
 * Check what a record says of its lines, and find their view: NULL if that is
 * gone. *view may be that of another record of the WPQ, or NULL. -EPROTO: it cannot be.
 */
int drain_find_view(const struct wpq *wpq, const struct wpq_record *record, struct view **view);

#endif
