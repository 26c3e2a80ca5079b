/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_CALL_STACK_H
#define CLIENT_CALL_STACK_H

/*
 * The call stack of a recorded thread, as libgcc unwinds it for exceptions: by the tables that compilers
 * write for each function, with or without frame pointers. Code without tables, or with wrong ones, ends the
 * stack. In the library that `softpmem record` preloads only.
 */

#include <stdbool.h>
#include <stdint.h>

/*
 * Put the return addresses of the calls that led to the instruction at `address` into `frames`, the innermost
 * first, at most `most` of them. The calling function must have been called, perhaps through a signal
 * handler, by the function whose instruction is at `address`, or returns there. Returns their number; 0 too
 * if `address` is not on the stack. Thread-safe; in signal handlers too. NULL in the library of
 * `softpmem run`.
 */
unsigned client_call_stack(uintptr_t address, uintptr_t *frames, unsigned most) __attribute__((weak));

/*
 * Has this SIGSEGV or SIGBUS interrupted client_call_stack()? Then the stack ends there: `context` (a
 * ucontext_t) is changed, and the handler is to return.
 */
bool client_call_stack_faulted(void *context);

#endif
