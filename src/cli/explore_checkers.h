/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_CHECKERS_H
#define CLI_EXPLORE_CHECKERS_H

#include "explore/checker.h"

/* The checkers that `softpmem explore --checker NAME` knows. */

/* Their names, as the choices of an option. */
#define EXPLORE_CHECKERS "none pmempool sqlite e2fsck mount fork-server"

/*
 * How the words after -- are run, for a name that is a way to run them (mount, fork-server); else
 * EXPLORE_CHECKER_BY_NAME.
 */
enum explore_checker_how explore_checker_how(const char *name);
/* The words of the command, NULL at the end; static. NULL: the user gives the words, after --. */
char *const *explore_builtin_checker(const char *name);

#endif
