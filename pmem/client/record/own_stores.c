/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the client itself does to pools: copies, flushes and fences of libpmem's functions, bytes that the
 * kernel stores. Called as functions, not by stubs. Between taking a stamp and publishing it the thread
 * counts as inside of C code, so that signals are deferred (record_defer()).
 */

#include <immintrin.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/rawcall.h"
#include "client/record/calls.h"
#include "client/record/engine.h"
#include "client/record/event_log.h"
#include "client/record/line_locks.h"
#include "client/record/operand.h"
#include "common/align.h"
#include "trace/buffer.h"

/* Of one event: as many locks are held, and as many bytes are on the stack. */
#define PIECE_BYTES 4096u
/* As far as a loop of vector stores is not slower than a call of memcpy(3). */
#define COPY_FEW 512u

typedef uint64_t uint64_u __attribute__((aligned(1), may_alias));
typedef uint32_t uint32_u __attribute__((aligned(1), may_alias));
typedef uint16_t uint16_u __attribute__((aligned(1), may_alias));

/* ---- Sections that no signal handler interrupts ------------------------------------------- */

static inline void section_begin(void)
{
	if (!record_self.stack_top)
		record_thread_setup();
	record_self.inside++;
	atomic_signal_fence(memory_order_seq_cst);
}

static __attribute__((noinline)) void deliver_kept(void)
{
	struct record_thread *self = &record_self;
	uint64_t mask;

	/* All asynchronous signals are blocked since one was kept back. */
	mask = self->kept_mask;
	RAW4(rt_tgsigqueueinfo, RAW1(getpid, 0), RAW1(gettid, 0), self->kept_info.si_signo, &self->kept_info);
	self->stepping = false;
	RAW4(rt_sigprocmask, 2 /* SIG_SETMASK */, &mask, NULL, sizeof(mask));
}

static inline void section_end(void)
{
	atomic_signal_fence(memory_order_seq_cst);
	if (!--record_self.inside && __builtin_expect(record_self.stepping, 0))
		deliver_kept();
}

/* ---- Pools ------------------------------------------------------------------------------------ */

/* What is at `at`: a range, or NULL; *stop: where that may change, at most `end`. */
static const struct record_range *part_at(uint64_t at, uint64_t end, uint64_t *stop)
{
	const struct record_range *range = record_range_find(at);
	uint64_t chunk = at >> RECORD_CHUNK_SHIFT;

	if (range)
		*stop = min_u64(end, range->start + range->length);
	else if (chunk < RECORD_CHUNKS && record_low->chunks[chunk])
		*stop = min_u64(end, align_down(at, PAGE_BYTES) + PAGE_BYTES);
	else
		*stop = min_u64(end, (chunk + 1) << RECORD_CHUNK_SHIFT);
	return range;
}

const uint8_t *record_chunks;

bool record_concerns_in_full(uintptr_t address, size_t length)
{
	const uint64_t last = (uint64_t)RECORD_CHUNKS << RECORD_CHUNK_SHIFT;
	const uint64_t end = address + length < address ? last : min_u64(address + length, last);

	if (!record_chunks)
		return false;
	for (uint64_t at = address; at < end;)
		if (part_at(at, end, &at))
			return true;
	return false;
}

/* ---- Stores --------------------------------------------------------------------------------- */

/* Where the bytes come from: memory, or one value. */
struct bytes {
	const unsigned char *from;
	int value;
};

/* At most a page, which may lie in two. One that is missing raises its signal here, where no lock is held. */
static void touch(const unsigned char *at, uint64_t length)
{
	(void)*(const volatile unsigned char *)at;
	(void)*(const volatile unsigned char *)(at + length - 1);
}

/* The first and the last bytes of up to twice as many as `type` has. */
#define COPY_ENDS(type)                                                             \
	do {                                                                        \
		const type first = *(const type *)from;                             \
		const type last = *(const type *)(from + length - sizeof(type));    \
	                                                                            \
		*(type *)to = first;                                                \
		*(type *)(to + length - sizeof(type)) = last;                       \
	} while (0)

/*
 * memcpy(3) of few bytes: most copies are short, and memcpy(3) itself is one of the functions that this
 * library interposes. As with it, another thread sees a word of 2, 4 or 8 bytes whole.
 */
