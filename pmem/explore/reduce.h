/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_REDUCE_H
#define EXPLORE_REDUCE_H

/* Private to finding.c and reduce.c: from a failing state to the fewest differences that still fail. */

#include "explore/finding.h"

/* The versions of the neighbour, which is not EXPLORE_AGAINST_NONE; as many as there are places. */
void explore_neighbour_versions(const struct explore_places *places, enum explore_neighbour neighbour,
				uint64_t *versions);

/*
 * Delta debugging (Zeller, Hildebrandt: "Simplifying and isolating failure-inducing
 * input", TSE 2002) over the places in which the failing state differs from a passing one. Only states whose
 * verdict is like that of the first are followed: another verdict may have another cause. `versions` becomes
 * the reduced state, `passing` the one it is compared with; verdict is of the reduced state.
 * After `until_ms` of CLOCK_MONOTONIC no further reduction is tried.
 * -EAGAIN: the state does not fail again. 0, or another negative errno with a message.
 */
int explore_reduce(struct explore_trial *trial, uint64_t until_ms, uint64_t *versions, uint64_t *passing,
		   enum explore_neighbour *neighbour, struct explore_verdict *verdict,
		   struct message *message);

#endif
