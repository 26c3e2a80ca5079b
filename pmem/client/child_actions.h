/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_CHILD_ACTIONS_H
#define CLIENT_CHILD_ACTIONS_H

#include <stdbool.h>

#include "client/signal_handlers.h"

#define CLIENT_SIGNALS 65 /* by number; 0 is none */

/*
 * Is the caller in a child of vfork(2), or of a clone() like it? It has its parent's memory, but the kernel
 * has copied what its signals do. One that was made with CLONE_SIGHAND is taken for such a child too.
 */
bool child_actions_are_apart(void);

/*
 * What such a child asked for, by number. It belongs to the thread that waits, so that the children of
 * several threads have one each. What an earlier child has left is in it: the kernel says which of them are
 * this child's. NULL: there is no memory. Under the lock of signal_handlers.c; async-signal-safe.
 */
struct client_kernel_action *child_actions_find(void);

#endif
