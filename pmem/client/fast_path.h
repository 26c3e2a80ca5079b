/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_FAST_PATH_H
#define CLIENT_FAST_PATH_H

/*
 * Flush and fence in the usual case: a few lines of the range that was flushed last, by a thread that is not
 * in the middle of a flush, into a WPQ that it has and that has room. All of it is inline. A processor goes
 * on past stores that wait for memory only as far as its store buffer has room, so the number of stores
 * counts; calls and saved registers are stores.
 *
 * The functions return false if the case is another one. Then they have done nothing, and queue_flush() or
 * queue_fence() is to do it.
 */

#include "client/connection.h"
#include "client/settings.h"
#include "client/queues.h"
#include "client/ranges.h"

/*
 * Without asking whether it is allowed. `recorded`: the lines are read through the alias, by which they were
 * stored to. A second address of a line costs its cache and its translation once more.
 */
static inline __attribute__((always_inline)) bool flush_quickly(uintptr_t address, size_t length,
								 uint32_t flags, bool recorded)
{
	const unsigned char *view;
	struct thread *self = &thread_self;
	struct queue *queue = self->queues[0];
	struct range at;
	bool done;

	if (unlikely(!connection_domain_is(PERSISTENCE_MEMORY_CONTROLLER)))
		return false;
	if (unlikely(self->depth || !queue || !ranges_find_again(address, &at, recorded)))
		return false;
	/* length - 1: a flush of 0 bytes flushes no line. Only a pool has the region of a WPQ. */
	if (unlikely(length - 1 >= at.end - address || at.region != queue->region))
		return false;
	view = (const unsigned char *)(address - at.offset) + (recorded ? at.alias : 0);
	thread_enter(self);
	done = wpq_flush_now(&queue->producer, at.view, view, at.offset, length, flags);
	thread_leave(self, 0);
	if (unlikely(queue_is_filling(queue)))
		queue_ask_for_drain(queue);
	return done;
}

static inline __attribute__((always_inline)) bool fast_path_flush(uintptr_t address, size_t length,
								   uint32_t flags)
{
	return likely(client_fast_path_allowed()) && flush_quickly(address, length, flags, false);
}

/*
 * Fence the one WPQ that the thread has, and that nobody wants to hear of. If it is closed afterwards, what
 * it was not drained of is still to be published.
 */
static inline __attribute__((always_inline)) bool fence_one_queue(void)
{
	struct thread *self = &thread_self;
	struct queue *queue = self->queues[0];

	if (unlikely(self->depth || self->has_more || !queue))
		return false;
	if (unlikely(atomic_load_explicit(&queue->producer.header->announce, memory_order_relaxed)))
		return false;
	thread_order(self);
	thread_enter(self);
	wpq_fence(&queue->producer);
	thread_leave(self, 0);
	return true;
}

static inline __attribute__((always_inline)) bool fence_quickly(void)
{
	if (!fence_one_queue())
		return false;
	if (unlikely(queue_is_closed(thread_self.queues[0])))
		queue_reopen(thread_self.queues[0]);
	return true;
}

static inline __attribute__((always_inline)) bool fast_path_fence(void)
{
	return likely(client_fast_path_allowed()) && fence_quickly();
}

#endif
