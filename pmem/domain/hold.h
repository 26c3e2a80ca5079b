/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_HOLD_H
#define DOMAIN_HOLD_H

/*
 * Private to pmem/domain: the lines that a WPQ holds (shared.h), for who drains.
 * domain->lock is held throughout.
 */

#include "domain/drain.h"

/* May WPQs hold lines now? To be told to each of them. */
bool hold_is_allowed(const struct domain *domain);

/* The client's last fence of held lines. */
uint64_t hold_fenced(const struct wpq *wpq);

/* Bytes of held lines that are durable and not swept, at most; 0 if there are none. */
uint64_t hold_waiting(const struct wpq *wpq);

/*
 * Write to the media what is held and durable, and was flushed since the last sweep. Both
 * lanes have been drained since hold_fenced() gave `fenced`. -EPROTO: it holds what cannot be.
 */
int hold_sweep(struct wpq *wpq, uint64_t fenced);

/* In an outage, after a sweep: write those flushed and unfenced lines that the chooser keeps. */
void hold_settle(struct wpq *wpq, const struct chooser *chooser);

#endif
