/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_CHECKPOINT_H
#define EXPLORE_CHECKPOINT_H

/*
 * A file that says how far a search has come, so that one that was interrupted goes on there.
 * Searches with the same trace, options and checker make the same states in the same order,
 * so the number of the first state that is not checked yet is enough, with the failures
 * before it.
 *
 * The file begins with a head and the identity of the search; records follow, each with a
 * checksum: a failure, a state from which the checker recovered, or a number of states. It is
 * only appended to. What follows the last record that is whole is cut off when it is read: an
 * interruption may tear one. All numbers are little endian. The file is hostile until it is checked.
 *
 * Not thread safe.
 */

#include "explore/search.h"

struct explore_checkpoint;

/*
 * Open the file, or make it, and lock it against another search. With `resume` the failures in it are
 * appended to `failures`, sorted, and states from which the checker recovered to `recovered` (search.h; NULL:
 * there are none); else, and if there was no such file, it begins empty. `identity`: at most
 * EXPLORE_IDENTITY_MAX bytes; -EINVAL if the file has another one. `points`: of the trace. 0 or a negative
 * errno with a message; then nothing was appended.
 */
#define EXPLORE_IDENTITY_MAX 63u
int explore_checkpoint_open(const char *path, const char *identity, bool resume, size_t points,
			    struct explore_failures *failures, struct explore_failures *recovered,
			    struct explore_checkpoint **out, struct message *message);
/* NULL is ignored. The file stays. */
void explore_checkpoint_close(struct explore_checkpoint *checkpoint);

/* States below this number were checked. */
uint64_t explore_checkpoint_from(const struct explore_checkpoint *checkpoint);
/*
 * These failures, or states from which the checker recovered, were found. They count once
 * explore_checkpoint_pass() was told of a number above theirs. 0 or a negative errno.
 */
int explore_checkpoint_add(struct explore_checkpoint *checkpoint, const struct explore_failure *failures,
			   size_t count);
/*
 * States below `from` are checked now, and explore_checkpoint_add() was told what was found among them. 0 or
 * a negative errno.
 */
int explore_checkpoint_pass(struct explore_checkpoint *checkpoint, uint64_t from);

#endif
