/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_DRAIN_H
#define DOMAIN_DRAIN_H

/* Private to pmem/domain: the daemon's end of a WPQ. */

#include "domain/private.h"
#include "domain/wpq.h"

struct wpq {
	struct wpq *next, **link; /* domain->lock */
	struct domain *domain;
	uint64_t id;
	int fd;
	_Atomic bool dead; /* written under domain->lock */
	/* Our own mapping. The client writes here too: nothing in it is believed without a look. */
	struct wpq_producer map;
	uint64_t drained[WPQ_LANES];
	const struct wpq_rights *rights; /* NULL: none are asked for */
	struct domain_counts counts;
};

/* domain_drain(), with domain->lock held. */
int drain_all(struct domain *domain);

#endif