static inline void copy_few(unsigned char *to, const unsigned char *from, uint64_t length)
{
	if (length >= 16) {
		for (uint64_t at = 0; at + 16 <= length; at += 16)
			_mm_storeu_si128((__m128i *)(to + at), _mm_loadu_si128((const __m128i *)(from + at)));
		_mm_storeu_si128((__m128i *)(to + length - 16),
				 _mm_loadu_si128((const __m128i *)(from + length - 16)));
	} else if (length >= 8) {
		COPY_ENDS(uint64_u);
	} else if (length >= 4) {
		COPY_ENDS(uint32_u);
	} else if (length >= 2) {
		COPY_ENDS(uint16_u);
	} else {
		*to = *from;
	}
}

/* They do not overlap. */
static inline void copy_bytes(void *to, const void *from, uint64_t length)
{
	if (length <= COPY_FEW)
		copy_few(to, from, length);
	else
		memcpy(to, from, length);
}

static void take_bytes(const struct bytes *bytes, uint64_t done, void *to, uint64_t length)
{
	if (bytes->from)
		copy_bytes(to, bytes->from + done, length);
	else
		memset(to, bytes->value, length);
}

/* The bytes are in the buffer, where trace_slot_bytes() says. */
static inline __attribute__((always_inline)) void log_and_store(const struct record_range *range, uint64_t at,
								 uint64_t length, uint32_t flags,
								 uint32_t site)
{
	struct trace_producer *producer = &record_self.producer;
	const uint64_t stamp = trace_stamp(producer);
	const void *there =
		trace_put_store_there(producer, stamp, flags, site, record_place(range, at), length);

	copy_bytes((void *)(at + range->delta), there, length);
}

/* The functions with a frame are apart: it is large, and few programs have more than one thread. */
static __attribute__((noinline)) void log_and_store_locked(const struct record_range *range, uint64_t at,
							    uint64_t length, uint32_t flags, uint32_t site)
{
	struct record_frame frame; /* the lines' locks need few of its fields */

	frame.address = at;
	frame.length = length;
	record_lines_take(&frame);
	log_and_store(range, at, length, flags, site);
	record_lines_give(&frame);
}

/* The recording has ended. */
static __attribute__((noinline)) void store_unlogged(const struct record_range *range, uint64_t at,
						      const struct bytes *bytes, uint64_t done,
						      uint64_t length)
{
	unsigned char piece[PIECE_BYTES];
	struct record_frame frame;

	/* Where they come from may overlap where they go. */
	take_bytes(bytes, done, piece, length);
	frame.address = at;
	frame.length = length;
	record_lines_take(&frame);
	copy_bytes((void *)(at + range->delta), piece, length);
	record_lines_give(&frame);
}

/* At most PIECE_BYTES, wholly in the range. The bytes go to the buffer, and from there to the pool. */
static inline __attribute__((always_inline)) void store_piece(const struct record_range *range, uint64_t at,
							       const struct bytes *bytes, uint64_t done,
							       uint64_t length, uint32_t flags, uint32_t site)
{
	touch((const unsigned char *)(at + range->delta), length);
	if (bytes->from)
		touch(bytes->from + done, length);
	section_begin();
	if (record_log_room(length + 2 * TRACE_SLOT_ROOM)) {
		take_bytes(bytes, done, trace_slot_bytes(&record_self.producer, length), length);
		if (record_are_many())
			log_and_store_locked(range, at, length, flags, site);
		else
			log_and_store(range, at, length, flags, site);
		record_log_publish();
	} else {
		store_unlogged(range, at, bytes, done, length);
	}
	section_end();
}

static void store_in_range(const struct record_range *range, uint64_t at, uint64_t length,
			   const struct bytes *bytes, uint64_t done, uint32_t flags, uint32_t site)
{
	while (length) {
		uint64_t count = min_u64(length, align_down(at, PIECE_BYTES) + PIECE_BYTES - at);

		store_piece(range, at, bytes, done, count, flags, site);
		flags |= TRACE_CONTINUED;
		at += count;
		done += count;
		length -= count;
	}
}

/* In no pool. */
static void store_outside(unsigned char *to, const struct bytes *bytes, uint64_t done, uint64_t length)
{
	if (bytes->from)
		memmove(to, bytes->from + done, length);
	else
		memset(to, bytes->value, length);
}

static __attribute__((noinline)) void store_parts(uint64_t to, uint64_t end, const struct bytes *bytes,
						   uint32_t flags, uint32_t site)
{
	uint64_t stop;

	for (uint64_t at = to; at < end; at = stop) {
		const struct record_range *range = part_at(at, end, &stop);

		if (range) {
			store_in_range(range, at, stop - at, bytes, at - to, flags, site);
			flags |= TRACE_CONTINUED;
		} else {
			store_outside((unsigned char *)at, bytes, at - to, stop - at);
		}
	}
}

