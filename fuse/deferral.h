/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_DEFERRAL_H
#define FUSE_DEFERRAL_H

/*
 * Replying after a request's handler has returned. A request holds a token of the
 * gate until its reply is out, but a libfuse request has no field for it, so the
 * token is kept in a variable of the thread that handles the request.
 */

#include "request_gate.h"

/* Around the handling of the token's request by this thread. */
void fusefs_deferral_begin(struct gate_token *token);
void fusefs_deferral_end(void);

/*
 * Take over the token of the request that this thread handles: its handler
 * returns without a reply, and the code that replies gives the token back afterwards.
 * Until then no outage gets past fusefs_park().
 */
struct gate_token fusefs_defer_reply(void);

#endif
