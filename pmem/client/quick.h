/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_QUICK_H
#define CLIENT_QUICK_H

/*
 * Flush and fence as they mostly are: a few lines of the pool that was flushed last, by a thread that
 * no handler has interrupted, into a WPQ that it has and that has room. In line, and without a call
 * that has to come back: what a program stored to comes from memory while it goes on, and how far it
 * can go on is how many stores its processor keeps. Each call, and each register it saves, is a store.
 *
 * Both say false where it is not so: then nothing was done, and flush_range() or fence() does it.
 */

#include "client/private.h"

static inline __attribute__((always_inline)) bool quick_flush(uintptr_t address, size_t length,
							      uint32_t flags)
{
	struct thread *self = &thread_self;
	struct queue *queue = self->queues[0];
	struct range at;
	bool done;

	if (unlikely(!settings_are_plain() || !connection_domain_is(PERSISTENCE_MEMORY_CONTROLLER)))
		return false;
	if (unlikely(self->depth || !queue || !ranges_find_again(address, &at)))
		return false;
	/* What was found is a pool's; length 0 is no line at all. */
	if (unlikely(length - 1 >= at.end - address || at.region != queue->region))
		return false;
	thread_enter(self);
	done = wpq_flush_now(&queue->producer, at.view, (unsigned char *)(address - at.offset), at.offset,
			     length, flags);
	thread_leave(self, 0);
	if (unlikely(queue_is_filling(queue)))
		queue_ask_for_drain(queue);
	return done;
}

static inline __attribute__((always_inline)) bool quick_fence(void)
{
	struct thread *self = &thread_self;
	struct queue *queue = self->queues[0];

	if (unlikely(!settings_are_plain() || self->depth || self->has_more || !queue))
		return false;
	thread_order(self);
	thread_enter(self);
	wpq_fence(&queue->producer);
	thread_leave(self, 0);
	if (unlikely(queue_is_closed(queue)))
		queue_reopen(queue);
	return true;
}

#endif
