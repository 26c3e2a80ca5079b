/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_CHECKERS_H
#define CLI_EXPLORE_CHECKERS_H

#include "explore/search.h"

/* The checkers that `softpmem explore --checker NAME` knows. */

/* Their names, as the choices of an option. */
#define EXPLORE_CHECKERS "none pmempool sqlite e2fsck mount fork-server engine"

/*
 * How the states are checked, for a name that is a way to do it (mount, fork-server, engine); else
 * EXPLORE_CHECKER_BY_NAME.
 */
enum explore_checker_how explore_checker_how(const char *name);
/* The words of the command, NULL at the end; static. NULL: the user gives the words, after --. */
char *const *explore_builtin_checker(const char *name);

/*
 * When the trace of so many events ends, is there what the checker of the options looks for? *has is true of
 * checkers that fail where it is missing. 0 or a negative errno with a message.
 */
int explore_builtin_has_subject(int fd, const char *trace, uint64_t events,
				const struct explore_options *options, bool *has, struct message *message);

/* An engine as the user gives it: its words are the options that do so, NULL at the end. */
struct explore_engine_words {
	struct explore_engine engine;
	char *words[9];
};
/* The strings stay the caller's; NULL: not given. */
void explore_engine_words_set(struct explore_engine_words *words, const struct explore_engine *engine);

#endif
