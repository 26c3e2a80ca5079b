/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_STATE_ORDER_H
#define EXPLORE_STATE_ORDER_H

/*
 * The order in which the states of one crash point are tried: the ones that are
 * most likely to break a recovery first. It depends on the places and the seed
 * alone. A state may come more than once; who tries them tells equal ones by their digest.
 *
 * The phases follow what is known of crash bugs: a pointer that became durable before
 * its target, and a commit record that became durable before (or after) the rest,
 * are the commonest (Witcher, SOSP'21; Agamotto, OSDI'20; ALICE, OSDI'14).
 */

#include "explore/places.h"

enum explore_phase {
	EXPLORE_NEWEST,	    /* everything that was stored */
	EXPLORE_GUARANTEED, /* nothing but what is guaranteed */
	EXPLORE_POINTER,    /* everything but the line that a stored pointer refers to */
	EXPLORE_COMMIT,	    /* the last small store alone; everything but it */
	EXPLORE_SIZE,	    /* a file's new size without its bytes; the bytes without the size */
	EXPLORE_NAMES,	    /* names without bytes and bytes without names; the last operations lost */
	EXPLORE_NEIGHBOURS, /* of two lines that were stored one after the other, one */
	EXPLORE_BEHIND,	    /* one place older, the rest newest */
	EXPLORE_AHEAD,	    /* one place newer, the rest guaranteed */
	EXPLORE_PAIRS,	    /* two places older, or newer, than the rest */
	EXPLORE_EXHAUSTIVE, /* all states, in canonical order */
	EXPLORE_RANDOM,	    /* each place by the seed; has no end */
	EXPLORE_PHASES
};
/* "newest", "guaranteed", ... Static. */
const char *explore_phase_name(enum explore_phase phase);

struct explore_order;

/*
 * `walk` and `places` must stay as they are until the order is destroyed. Points with at most
 * `exhaustive` states have all of them tried, and the order ends. 0 or -ENOMEM.
 */
int explore_order_create(const struct explore_walk *walk, const struct explore_places *places, uint64_t seed,
			 uint64_t exhaustive, struct explore_order **out);
/* NULL is ignored. */
void explore_order_destroy(struct explore_order *order);

/* The next state: one version for each place. False: there are no more. */
bool explore_order_next(struct explore_order *order, uint64_t *versions, enum explore_phase *phase);

#endif
