/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATTACH_HOLES_H
#define ATTACH_HOLES_H

/*
 * The memory of holes that programs store to. A pool may be larger than its region; a store to a hole takes
 * memory, and nothing else says no to it. A thread looks at how much of that there is (pool/holes.h). Where
 * it is too much, processes that can store to the pool get SIGBUS, as on a full DAX file system, and SIGKILL
 * if they do not end by that. Then what they stored last is taken back.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/loglimit.h"

struct attach_server;

struct attach_holes {
	bool watching; /* the thread was started */
	pthread_t watcher;
	pthread_cond_t soon; /* `stopping` of the server is set, or there is a first view; with its lock */
	/* The thread's: what it does about one pool. */
	unsigned region;
	uint32_t view;
	uint64_t signalled; /* clock_ms() of its SIGBUS; 0: there is no such pool */
	struct loglimit loglimit; /* of the lines that it logs */
};

/* 0 or a negative errno. */
int attach_holes_start(struct attach_server *attach);
void attach_holes_stop(struct attach_server *attach);

#endif
