/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_KERNEL_REFUSALS_H
#define CLIENT_KERNEL_REFUSALS_H

#include <stdint.h>

/*
 * The kernel would have to store to a pool for the call `name`: print this and the way out, and end the
 * process. In the library that `softpmem record` preloads only. Thread safe, async-signal-safe. Each
 * string at most 100 bytes.
 */
_Noreturn void client_refuse_kernel_store(const char *name, const char *way_out);

/* Rings that the kernel stores to later, where nobody sees it: prints `name` the first time. -ENOSYS. */
long client_refuse_rings(const char *name);
/*
 * The kernel stores the numbers of a new thread, by the flags of clone(2), at these addresses: ends the
 * process if it is asked to store one to a pool.
 */
void client_refuse_thread_numbers(unsigned long flags, const void *parent, const void *child);

/* All of these of libc's clone(). NULL in the library of `softpmem run`. */
void client_refuse_clone(unsigned long flags, uintptr_t stack, const void *parent, const void *child)
	__attribute__((weak));
/* Ends the process if a thread by these flags has the thread-local variables of the one that makes it. */
void client_refuse_shared_variables(unsigned long flags);

#define CLIENT_STORE_ELSEWHERE "let it store to other memory, and copy that to the pool"

#endif
