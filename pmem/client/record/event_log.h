/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_EVENT_LOG_H
#define RECORD_EVENT_LOG_H

/*
 * Events of this thread, into its buffer of the trace. Private to pmem/client/record; compiled for general
 * registers alone, so that it may run between two instructions of the program.
 */

#include "client/record/state.h"

/*
 * Is there a buffer with room for `bytes`? False: log nothing. Attaches this thread's buffer at first, and
 * waits for room, so no lock may be held.
 */
bool record_log_room(uint64_t bytes);
/* Show what was put into the buffer to the consumer. */
void record_log_publish(void);

/*
 * What is now at the alias of an operation that took a stamp, in events of the kind that slots have; one
 * over the edge of two mappings is two events. Publishes nothing.
 */
void record_log_store(struct record_frame *frame);
/* One event each, published. */
void record_log_fence(enum record_fence_kind kind, uint32_t site);
void record_log_flush(uint64_t address, enum record_flush_kind kind, uint32_t site);

#endif
