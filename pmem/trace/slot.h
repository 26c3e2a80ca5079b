/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_SLOT_H
#define TRACE_SLOT_H

/*
 * How a recorded thread writes its events into shared memory.
 *
 * Each thread has a buffer: a header and a ring of slots, in memory of the consumer
 * (the daemon, or the process that started the recorded one). One clock, shared by
 * all buffers of a recording, orders their events: each event takes the next stamp
 * with one locked add. Stamps are dense, so the consumer sees a gap when an event
 * was stamped and not published yet.
 *
 * A slot is some 8-byte words, little-endian. Word 0 is
 *
 *	bits 0-5   kind, enum trace_slot_kind
 *	bits 6-11  by kind: bytes or lines, less one
 *	bits 12-15 by kind: flags or which instruction
 *	bits 16-39 site id of this process; 0: not known
 *	bits 40-63 the low bits of the stamp
 *
 * The stamp's high bits are those of the last TRACE_SLOT_REBASE in this buffer; at
 * the start they are 0. Word 1 of a memory event has the offset in bits 0-47 and in
 * bits 48-63 the pool id that the consumer gave this process.
 *
 * A store of 8 bytes takes 24 bytes, a flush 16, a fence 8.
 *
 * The functions in this header call nothing of libc and take no lock. They are
 * async-signal-safe, but a buffer has one producer: a signal handler must not use its
 * thread's buffer between trace_stamp() and trace_publish() of the interrupted code. A
 * forked child must not use its parent's buffers. A full ring blocks the producer
 * in trace_room(), before it has taken a stamp or the caller a lock.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/prefetch.h"
#include "trace/event.h"

#define TRACE_CLOCK_MAGIC 0x4b4c4354u  /* "TCLK" */
#define TRACE_BUFFER_MAGIC 0x46554254u /* "TBUF" */
#define TRACE_SHARED_VERSION 2u

/* One page, shared by every producer and the consumer of a recording. */
struct trace_clock {
	uint32_t magic;
	uint32_t version;
	/* Written by producers: the last stamp that was taken. Stamps start at 1. */
	_Alignas(64) _Atomic uint64_t stamp;
	/*
	 * Written by the consumer. 1: the one producer there is takes stamps without locking the clock, which
	 * is half of what a store costs. The consumer takes it back before anybody else takes a stamp
	 * (merge_share()).
	 */
	_Atomic uint32_t alone;
	/* A futex. 1: the consumer sleeps. After each quarter of its ring a producer sets 0 and wakes it. */
	_Alignas(64) _Atomic uint32_t asleep;
};
_Static_assert(offsetof(struct trace_clock, stamp) == 64 && offsetof(struct trace_clock, alone) == 72 &&
		       offsetof(struct trace_clock, asleep) == 128 &&
		       sizeof(struct trace_clock) == 192,
	       "shared with other processes");

enum trace_buffer_state {
	TRACE_BUFFER_OPEN,
	TRACE_BUFFER_CLOSED, /* recording has ended: the producer logs no more */
};

/* The first page of a buffer; the ring follows. Positions count bytes since the start and never wrap. */
struct trace_buffer_header {
	uint32_t magic;
	uint32_t version;
	uint32_t header_bytes; /* where the ring starts: TRACE_BUFFER_HEADER_BYTES */
	uint32_t ring_bytes;   /* a power of two */
	/*
	 * Written by the producer: slots below it are published. Bit 0 is no part of the position: it is
	 * set while the producer holds a stamp whose slot is not published.
	 */
	_Alignas(64) _Atomic uint64_t head;
	/* Written by the consumer: room below it may be used again. Its low half is a futex. */
	_Alignas(64) _Atomic uint64_t tail;
	/* Set by the producer before it sleeps on the tail, cleared by the consumer before it wakes it. */
	_Atomic uint32_t waiting;
	_Atomic uint32_t state; /* written by the consumer: enum trace_buffer_state */
};
_Static_assert(offsetof(struct trace_buffer_header, head) == 64 &&
		       offsetof(struct trace_buffer_header, tail) == 128 &&
		       offsetof(struct trace_buffer_header, waiting) == 136 &&
		       offsetof(struct trace_buffer_header, state) == 140 &&
		       sizeof(struct trace_buffer_header) == 192,
	       "shared with other processes");

