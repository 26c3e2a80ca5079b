/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_COMPILER_H
#define CLIENT_COMPILER_H

/* Exported from libpmem.so.1; everything else is compiled with hidden visibility. */
#define PUBLIC __attribute__((visibility("default")))

/*
 * Thread-local, addressed relative to the thread pointer. The library is always preloaded, so the loader
 * finds room for it in the static TLS block.
 */
#define THREAD_HOT _Thread_local __attribute__((tls_model("initial-exec")))

/* A function that runs when the library is loaded, before constructors without this. */
#define AT_LOAD __attribute__((constructor(101)))

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#endif
