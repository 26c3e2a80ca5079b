/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_CHANGES_H
#define EXPLORE_CHANGES_H

/* What a recovery has changed in the files of a crash state. Private to checker_command.c. */

#include "explore/checker.h"

/*
 * Compare the files of a state with those in `directory`, where a command has run on them, and which is
 * left as it is. *changes: equal for equal changes of the same bytes, names, modes, targets of symlinks and
 * extended attributes of users; zero if there are none. Owners and times do not count. Beside the directory
 * there is another one for a while. 0 or a negative errno.
 */
int explore_changes_find(const struct explore_state *state, const char *directory,
			 struct explore_digest *changes);

#endif