#define TRACE_BUFFER_HEADER_BYTES 4096u
#define TRACE_RING_BYTES_MIN (64u << 10)
#define TRACE_RING_BYTES_MAX (256u << 20)

enum trace_slot_kind {
	/* Word 1: bytes (1 to 64, less one in word 0), TRACE_* store flags. Then the bytes, padded to 8. */
	TRACE_SLOT_STORE = 1,
	/* As TRACE_SLOT_STORE, with the mask as word 2. */
	TRACE_SLOT_STORE_MASKED = 2,
	/* As TRACE_SLOT_STORE, with the number of bytes as word 2 (bits 6-11 of word 0 are 0). */
	TRACE_SLOT_STORE_LONG = 3,
	/* Word 1: the first line; lines (1 to 64, less one in word 0); enum trace_flush. */
	TRACE_SLOT_FLUSH = 4,
	/* enum trace_fence. */
	TRACE_SLOT_FENCE = 5,
	/* No event, takes no stamp. Word 1: a stamp, whose bits 24-63 count from here on. */
	TRACE_SLOT_REBASE = 6,
	/* Word 1: a number of bytes. Then an event as trace_encode() writes it, padded to 8. */
	TRACE_SLOT_EVENT = 7,
	/* A stamp that was taken and is not used. */
	TRACE_SLOT_VOID = 8,
};

#define TRACE_SLOT_STAMP_SHIFT 40
#define TRACE_SLOT_STAMP_BITS 24
#define TRACE_SLOT_SITE_SHIFT 16
#define TRACE_SLOT_SITE_MAX 0xffffffu
#define TRACE_SLOT_POOL_SHIFT 48
#define TRACE_SLOT_POOL_MAX 0xffffu
#define TRACE_SLOT_INLINE_MAX 64u /* bytes of TRACE_SLOT_STORE, lines of TRACE_SLOT_FLUSH */
/* The most that one of the fixed forms takes, with a rebase before it: what a stub asks trace_room() for. */
#define TRACE_SLOT_ROOM 128u

/* A thread's end of its buffer. Not shared; one thread uses it. */
struct trace_producer {
	struct trace_buffer_header *header;
	struct trace_clock *clock;
	unsigned char *ring; /* mapped twice, back to back: a slot is always contiguous */
	uint64_t mask;	     /* size of the ring less one, checked when it was attached */
	uint64_t head;	     /* authoritative; header->head follows it */
	uint64_t limit;	     /* the head may grow to here without another look at the tail */
	uint64_t bell;	     /* at this head, look whether the consumer sleeps */
	uint64_t rebase_at;  /* the first stamp whose upper bits are not those of the last rebase */
	bool closed;	     /* the consumer has closed the buffer, or gone_fn said that it is gone */
	/*
	 * Called every 100 ms while the ring stays full; true: the consumer is gone, log nothing more.
	 * NULL: wait without an end.
	 */
	bool (*gone_fn)(void *context);
	void *gone_context;
};

/* The out-of-line parts of trace_room() and trace_publish(), in producer.c. */
bool trace_wait_room(struct trace_producer *producer, uint64_t bytes);
void trace_ring_bell(struct trace_producer *producer);
/* Put a rebase for this stamp at `slot`, where the head is. */
static inline void trace_put_rebase(struct trace_producer *producer, uint64_t *slot, uint64_t stamp);
/* The same under a store's `words` words, which are there by now and move on. Returns where. */
uint64_t *trace_rebase_below(struct trace_producer *producer, uint64_t *slot, uint64_t stamp, uint64_t words);

/*
 * Wait until there is room for `bytes` (of all slots up to the next trace_publish(), rebases of 16 bytes
 * included; at most half the ring). Call it before a lock or a stamp is taken. False: recording has ended,
 * log nothing.
 */
static inline bool trace_room(struct trace_producer *producer, uint64_t bytes)
{
	if (__builtin_expect(producer->head + bytes <= producer->limit, 1))
		return true;
	return trace_wait_room(producer, bytes);
}

/*
 * Take the next stamp: this is the moment of the event in memory order. Take it with the lock of the
 * event's line held, if threads can race for that line. The event's slot, or trace_put_void(), and
 * trace_publish() must follow.
 */
