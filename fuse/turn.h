/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_TURN_H
#define FUSE_TURN_H

/*
 * Which of a mount's workers reads requests from the kernel. One leads: it alone waits for requests. To wake
 * a second thread that waits would cost as much as most requests do. The others stand by:
 *
 * - one of them looks at the leader at intervals, and takes the lead if the leader is still busy with the
 *   request of the last look (which may wait for a lock, or for another request);
 * - it is called to help if the leader finds one request after the other already waiting.
 *
 * All functions may be called by any thread; those of a leader only by the worker that leads.
 */

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct turn {
	pthread_mutex_t seat; /* held by the one that looks at the leader; the rest wait for it */
	sem_t call;	      /* wakes the one in the seat */
	atomic_bool asleep;   /* it does not look at the leader until it is called: there were no requests */
	atomic_bool help;     /* it shall help */
	atomic_bool over;
	atomic_uint helpers;
	unsigned helpers_max;
	atomic_uint_fast64_t requests; /* that leaders have got */
	atomic_uint_fast64_t serving;  /* the number of the leader's request; 0: it waits for one */
};

enum turn_role { TURN_LEAD, TURN_HELP, TURN_OVER };

/* How often one that stands by looks at the leader, in milliseconds. */
#define TURN_LOOK_MS 2u

/* Somebody leads from the start. At most `helpers_max` help at once. */
void turn_init(struct turn *turn, unsigned helpers_max);
void turn_destroy(struct turn *turn);

/* Wait until there is something to do. After TURN_HELP the worker calls turn_helped() when it is done. */
enum turn_role turn_stand_by(struct turn *turn);
void turn_helped(struct turn *turn);

/* The leader has got a request: its number, for turn_done(). */
uint64_t turn_got(struct turn *turn);
/* The request of that number is served: whether the worker still leads. */
bool turn_done(struct turn *turn, uint64_t number);
/* The leader finds requests that wait: one that stands by helps, if fewer than `helpers_max` do. */
void turn_call_help(struct turn *turn);

/* All that stand by get TURN_OVER, now and later. */
void turn_end(struct turn *turn);

#endif
