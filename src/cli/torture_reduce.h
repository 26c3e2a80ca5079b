/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_TORTURE_REDUCE_H
#define CLI_TORTURE_REDUCE_H

/* Makes a failure smaller: a weaker metadata mode, and fewer lines and names that are lost. */

#include "cli/torture_round.h"

/*
 * Run rounds with this cut until one fails, at most so many. The outcome is that of the last round; free it
 * with torture_outcome_clear(). 1: it failed; 0: none did; or a negative errno with a message.
 */
int torture_reduce_repeat(struct torture_job *job, const struct torture_cut *cut, int repeats,
			  struct torture_outcome *outcome, struct message *message);

/*
 * The outcome is a failure with this cut. Change the cut to one that loses less and still fails, and the
 * outcome to that failure. cut->lose_only is then the caller's, for free(); if it is not NULL before, only
 * the metadata mode is reduced. 0, -EINTR, or another negative errno with a message: the cut and the outcome
 * are then those of the last failure.
 */
int torture_reduce(struct torture_job *job, struct torture_cut *cut, struct torture_outcome *outcome,
		   struct message *message);

#endif
