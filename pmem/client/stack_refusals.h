/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_STACK_REFUSALS_H
#define CLIENT_STACK_REFUSALS_H

/*
 * Stacks of a recorded program that lie in pools end it, with the name of the function that has been given
 * such a stack. In the library that `softpmem record` preloads only. Thread-safe, async-signal-safe.
 */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* `size` bytes from `lowest` on; `name`: at most 100 bytes. */
void client_refuse_stack(uintptr_t lowest, size_t size, const char *name);
/* Of a thread with these attributes. NULL in the library of `softpmem run`. */
void client_refuse_thread_stack(const pthread_attr_t *attributes) __attribute__((weak));

#endif
