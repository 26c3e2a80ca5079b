/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_CHECKERS_H
#define CLI_EXPLORE_CHECKERS_H

/* The checkers that `softpmem explore --checker NAME` knows. */

/* Their names, as the choices of an option. */
#define EXPLORE_CHECKERS "pmempool sqlite e2fsck"

/* The words of the command, NULL at the end; static. NULL: there is no such checker. */
char *const *explore_builtin_checker(const char *name);

#endif