static inline uint64_t trace_stamp(struct trace_producer *producer)
{
	struct trace_clock *clock = producer->clock;
	uint64_t before = 1;

	/*
	 * Before the stamp is taken (stores are seen in their order): a consumer that finds a later stamp
	 * also finds this bit, and waits for us. Before `alone` is looked at, too, for the same reason.
	 */
	atomic_store_explicit(&producer->header->head, producer->head | 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&clock->alone, memory_order_relaxed))
		return atomic_fetch_add_explicit(&clock->stamp, 1, memory_order_seq_cst) + 1;
	/* One instruction: a thread that loses its processor has done all of it or nothing. */
	__asm__ volatile("xaddq %0, %1" : "+r"(before), "+m"(clock->stamp) : : "cc", "memory");
	return before + 1;
}

/* Make what was put since the last call visible to the consumer. It then survives a SIGKILL. */
static inline void trace_publish(struct trace_producer *producer)
{
	/* Release: the slots come before the position that covers them. */
	atomic_store_explicit(&producer->header->head, producer->head, memory_order_release);
	if (__builtin_expect(producer->head >= producer->bell, 0))
		trace_ring_bell(producer);
}

static inline uint64_t *trace_slot_at(const struct trace_producer *producer)
{
	return (uint64_t *)(void *)(producer->ring + (producer->head & producer->mask));
}

/* Word 0, but for the stamp. What does not change of it may be made beforehand. */
static inline uint64_t trace_slot_word(enum trace_slot_kind kind, uint32_t less_one, uint32_t flags,
				       uint32_t site)
{
	return (uint64_t)kind | (uint64_t)less_one << 6 | (uint64_t)flags << 12 |
	       (uint64_t)(site & TRACE_SLOT_SITE_MAX) << TRACE_SLOT_SITE_SHIFT;
}

/* Word 1 of a memory event. */
static inline uint64_t trace_slot_place(uint32_t pool, uint64_t offset)
{
	return (uint64_t)pool << TRACE_SLOT_POOL_SHIFT | offset;
}

static inline void trace_put_rebase(struct trace_producer *producer, uint64_t *slot, uint64_t stamp)
{
	slot[0] = TRACE_SLOT_REBASE;
	slot[1] = stamp;
	producer->rebase_at = ((stamp >> TRACE_SLOT_STAMP_BITS) + 1) << TRACE_SLOT_STAMP_BITS;
	producer->head += 16;
}

/* Put word 0 with the stamp, after a rebase if there has to be one. Returns where the slot starts. */
static inline uint64_t *trace_slot_begin(struct trace_producer *producer, uint64_t word, uint64_t stamp)
{
	uint64_t *slot = trace_slot_at(producer);

	if (__builtin_expect(stamp >= producer->rebase_at, 0)) {
		trace_put_rebase(producer, slot, stamp);
		slot = trace_slot_at(producer);
	}
	slot[0] = word | stamp << TRACE_SLOT_STAMP_SHIFT;
	return slot;
}

/* Copy bytes without libc; the last word is filled up with zeros. */
static inline void trace_slot_copy(uint64_t *to, const void *bytes, uint64_t length)
{
	const unsigned char *from = bytes;
	uint64_t last = 0;

	for (; length >= 8; length -= 8, from += 8)
		__builtin_memcpy(to++, from, 8);
	if (!length)
		return;
	for (uint64_t i = 0; i < length; i++)
		last |= (uint64_t)from[i] << (8 * i);
	*to = last;
}

/* A store of 1 to TRACE_SLOT_INLINE_MAX bytes; TRACE_SLOT_ROOM was asked for. */
static inline void trace_put_store(struct trace_producer *producer, uint64_t stamp, uint32_t flags,
				   uint32_t site, uint64_t place, const void *bytes, uint32_t length)
{
	uint64_t *slot = trace_slot_begin(producer,
					  trace_slot_word(TRACE_SLOT_STORE, length - 1, flags, site), stamp);

	slot[1] = place;
	trace_slot_copy(slot + 2, bytes, length);
	producer->head += 16 + (((uint64_t)length + 7) & ~(uint64_t)7);
}

/* The same with a mask, which is not 0: bit i says that byte i is stored. */
static inline void trace_put_store_masked(struct trace_producer *producer, uint64_t stamp, uint32_t flags,
					  uint32_t site, uint64_t place, uint64_t mask, const void *bytes,
					  uint32_t length)
{
	uint64_t *slot = trace_slot_begin(
		producer, trace_slot_word(TRACE_SLOT_STORE_MASKED, length - 1, flags, site), stamp);

	slot[1] = place;
	slot[2] = mask;
	trace_slot_copy(slot + 3, bytes, length);
	producer->head += 24 + (((uint64_t)length + 7) & ~(uint64_t)7);
}

