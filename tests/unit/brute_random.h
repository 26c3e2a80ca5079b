/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BRUTE_RANDOM_H
#define BRUTE_RANDOM_H

/* Random histories for brute_names.h: operations that are possible, with syncs among them. */

#include "brute_names.h"
#include "common/rng.h"

#define BRUTE_MOST_OPERATIONS 8

/* Up to six operations that are durable, and then up to eight that may not be. */
void brute_random(struct rng *rng, struct brute_history *history);
/* The same, and directories have modes of their own. */
void brute_random_mixed(struct rng *rng, struct brute_history *history);
/* Print what happens in it, as comments of TAP. */
void brute_print(const struct brute_history *history);

#endif
