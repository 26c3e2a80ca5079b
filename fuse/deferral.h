/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_DEFERRAL_H
#define FUSE_DEFERRAL_H

/*
 * Replying later. libfuse has no place in a request for the token it holds, so
 * the thread that handles a request knows it for that time.
 */

#include "request_gate.h"

/* This thread begins to handle the token's request, or, with NULL, has ended to. */
void fusefs_handling(struct gate_token *token);

/*
 * Take over the token of the request that this thread handles: its handler
 * returns without a reply, and whoever replies gives the token back afterwards.
 * Until then no outage gets past fusefs_park().
 */
struct gate_token fusefs_defer_reply(void);

#endif
