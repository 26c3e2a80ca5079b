/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_SPAWN_H
#define EXPLORE_SPAWN_H

/* Starting the programs of checkers. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct explore_spawn {
	char *const *argv; /* argv[0] is looked for in PATH; NULL at the end */
	char *const *environment;
	int output; /* the descriptors for its standard output and error; its standard input is empty */
	int errors;
	bool session; /* it gets a session of its own, not only a process group */
	/* Another descriptor for it, and its number there, which is above 2. */
	struct {
		int own, number;
	} more[2];
	size_t more_count;
};

/*
 * Start the program in a process group of its own, so that what it leaves behind can be ended with it, and
 * with no signal blocked. Its other descriptors are the caller's that are not close-on-exec. 0 or a negative
 * errno.
 */
int explore_spawn(const struct explore_spawn *spawn, pid_t *pid);
/*
 * The variables of this process behind `first` places for the caller's, which are NULL. The array is for the
 * caller to free; the strings are the environment's own. NULL without memory.
 */
char **explore_environment(size_t first);

#endif
