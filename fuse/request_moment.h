/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_REQUEST_MOMENT_H
#define FUSE_REQUEST_MOMENT_H

/*
 * Outages at an exact request. fusefs_moment_arm() (fusefs.h) names the request by
 * its kind and number; the worker that meets it closes the gate, and so decides which
 * requests are served before the outage. Another thread then runs the outage.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "fusefs.h"

struct fuse_in_header;

enum moment_state {
	MOMENT_IDLE,
	MOMENT_ARMED,
	/* The request was met; an outage is to come. */
	MOMENT_REACHED
};

struct moment {
	_Atomic bool armed; /* a hint that needs no lock: the state is MOMENT_ARMED */
	pthread_mutex_t lock;
	/* Guarded by lock. */
	enum moment_state state;
	bool stopped;	/* the gate is closed, and an outage is to come */
	bool suspended; /* during an outage, and once the mount is taken away */
	bool held;	/* stopped, and requests wait for fusefs_moment_release() */
	pthread_cond_t released; /* held became false */
	bool kills;	/* stopped, and the processes that use the mount end with this outage */
	struct fusefs_moment what;
	struct fusefs_event seen;
};

void fusefs_moment_init(struct moment *moment);
void fusefs_moment_destroy(struct moment *moment);

/*
 * A request is about to be served, in the phase GATE_OPEN. True: the outage comes before it, the gate is
 * closed, and it is to be served by the rules of the new phase.
 */
bool fusefs_moment_meet(struct fusefs *fs, const struct fuse_in_header *in);

/*
 * A request came while the mount is stopped: wait, if the processes that use the mount are to be killed
 * before any of them gets an answer. True: they are, so a change that one of them asked for must not be made
 * after the outage.
 */
bool fusefs_moment_hold(struct moment *moment);

/* From here on no request is the moment. To be called before the gate is closed for an outage. */
void fusefs_moment_suspend(struct moment *moment);
/* The outage is over: count on, unless this was the outage that the moment was for. */
void fusefs_moment_continue(struct moment *moment);

#endif
