/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_EVENT_LOG_H
#define RECORD_EVENT_LOG_H

/*
 * Events of this thread, into its buffer of the trace. Private to pmem/client/record; compiled for general
 * registers alone, so that it may run between two instructions of the program.
 */

#include "client/record/state.h"

/*
 * Is there a buffer with room for a slot with `bytes` of contents (two slots: TRACE_SLOT_ROOM more)? False:
 * log nothing. Attaches this thread's buffer at first, and waits for room, so no lock may be held.
 */
static inline bool record_log_room(uint64_t bytes);
/* Show what was put into the buffer to the consumer. */
static inline void record_log_publish(void);

/* After the producer (trace/slot.h) was used otherwise than by this header's functions. */
void record_log_limit(void);

/*
 * What is now at the alias of an operation that took a stamp, in events of the kind that slots have; one
 * over the edge of two mappings is two events. Publishes nothing.
 */
void record_log_store(struct record_frame *frame);
/* One event each, published. */
static inline void record_log_fence(enum record_fence_kind kind, uint32_t site);
void record_log_flush(uint64_t address, enum record_flush_kind kind, uint32_t site);

/* ---- Private to this header, event_log.c and own_stores.c ----------------------------- */

/* The rare half: the first event, one that may not fit, the bell, the end of the recording. */
bool record_log_wait_room(uint64_t bytes);

/* The comparison of inline stubs. */
static inline bool record_log_has_room(uint64_t bytes)
{
	return __builtin_expect(record_self.producer.head + bytes < record_self.inline_limit, 1);
}

static inline bool record_log_room(uint64_t bytes)
{
	return record_log_has_room(bytes) || record_log_wait_room(bytes);
}

static inline void record_log_publish(void)
{
	const struct trace_producer *producer = &record_self.producer;

	atomic_store_explicit(&producer->header->head, producer->head, memory_order_release);
}

static inline void record_log_fence(enum record_fence_kind kind, uint32_t site)
{
	struct trace_producer *producer = &record_self.producer;

	if (!record_log_room(0))
		return;
	trace_put_fence(producer, trace_stamp(producer), (enum trace_fence)kind, site);
	record_log_publish();
}

#endif
