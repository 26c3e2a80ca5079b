/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_KERNEL_REFUSALS_H
#define CLIENT_KERNEL_REFUSALS_H

/*
 * The kernel would have to store to a pool for the call `name`: print this and the way out, and end the
 * process. In the library that `softpmem record` preloads only. Thread safe, async-signal-safe. Each
 * string at most 100 bytes.
 */
_Noreturn void client_refuse_kernel_store(const char *name, const char *way_out);

#define CLIENT_STORE_ELSEWHERE "let it store to other memory, and copy that to the pool"

#endif
