/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_EVENTS_H
#define CLIENT_EVENTS_H

/*
 * The library's own stores, flushes and fences, for a recorder. One recorder a process may be attached; it is
 * told of every store that the library makes to the program's memory, every flush and every fence.
 *
 * While none is attached this costs nothing: an attached recorder forbids the fast paths (settings.h) of
 * flush, fence and store, and only their slow paths ask for a recorder.
 *
 * What the trace calls durable, the WPQs have: a flush is announced before its lines are copied to a WPQ, a
 * fence after they were published.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "client/compiler.h"

enum client_store_kind { CLIENT_STORE_CACHED, CLIENT_STORE_NONTEMPORAL };

/*
 * All functions are called on the thread whose event it is, also within signal handlers, and must neither
 * change errno nor call the library. Addresses need not be in pools.
 */
struct client_recorder {
	/* Make the stores of memmove(3) or memset(3), and record them. Non-temporal ones need no flush. */
	void (*copy)(void *to, const void *from, size_t length, enum client_store_kind kind);
	void (*set)(void *to, int value, size_t length, enum client_store_kind kind);
	/* clwb of each line of [address, address + length). */
	void (*flush)(uintptr_t address, size_t length);
	/* sfence. */
	void (*fence)(void);
};

/* Private to this header and events.c. */
extern _Atomic(const struct client_recorder *) client_recorder_attached;

/* The attached recorder, or NULL. */
static inline const struct client_recorder *client_recorder(void)
{
	return atomic_load_explicit(&client_recorder_attached, memory_order_acquire);
}

/*
 * Attach a recorder, or detach it with NULL. It is borrowed until then. Events that other threads are in the
 * middle of may be missed, so attach before there are other threads.
 */
void client_recorder_attach(const struct client_recorder *recorder);

static inline void client_event_flush(uintptr_t address, size_t length)
{
	const struct client_recorder *recorder = client_recorder();

	if (unlikely(recorder))
		recorder->flush(address, length);
}

static inline void client_event_fence(void)
{
	const struct client_recorder *recorder = client_recorder();

	if (unlikely(recorder))
		recorder->fence();
}

#endif
