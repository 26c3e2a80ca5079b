/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_WPQ_H
#define DOMAIN_WPQ_H

/*
 * Write pending queues: the daemon's end. abi/wpq_layout.h describes the memory that is
 * shared with the client, abi/wpq_producer.h is the client's end.
 */

#include "domain/domain.h"
#include "abi/wpq_producer.h"

struct wpq;

/* Larger than the cache of one core: the client and the daemon exchange lines through the shared cache. */
#define WPQ_LANE_SIZE_DEFAULT (1u << 22)

/* A new, empty WPQ. lane_size as in the header; 0 means the default. */
int wpq_create(struct domain *domain, uint32_t lane_size, struct wpq **out);
/*
 * Which views a client's records may name, for all its WPQs of one domain: those
 * of pools that it has shown to be allowed to write. Views that are added are
 * never taken away. Thread safe; must outlive the WPQs.
 */
struct wpq_rights;
int wpq_rights_create(struct domain *domain, struct wpq_rights **out);
void wpq_rights_destroy(struct wpq_rights *rights);
int wpq_rights_add(struct wpq_rights *rights, uint32_t view);
/* Was the view added? NULL: no rights, and so no. */
bool wpq_rights_have(const struct wpq_rights *rights, uint32_t view);
/* From here on a record for any other view is malformed. Before this call, all views are allowed. */
void wpq_limit(struct wpq *wpq, const struct wpq_rights *rights);

/*
 * Drain what is published in any WPQ (see domain_drain()), mark this one as
 * closed, free. Exact for clients that have registered with membarrier(2) for
 * global expedited barriers.
 */
void wpq_destroy(struct wpq *wpq);
/* The memory to share: a memfd of header_size + 2 * lane_size bytes, sealed against resizing. */
int wpq_fd(const struct wpq *wpq);
/* What was drained from it, and what is in it now. Waiting bytes and idle fences are as the client says. */
struct wpq_usage {
	struct domain_counts counts;
	uint64_t idle_fences; /* fences that had nothing to publish */
	uint64_t lane_size;
	uint64_t waiting[WPQ_LANES]; /* bytes not drained, published or not; at most lane_size */
};
void wpq_usage(struct wpq *wpq, struct wpq_usage *out);
/* Has a drain failed for good? Then nothing more of it is drained. */
bool wpq_is_dead(const struct wpq *wpq);
/*
 * Why it is dead: -EPROTO for a malformed record, -ENOSPC if there was no block for a page of a hole that
 * the client stored to. 0 if it is not dead.
 */
int wpq_fault(const struct wpq *wpq);

#endif
