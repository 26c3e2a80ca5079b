/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_PROCESS_H
#define SRC_PROCESS_H

/* Functions by which the daemon changes its own process. */

#include <stdbool.h>

/*
 * Go to the background. Returns 0 in the child, with *ready_fd for process_ready(). The parent does not
 * return: it exits with status 0 when the child reports that it is ready, else with the status of the
 * child. A negative errno: there is no child.
 */
int process_background(int *ready_fd);
/* Let the parent exit, and redirect stdin, stdout and stderr to /dev/null. */
void process_ready(int ready_fd);

/* Raise the limit of descriptors as far as the kernel allows, because every view is a memfd. */
void process_raise_files(void);

/*
 * May processes of this user do what they like to files of all users? True for root, unless what started
 * us has taken the capabilities for it away. Ask before process_drop_privileges().
 */
bool process_may_all(void);
/*
 * Drop every capability except those that end the clients at a power failure (CAP_SYS_PTRACE, to see
 * which processes map a pool; CAP_KILL) and those for the mount (CAP_SYS_ADMIN, to unmount;
 * CAP_DAC_READ_SEARCH, to reach a mount point in a directory of another user). It holds for this thread,
 * the threads that it starts, and the programs that they execute. 0, or a negative errno. Does nothing
 * without capabilities.
 */
int process_drop_privileges(bool mounts);

/* Notify the service manager (sd_notify(3)), if there is one. */
void process_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
