/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_MODULES_H
#define CLIENT_MODULES_H

/*
 * Definitions of a recorded process: the loaded objects, and the sites of its events in them, each defined
 * in the trace before the first event that refers to it.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/compiler.h"

/*
 * Learn which objects are loaded now. Thread-safe; not in signal handlers. Objects that are not known are
 * taken for no object, and sites in them for bare addresses.
 */
void client_modules_refresh(void);
/*
 * For record_setup.on_site. Signals are blocked. A site that stores has the call stack with which it is
 * executed now, as deep as the settings say.
 */
void client_modules_define_site(uint32_t site, uintptr_t address, bool stores);
/*
 * The site of the call of one of our functions that returns to `address`, with its call stack at the first
 * time; 0 if there are too many. Thread-safe, async-signal-safe.
 */
static inline uint32_t client_modules_caller(uintptr_t address);
/* Before a fork, with signals blocked; then one of the other two. Definitions are inherited. */
void client_modules_fork_prepare(void);
void client_modules_fork_parent(void);
void client_modules_fork_child(void);

/* ---- Private to this header and modules.c ------------------------------------------------------ */

/*
 * The callers that were asked for last: an address, and in the low bits its place among all callers, whose
 * table is spread over so many pages that most lookups would wait for a translation.
 */
#define CLIENT_CALLERS_FIRST (1u << 20)
#define CLIENT_CALLERS_PLACE 16
#define CLIENT_CALLERS_RECENT 10
extern _Atomic uint64_t client_callers_recent[1u << CLIENT_CALLERS_RECENT];
uint32_t client_modules_find_caller(uintptr_t address);

static inline uint64_t client_callers_hash(uintptr_t address)
{
	return address * 0x9e3779b97f4a7c15u;
}

static inline uint32_t client_modules_caller(uintptr_t address)
{
	const uint64_t entry = atomic_load_explicit(
		&client_callers_recent[client_callers_hash(address) >> (64 - CLIENT_CALLERS_RECENT)],
		memory_order_acquire);

	if (likely(entry >> CLIENT_CALLERS_PLACE == address && address))
		return CLIENT_CALLERS_FIRST + (uint32_t)(entry & ((1u << CLIENT_CALLERS_PLACE) - 1));
	return client_modules_find_caller(address);
}

#endif
