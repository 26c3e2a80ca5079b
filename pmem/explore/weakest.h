/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_WEAKEST_H
#define EXPLORE_WEAKEST_H

/* Private to finding.c: under which promises about names, and about lines, a failure still occurs. */

#include "explore/trial.h"

/*
 * *weakest: the strongest metadata mode in which the checker fails as well, with a verdict like `verdict`, up
 * to the one of the trial, in which it does on the state `reduced`. Tried are, in each mode, the nearest
 * state that is legal there; and the moment before the first operation that `reduced` has lost, with
 * everything: in a stronger mode power would have to fail then. States that differ in more are not tried,
 * because they may fail by another cause. 0 or a negative errno with a message.
 */
int explore_find_weakest(int fd, const char *name, const struct explore_options *options,
			 struct explore_trial *trial, const uint64_t *reduced,
			 const struct explore_verdict *verdict, enum metadata_mode *weakest,
			 struct message *message);

/*
 * *weakest: LINES_MODE_LINE, if the checker fails as well, with a verdict like `verdict`, where the stores to
 * a line become durable in order; else the mode of the trial. `after`: its moment. Tried are the states of
 * lines that are nearest to `reduced`, at the same moment. 0 or a negative errno with a message.
 */
int explore_find_weakest_lines(int fd, const char *name, uint64_t after,
			       const struct explore_options *options, struct explore_trial *trial,
			       const uint64_t *reduced, const struct explore_verdict *verdict,
			       enum lines_mode *weakest, struct message *message);

#endif
