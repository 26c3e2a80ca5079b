/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_MOUNT_USERS_H
#define SRC_MOUNT_USERS_H

/* The processes that use the mount: those that a machine without power would take along. */

#include <sys/types.h>

struct daemon;

/*
 * SIGKILL to every process that has a file of the mount open or mapped, or its working directory, root or
 * program there, except this process and `spared`. Returns how many were signalled; does not wait for their
 * end. A process of another user is found only by root. Never waits for the mount.
 */
unsigned mount_users_kill(const struct daemon *daemon, pid_t spared);

/*
 * The same for the descendants of `ancestor` alone, which is spared: a search of a few processes instead of
 * all. Where the kernel does not list children (CONFIG_PROC_CHILDREN), this is mount_users_kill().
 */
unsigned mount_users_kill_below(const struct daemon *daemon, pid_t ancestor);

#endif