static inline __attribute__((always_inline)) void store_all(uint64_t to, size_t length,
							     const struct bytes *bytes, bool nontemporal,
							     uint32_t site)
{
	const struct record_range *range = record_range_find(to);
	uint32_t flags = nontemporal ? TRACE_NONTEMPORAL : 0;

	/* Up to 8 bytes in one line are one store. */
	if (length > 8 || to % LINE_SIZE + length > LINE_SIZE)
		flags |= TRACE_RANGE;
	/* length - 1: 0 bytes are no store. */
	if (range && length - 1 < range->start + range->length - to &&
	    to % PIECE_BYTES + length <= PIECE_BYTES)
		store_piece(range, to, bytes, 0, length, flags, site);
	else
		store_parts(to, to + length, bytes, flags, site);
	if (nontemporal)
		record_waiting = 1;
}

/* Where one of several pieces would be overwritten before it is read, all is copied first. */
static __attribute__((noinline)) void move_copied(uint64_t to, const void *from, size_t length,
						   bool nontemporal, uint32_t site)
{
	unsigned char few[PIECE_BYTES];
	struct bytes bytes = { .from = few };
	long copy = 0;

	if (length > sizeof(few))
		copy = RAW6(mmap, NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw_failed(copy))
		record_die("no memory for a copy", NULL);
	if (copy)
		bytes.from = (unsigned char *)copy;
	memcpy((void *)(uintptr_t)bytes.from, from, length);
	store_all(to, length, &bytes, nontemporal, site);
	if (copy)
		RAW2(munmap, copy, length);
}

void record_move(void *to, const void *from, size_t length, bool nontemporal, uint32_t site)
{
	const struct bytes bytes = { .from = from };
	const uintptr_t start = (uintptr_t)to, source = (uintptr_t)from;

	if (start > source && start < source + length && start % PIECE_BYTES + length > PIECE_BYTES)
		move_copied(start, from, length, nontemporal, site);
	else
		store_all(start, length, &bytes, nontemporal, site);
}

void record_fill(void *to, int value, size_t length, bool nontemporal, uint32_t site)
{
	const struct bytes bytes = { .value = value };

	store_all((uintptr_t)to, length, &bytes, nontemporal, site);
}

/* ---- Flushes, fences, other events -------------------------------------------------------------- */

/* 1 to TRACE_SLOT_INLINE_MAX lines of the range. */
static inline __attribute__((always_inline)) void log_lines(const struct record_range *range, uint64_t line,
							     uint64_t lines, uint32_t site)
{
	struct trace_producer *producer = &record_self.producer;

	section_begin();
	if (record_log_room(TRACE_SLOT_ROOM)) {
		trace_put_flush(producer, trace_stamp(producer), TRACE_CLWB, site, record_place(range, line),
				(uint32_t)lines);
		record_log_publish();
	}
	section_end();
}

static __attribute__((noinline)) void flush_parts(uint64_t address, uint64_t end, uint32_t site)
{
	uint64_t stop;

	for (uint64_t at = address; at < end; at = stop) {
		const struct record_range *range = part_at(at, end, &stop);
		uint64_t line = align_down(at, LINE_SIZE);

		for (uint64_t lines; range && line < stop; line += lines * LINE_SIZE) {
			lines = min_u64((stop - line + LINE_SIZE - 1) / LINE_SIZE, TRACE_SLOT_INLINE_MAX);
			log_lines(range, line, lines, site);
		}
	}
}

void record_flush(uintptr_t address, size_t length, uint32_t site)
{
	const uint64_t end = address + length, line = align_down(address, LINE_SIZE);
	const uint64_t lines = (end - line + LINE_SIZE - 1) / LINE_SIZE;
	const struct record_range *range = record_range_find(address);

	/* length - 1: of 0 bytes there are no lines. */
	if (range && length - 1 < range->start + range->length - address && lines <= TRACE_SLOT_INLINE_MAX)
		log_lines(range, line, lines, site);
	else
		flush_parts(address, end, site);
}

void record_fence(uint32_t site)
{
	section_begin();
	record_log_fence(RECORD_SFENCE, site);
	section_end();
}

void record_event(const struct trace_event *event)
{
	section_begin();
	if (record_log_room(TRACE_SLOT_ROOM)) {
		trace_log_event(&record_self.producer, event);
		record_log_publish();
	}
	section_end();
}
