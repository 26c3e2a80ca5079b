/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_REQUEST_GATE_H
#define FUSE_REQUEST_GATE_H

/*
 * Decides how a request is served, and knows which requests are being served.
 *
 * A request takes a token when it begins and gives it back after its reply has
 * gone out. The token is an object, not a lock of a thread: the code
 * that answers the request gives it back, in any thread. A token says in which phase its request
 * began; the request is served by the rules of that phase to its end, also if
 * the phase changes in the meantime. Taking a token never waits.
 *
 * Changing the phase takes two steps. fusefs_gate_change() takes effect at once:
 * every request that takes its token later is of the new phase. It does not wait
 * for requests, so the thread that calls it may hold a token itself.
 * fusefs_gate_wait() waits until every request that took its token before the
 * change has given it back; its caller must not hold one.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum gate_phase {
	/* All requests are served. */
	GATE_OPEN,
	/* Only pages that the kernel writes back are served: they hold stores that reached its cache. */
	GATE_WRITE_BACK,
	/* Pages that the kernel writes back are acknowledged and discarded. */
	GATE_DISCARD
};

struct request_gate {
	/* The phase in the low bits; above them the number of changes, whose parity is the slot below. */
	_Atomic unsigned turn;
	/* Tokens that are out, by the turn in which they were taken. */
	_Atomic unsigned inside[2];
	pthread_mutex_t lock; /* one change at a time; and for `left` */
	pthread_cond_t left;  /* one of `inside` became 0 */
};

/* All-zero: no token. */
struct gate_token {
	struct request_gate *gate; /* NULL once it was given back */
	unsigned turn;
};

void fusefs_gate_init(struct request_gate *gate);
void fusefs_gate_destroy(struct request_gate *gate);

/* Take a token, in *token. Any thread. */
void fusefs_gate_enter(struct request_gate *gate, struct gate_token *token);
/* Give a token back, in any thread. A token that was given back already is left alone. */
void fusefs_gate_leave(struct gate_token *token);
/* Move the token out of *from, which is empty afterwards. */
struct gate_token fusefs_gate_token_steal(struct gate_token *from);

/* The phase in which the token's request began. */
enum gate_phase fusefs_gate_token_phase(const struct gate_token *token);
/* The phase that a request would enter now. */
enum gate_phase fusefs_gate_phase(const struct request_gate *gate);

/* Make this the phase of all later requests. Waits only for requests from before the last change. */
void fusefs_gate_change(struct request_gate *gate, enum gate_phase phase);
/* Return when no request that entered before the last change holds a token. */
void fusefs_gate_wait(struct request_gate *gate);
/* Return when no request that entered before this call holds a token. The phase stays. */
void fusefs_gate_flush(struct request_gate *gate);

#endif
