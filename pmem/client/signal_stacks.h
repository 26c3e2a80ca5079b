/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_SIGNAL_STACKS_H
#define CLIENT_SIGNAL_STACKS_H

/*
 * Stacks for handlers, sigaltstack(2), while the program is recorded: a handler that stores takes more than
 * it takes otherwise, so that in the place of a little stack there is a larger one. The program does not see
 * that, but in the addresses of its variables. In the library that `softpmem record` preloads only.
 * Async-signal-safe, but for the first call of a thread.
 */

#include <signal.h>

/* As sigaltstack(2): `stack` may be NULL. 0 or a negative errno. */
long client_signal_stack_set(const stack_t *stack, stack_t *old);
/* The stack that the calling thread has already. */
void client_signal_stack_own(void);

#endif
