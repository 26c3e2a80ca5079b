/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_TURN_H
#define FUSE_TURN_H

/*
 * Who of a mount's workers waits for requests of the kernel. At first all do, and the kernel wakes one for
 * each request. One that expects the next request soon may lead: it alone waits then, awake, and the others
 * stand by, so that the kernel wakes none of them. Somebody who stands by looks at the leader now and then,
 * and ends its lead if it serves the same request as at the last look (which may wait for a lock, or for
 * another request), or gets none.
 *
 * All functions may be called by any thread. None fails.
 */

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct turn {
	pthread_mutex_t seat; /* held by the one that looks; others that stand by wait for it */
	sem_t call;	      /* wakes the one that looks */
	atomic_bool over;
	atomic_uint_fast64_t numbers;
	/* Of the leader: odd while it serves, even while it waits; 0 if nobody leads. */
	atomic_uint_fast64_t lead;
};

void turn_init(struct turn *turn);
void turn_destroy(struct turn *turn);

/* Lead, and wait for a request: the lead, or 0 if another leads. */
uint64_t turn_take(struct turn *turn);
/* The leader has got a request, or has served it: the lead from then on, or 0 if somebody has ended it. */
uint64_t turn_got(struct turn *turn, uint64_t lead);
uint64_t turn_done(struct turn *turn, uint64_t lead);
/* Lead no more. */
void turn_leave(struct turn *turn, uint64_t lead);

/* Return as soon as nobody leads. */
void turn_stand_by(struct turn *turn);

/* Nobody stands by from here on. */
void turn_end(struct turn *turn);

#endif
