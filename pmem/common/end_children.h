/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_END_CHILDREN_H
#define COMMON_END_CHILDREN_H

/*
 * Ending what a command has started, in whatever session it is. For a process that is a subreaper (prctl(2),
 * PR_SET_CHILD_SUBREAPER), so that what the command leaves behind becomes its child, and that has no children
 * but these. Safe after a fork in a program of several threads.
 */

#include <sys/types.h>

/* Send a signal to the direct children. Without CONFIG_PROC_CHILDREN in the kernel none is found. */
void signal_children(int signal);
/*
 * Kill and reap until no child is left. `group` is the process group of the command. *status is updated if
 * the process of that number is among them.
 */
void end_children(pid_t group, int *status);

#endif
