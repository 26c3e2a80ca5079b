/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_BUFFER_H
#define TRACE_BUFFER_H

/*
 * The shared memory of a recording (slot.h): a clock, and a buffer for each recorded
 * thread. The consumer creates both as memfds and hands the descriptors to the recorded
 * process; the producer attaches them.
 */

#include <stddef.h>

#include "trace/slot.h"

/* ---- The consumer. Thread safe for different objects ---------------------------- */

/* Create a clock. The caller owns the descriptor and unmaps with trace_clock_unmap(). 0 or negative errno. */
int trace_clock_create(struct trace_clock **clock, int *fd);
/* Map a clock that another process created. -EPROTO: the descriptor is of something else. */
int trace_clock_map(int fd, struct trace_clock **clock);
void trace_clock_unmap(struct trace_clock *clock);

/*
 * Sleep until a producer has filled a quarter of its ring or `milliseconds` have passed. The caller
 * takes from every buffer afterwards. Only one thread of the consumer sleeps on a clock.
 */
void trace_clock_sleep(struct trace_clock *clock, unsigned milliseconds);

/*
 * A buffer with a ring of ring_bytes: a power of two from TRACE_RING_BYTES_MIN to TRACE_RING_BYTES_MAX.
 * Its memory is sealed against a change of size. Events larger than half the ring cannot be logged.
 */
struct trace_buffer;
int trace_buffer_create(uint32_t ring_bytes, struct trace_buffer **out);
/* The descriptor to hand to the producer; it belongs to the buffer. */
int trace_buffer_fd(const struct trace_buffer *buffer);
uint32_t trace_buffer_ring_bytes(const struct trace_buffer *buffer);

/*
 * Copy published slots to `to`, at most `room` bytes, and give their room in the ring back. Returns the
 * number of bytes, a multiple of 8; a slot may be cut at its end and go on in the next call. -EPROTO: the
 * producer's positions are impossible; nothing more can be taken.
 */
ptrdiff_t trace_buffer_take(struct trace_buffer *buffer, void *to, size_t room);

/*
 * Has everything published been taken, and does the producer hold no stamp whose event is missing? A
 * producer that was killed between the two never gets idle: the caller knows that it is dead.
 */
bool trace_buffer_idle(const struct trace_buffer *buffer);

/* What the producer has published last. Odd: it holds a stamp, or is about to take one. */
uint64_t trace_buffer_head(const struct trace_buffer *buffer);

/* Tell the producer that recording has ended, and wake it. What it published before can still be taken. */
void trace_buffer_close(struct trace_buffer *buffer);
/* Close and free. NULL is allowed. */
void trace_buffer_destroy(struct trace_buffer *buffer);

/* ---- The producer (producer.c; system calls only, no libc state) ------------------ */

/*
 * Attach a buffer of the consumer and map its memory; `clock` is from trace_clock_map() and outlives the
 * producer. The descriptor may be closed afterwards. -EPROTO: it is no buffer of this version.
 */
int trace_producer_attach(struct trace_producer *producer, int fd, struct trace_clock *clock);
/* Unmap it. What was published stays for the consumer. */
void trace_producer_detach(struct trace_producer *producer);

/*
 * Log one event with a stamp of its own: room, stamp, slot, publish. Async-signal-safe. False: recording
 * has ended, or the event is malformed or larger than half the ring, and nothing was logged.
 *
 * `pool` is the id that the consumer gave this process for the pool, `site` an id below
 * TRACE_SLOT_SITE_MAX that this process defined by a TRACE_SITE event before.
 */
bool trace_log_store(struct trace_producer *producer, uint32_t flags, uint32_t site, uint32_t pool,
		     uint64_t offset, const void *bytes, uint64_t length);
bool trace_log_flush(struct trace_producer *producer, enum trace_flush which, uint32_t site, uint32_t pool,
		     uint64_t offset, uint64_t length);
bool trace_log_fence(struct trace_producer *producer, enum trace_fence which, uint32_t site);
/* Any other kind, and definitions of modules and sites; its stamp and thread are ignored. */
bool trace_log_event(struct trace_producer *producer, const struct trace_event *event);

#endif
