/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_PROCESS_H
#define SRC_PROCESS_H

/* What the daemon does to its own process. */

#include <stdbool.h>

/*
 * Go to the background: returns 0 in the child, with *ready_fd for
 * process_ready(). The parent does not return: it ends with status 0 when the
 * child says that it is ready, else with the child's own status. A negative
 * errno: there is no child.
 */
int process_background(int *ready_fd);
/* The parent may go; stdin, stdout and stderr lead nowhere from here on. */
void process_ready(int ready_fd);

/* Every view is a memfd: allow as many descriptors as the kernel lets us have. */
void process_raise_files(void);

/*
 * Give up every capability but those that end the clients when the power fails
 * (CAP_SYS_PTRACE, to see who maps a pool; CAP_KILL) and those for the mount
 * (CAP_SYS_ADMIN, to unmount; CAP_DAC_READ_SEARCH, to reach a mount point in
 * somebody's directory), for this thread and those it starts, and for programs it executes. 0, or a
 * negative errno. Does nothing without capabilities.
 */
int process_drop_privileges(bool mounts);

/* Tell the service manager (sd_notify(3)), if there is one. */
void process_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
