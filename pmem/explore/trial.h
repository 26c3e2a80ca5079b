/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_TRIAL_H
#define EXPLORE_TRIAL_H

/*
 * One crash point, opened so that any of its states can be checked, in any order: for
 * reducing a failure to its cause, and for replaying one. The checker runs in a process
 * of its own, whatever kind it is, so it may crash or hang.
 *
 * Not thread safe.
 */

#include "explore/search.h"

struct explore_trial;

/* Walk to the moment after `after` events. Of the options only `walk` and what is about the checker count. */
int explore_trial_open(int fd, const char *name, uint64_t after, const struct explore_options *options,
		       struct explore_trial **out, struct message *message);
/*
 * Open *trial, or go on with it: it is NULL, or was opened with the same trace and options. One walk reaches
 * moments that are asked for in their order. On failure *trial is closed, and NULL.
 */
int explore_trial_reach(int fd, const char *name, uint64_t after, const struct explore_options *options,
			struct explore_trial **trial, struct message *message);
/* NULL is ignored. */
void explore_trial_close(struct explore_trial *trial);

const struct explore_walk *explore_trial_walk(const struct explore_trial *trial);
const struct explore_places *explore_trial_places(const struct explore_trial *trial);

/* Run the checker on a state. 0 and a verdict, or a negative errno with a message. */
int explore_trial_check(struct explore_trial *trial, const uint64_t *versions,
			struct explore_verdict *verdict, struct message *message);

/* The same of the nearest state that a stronger metadata mode than the walk's allows. */
int explore_trial_check_in(struct explore_trial *trial, enum metadata_mode mode, const uint64_t *versions,
			   struct explore_verdict *verdict, struct message *message);

/* ---- Names of states ------------------------------------------------------------- */

/*
 * A text that names a state of a trace: "532n:2a40=0" is the state after event 532 in which everything is
 * newest (n; g: only what is guaranteed) but the place at model address 0x2a40, which has version 0;
 * "532sn" is before the sync of the write that is event 532; "o1c" in place of an address is the group of
 * operations that begins with event 0x1c. For the caller to free; NULL without memory.
 */
char *explore_state_name(const struct explore_trial *trial, uint64_t after, const uint64_t *versions);
/* The event count at its beginning. 0 or -EINVAL. */
int explore_state_name_event(const char *name, uint64_t *after);
/*
 * The same state in a trace whose events have other numbers: `number` gives the one for event `event`, or,
 * with `later`, for the moment after so many events. For the caller to free; NULL without memory. What is no
 * name stays none.
 */
typedef uint64_t explore_number_fn(const void *context, uint64_t event, bool later);
char *explore_state_name_renumber(const char *name, explore_number_fn *number, const void *context);
/* The versions, for the caller to free. -EINVAL with a message: not the name of a state of this trial. */
int explore_state_name_parse(const struct explore_trial *trial, const char *name, uint64_t **versions,
			     struct message *message);

#endif
