/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_REQUEST_EVENTS_H
#define FUSE_REQUEST_EVENTS_H

/* The list of the requests that could be the moment of an outage, if it is kept (fusefs_events_start()). */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "fusefs.h"

struct fuse_in_header;

struct request_events {
	_Atomic bool on; /* a hint that needs no lock: the list is kept */
	pthread_mutex_t lock;
	struct fusefs_event_list list; /* guarded by lock */
};

void fusefs_events_init(struct request_events *events);
void fusefs_events_destroy(struct request_events *events);

/* A request is about to be served, in the phase GATE_OPEN. Any thread. */
void fusefs_events_note(struct fusefs *fs, const struct fuse_in_header *in);

#endif
