/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_SANDBOX_H
#define SRC_SANDBOX_H

/*
 * What the daemon denies to itself, so that code that hostile bytes make it execute gains little:
 * no privileges by executing a program, and no system calls but those that the daemon makes. A denied call
 * fails with EPERM. Not in a build with a sanitizer, whose leak check needs ptrace(2).
 */

#include <stdbool.h>

/*
 * Enter the sandbox: this thread, and the threads that it starts. A daemon that `mounts` as a user other than
 * root stays outside, because it runs fusermount3, which is setuid. 0 or a negative errno.
 */
int sandbox_enter(bool mounts);

/* For all threads of a process in the sandbox, and for ever: deny mount(2). 0 or a negative errno. */
int sandbox_deny_mounting(void);

#endif
