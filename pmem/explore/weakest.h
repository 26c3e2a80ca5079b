/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_WEAKEST_H
#define EXPLORE_WEAKEST_H

/* Private to finding.c: under which promises about names, and about lines, a failure still occurs. */

#include "explore/trial.h"

/*
 * *weakest: the strongest metadata mode in which the checker fails, too, up to the one of the trial, in
 * which it does. Tried are, in each mode, the states `reduced` and `whole`, as far as they are legal there;
 * and the moment before the first operation that `reduced` has lost: in a stronger mode power would have to
 * fail then. Results are sound: a mode that is named has a failing state. 0 or a negative errno with a
 * message.
 */
int explore_find_weakest(int fd, const char *name, const struct explore_options *options,
			 struct explore_trial *trial, const uint64_t *reduced, const uint64_t *whole,
			 enum metadata_mode *weakest, struct message *message);

/*
 * *weakest: LINES_MODE_LINE, if the checker fails as well where the stores to a line become durable in order;
 * else the mode of the trial. `after`: its moment. Tried are the states of lines that are nearest to the two
 * states, at the same moment. A mode that is named has a failing state. 0 or a negative errno with a message.
 */
int explore_find_weakest_lines(int fd, const char *name, uint64_t after,
			       const struct explore_options *options, struct explore_trial *trial,
			       const uint64_t *reduced, const uint64_t *whole, enum lines_mode *weakest,
			       struct message *message);

#endif
