/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/fence_seen.h"

#include "client/queues.h"
#include "client/settings.h"
#include "client/signals.h"

bool client_fence_seen_quickly(void)
{
	struct thread *self = &thread_self;
	struct queue *queue = self->queues[0];

	if (unlikely(signals_locks_held || self->depth || self->has_more || !queue))
		return false;
	if (unlikely(!atomic_load_explicit(&client_settings_known, memory_order_acquire) ||
		     client_settings_read.through))
		return false;
	if (unlikely(atomic_load_explicit(&queue->producer.header->announce, memory_order_relaxed)))
		return false;
	thread_order(self);
	thread_enter(self);
	wpq_fence(&queue->producer);
	thread_leave(self, 0);
	/* Closed before it was published: what was not drained is published again. */
	return !queue_is_closed(queue);
}
