/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_CHILD_ACTIONS_H
#define CLIENT_CHILD_ACTIONS_H

#include "client/signal_handlers.h"

#define CLIENT_SIGNALS 65 /* by number; 0 is none */

/*
 * What a child of vfork(2) asked for, by number: it has its parent's memory, but the kernel has copied what
 * its signals do. The table belongs to the thread that waits, so that the children of several threads have
 * one each. What an earlier child has left is in it: the kernel says which actions are this child's. A child
 * that shares its parent's actions (CLONE_SIGHAND) is not told from others. NULL: there is no memory. Under
 * the lock of signal_handlers.c; async-signal-safe.
 */
struct client_kernel_action *child_actions_find(void);

#endif
