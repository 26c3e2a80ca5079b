/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_SIGNAL_HANDLERS_H
#define CLIENT_SIGNAL_HANDLERS_H

/*
 * The program's signal handlers while it is recorded. All of them are called by a handler of ours: SIGSEGV,
 * SIGBUS and SIGTRAP go to the engine first, and other signals wait until a recorded store is done. libc's
 * sigaction() and its kin are interposed for that, in the library that `softpmem record` preloads only.
 *
 * SIGSEGV, SIGBUS and SIGTRAP are never blocked, whatever the program asks for. One that is sent by kill(2)
 * is delivered in spite of such a mask.
 */

/* These are NULL in the library of `softpmem run`. */

/* Take the handlers over that are installed. Once, by the process's only thread. 0 or a negative errno. */
int client_signal_handlers_own(void) __attribute__((weak));
/* In the child of a fork: the lock. */
void client_signal_handlers_fork_child(void) __attribute__((weak));

#endif
