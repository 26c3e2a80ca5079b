/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_COMBINING_H
#define DOMAIN_COMBINING_H

/*
 * Private to pmem/domain: collecting the slots of a WPQ (abi/wpq_layout.h) when it is
 * drained. domain->lock is held throughout.
 */

#include "domain/drain.h"
#include "model/chooser.h"

/* May clients of the domain use slots now? The answer goes into each WPQ's header. */
bool combining_is_allowed(const struct domain *domain);

/* The number of the client's last fenced flush of a slot. */
uint64_t combining_fenced(const struct wpq *wpq);

/* An upper bound of the bytes in slots that are durable and not collected; 0 if there are none. */
uint64_t combining_waiting(const struct wpq *wpq);

/*
 * Write to the media the durable content of slots that were flushed since the last
 * collection. Both lanes have been drained since combining_fenced() returned
 * `fenced`. 0, or a negative errno; -EPROTO: a slot is malformed.
 */
int combining_collect(struct wpq *wpq, uint64_t fenced);

/* In an outage, after combining_collect(): write those flushed and unfenced copies that the chooser keeps. */
void combining_settle(struct wpq *wpq, const struct chooser *chooser);

#endif