/* A store of any length up to TRACE_BYTES_MAX; length + TRACE_SLOT_ROOM was asked for. */
static inline void trace_put_store_long(struct trace_producer *producer, uint64_t stamp, uint32_t flags,
					uint32_t site, uint64_t place, const void *bytes, uint64_t length)
{
	uint64_t *slot = trace_slot_begin(producer, trace_slot_word(TRACE_SLOT_STORE_LONG, 0, flags, site),
					  stamp);

	slot[1] = place;
	slot[2] = length;
	trace_slot_copy(slot + 3, bytes, length);
	producer->head += 24 + ((length + 7) & ~(uint64_t)7);
}

/*
 * The consumer's processor had the lines of the ring last. A stamp is a locked add, which waits for all
 * stores before it, so the lines are asked for, for writing, this far ahead.
 */
#define TRACE_SLOT_AHEAD 512
static inline void trace_slot_prefetch(const uint64_t *slot, uint64_t bytes)
{
	const unsigned char *at = (const unsigned char *)slot + TRACE_SLOT_AHEAD;

	uint64_t done = 0;

	do {
		prefetch_for_writing(at + done);
		done += 64;
	} while (done < bytes);
}

/* Words before the bytes of a store without a mask. */
static inline uint64_t trace_slot_head(uint64_t length)
{
	return length <= TRACE_SLOT_INLINE_MAX ? 2 : 3;
}

/*
 * Where the bytes of the store that is put next will be. They may be copied there before a stamp is taken.
 * The last word is filled up with zeros already.
 */
static inline void *trace_slot_bytes(const struct trace_producer *producer, uint64_t length)
{
	uint64_t *bytes = trace_slot_at(producer) + trace_slot_head(length);

	bytes[(length - 1) / 8] = 0;
	return bytes;
}

/*
 * A store whose bytes are `there`, at trace_slot_bytes(); length + TRACE_SLOT_ROOM was asked for. Returns
 * where they are now, until the slot is published.
 */
static inline const void *trace_put_store_there(struct trace_producer *producer, void *there, uint64_t stamp,
						uint32_t flags, uint32_t site, uint64_t place,
						uint64_t length)
{
	const uint64_t head = trace_slot_head(length), words = head + (length + 7) / 8;
	uint64_t *slot = (uint64_t *)there - head;

	if (__builtin_expect(stamp >= producer->rebase_at, 0))
		slot = trace_rebase_below(producer, slot, stamp, words);
	if (length <= TRACE_SLOT_INLINE_MAX) {
		slot[0] = trace_slot_word(TRACE_SLOT_STORE, (uint32_t)length - 1, flags, site) |
			  stamp << TRACE_SLOT_STAMP_SHIFT;
	} else {
		slot[0] = trace_slot_word(TRACE_SLOT_STORE_LONG, 0, flags, site) |
			  stamp << TRACE_SLOT_STAMP_SHIFT;
		slot[2] = length;
	}
	slot[1] = place;
	producer->head += 8 * words;
	trace_slot_prefetch(slot, 8 * words);
	return slot + head;
}

/* clwb, clflushopt or clflush of 1 to TRACE_SLOT_INLINE_MAX lines from `place` on, ascending. */
static inline void trace_put_flush(struct trace_producer *producer, uint64_t stamp, enum trace_flush which,
				   uint32_t site, uint64_t place, uint32_t lines)
{
	uint64_t *slot = trace_slot_begin(producer, trace_slot_word(TRACE_SLOT_FLUSH, lines - 1, which, site),
					  stamp);

	slot[1] = place;
	producer->head += 16;
}

static inline void trace_put_fence(struct trace_producer *producer, uint64_t stamp, enum trace_fence which,
				   uint32_t site)
{
	trace_slot_begin(producer, trace_slot_word(TRACE_SLOT_FENCE, 0, which, site), stamp);
	producer->head += 8;
}

/* The stamp stands for nothing: its event did not happen. */
static inline void trace_put_void(struct trace_producer *producer, uint64_t stamp)
{
	trace_slot_begin(producer, trace_slot_word(TRACE_SLOT_VOID, 0, 0, 0), stamp);
	producer->head += 8;
}

#endif
