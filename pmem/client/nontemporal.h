/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_NONTEMPORAL_H
#define CLIENT_NONTEMPORAL_H

#include <stddef.h>

/*
 * Store whole lines past the caches, and what was stored a second time with
 * ordinary stores: `to` is aligned to a line, `copy` to 16 bytes, `from` need not
 * be. Each byte of `from` is read once. The stores to `to` are unordered until
 * the thread's next sfence. Async-signal-safe; AVX registers are the caller's to lose.
 */
void nontemporal_store_lines(void *to, void *copy, const void *from, size_t lines);

#endif
