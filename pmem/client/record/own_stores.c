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
#include "client/record/pages_ahead.h"
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
	record_self.inside--;
	if (__builtin_expect(record_self.stepping, 0) && !record_self.inside)
		deliver_kept();
}

static __attribute__((noinline)) bool wait_room_in_section(uint64_t bytes)
{
	if (!record_self.stack_top) {
		section_end();
		record_thread_setup();
		record_self.inside++;
		atomic_signal_fence(memory_order_seq_cst);
	}
	return record_log_wait_room(bytes);
}

/*
 * Begin a section, and ask record_log_room(). It is asked within the section, because a handler may log
 * events, too. A thread with room has its stack.
 */
static inline __attribute__((always_inline)) bool section_begin(uint64_t bytes)
{
	record_self.inside++;
	atomic_signal_fence(memory_order_seq_cst);
	return record_log_has_room(bytes) || wait_room_in_section(bytes);
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
	bool is_value;
	int value;
	const unsigned char *from;
};

/*
 * At most a page, which may lie in two. One that is missing raises its signal here, where no lock is held and
 * nothing is logged; touch_to_store(): one that the program must not store to, too.
 */
static void touch(const unsigned char *at, uint64_t length)
{
	(void)*(const volatile unsigned char *)at;
	(void)*(const volatile unsigned char *)(at + length - 1);
}

/* Other threads may store to this byte at the same time. */
static inline void store_nothing(unsigned char *at)
{
	__asm__ volatile("lock orb $0, %0" : "+m"(*at) : : "cc");
}

atomic_bool record_some_forbidden;

static inline void touch_to_store(unsigned char *at, uint64_t length)
{
	unsigned char *last = at + length - 1;

	/* What can be loaded can be stored to. A locked instruction waits for all stores before it. */
	if (__builtin_expect(!atomic_load_explicit(&record_some_forbidden, memory_order_relaxed), 1)) {
		touch(at, length);
		return;
	}
	store_nothing(at);
	if (__builtin_expect(((uintptr_t)at ^ (uintptr_t)last) >= PAGE_BYTES, 0))
		store_nothing(last);
}

/*
 * memcpy(3) of few bytes: most copies are short, and memcpy(3) itself is one of the functions that this
 * library interposes. As with it, another thread sees a word of 2, 4 or 8 bytes whole. No two stores overlap:
 * what is copied is soon read again in the same pieces, and a processor waits with a load that needs bytes of
 * two stores until both are in the cache.
 */
static inline __m128i load_16(const unsigned char *from)
{
	return _mm_loadu_si128((const __m128i *)from);
}

static inline void store_16(unsigned char *to, __m128i bytes)
{
	_mm_storeu_si128((__m128i *)to, bytes);
}

/* Less than 16. */
static inline void copy_tail(unsigned char *to, const unsigned char *from, uint64_t length)
{
	uint64_t at = 0;

	if (length & 8) {
		*(uint64_u *)to = *(const uint64_u *)from;
		at = 8;
	}
	if (length & 4) {
		*(uint32_u *)(to + at) = *(const uint32_u *)(from + at);
		at += 4;
	}
	if (length & 2) {
		*(uint16_u *)(to + at) = *(const uint16_u *)(from + at);
		at += 2;
	}
	if (length & 1)
		to[at] = from[at];
}

static inline __attribute__((always_inline)) void copy_few(unsigned char *to, const unsigned char *from,
							    uint64_t length)
{
	uint64_t at = 0;

	for (; at + 64 <= length; at += 64) {
		const __m128i first = load_16(from + at), second = load_16(from + at + 16);
		const __m128i third = load_16(from + at + 32), fourth = load_16(from + at + 48);

		store_16(to + at, first);
		store_16(to + at + 16, second);
		store_16(to + at + 32, third);
		store_16(to + at + 48, fourth);
	}
	for (; at + 16 <= length; at += 16)
		store_16(to + at, load_16(from + at));
	if (length % 16)
		copy_tail(to + at, from + at, length % 16);
}

/* memset(3), likewise. */
static inline __attribute__((always_inline)) void fill_few(unsigned char *to, int value, uint64_t length)
{
	const __m128i bytes = _mm_set1_epi8((char)value);
	uint64_t at = 0;

	for (; at + 64 <= length; at += 64) {
		store_16(to + at, bytes);
		store_16(to + at + 16, bytes);
		store_16(to + at + 32, bytes);
		store_16(to + at + 48, bytes);
	}
	for (; at + 16 <= length; at += 16)
		store_16(to + at, bytes);
	if (length & 8) {
		_mm_storel_epi64((__m128i *)(to + at), bytes);
		at += 8;
	}
	for (; at < length; at++)
		to[at] = (unsigned char)value;
}

/* They do not overlap. `few`: at most COPY_FEW. */
static inline __attribute__((always_inline)) void copy_bytes(void *to, const void *from, uint64_t length,
							      bool few)
{
	if (few || length <= COPY_FEW)
		copy_few(to, from, length);
	else
		memcpy(to, from, length);
}

static inline __attribute__((always_inline)) void take_bytes(void *to, struct bytes bytes, uint64_t length,
							      bool few)
{
	if (!bytes.is_value)
		copy_bytes(to, bytes.from, length, few);
	else if (few || length <= COPY_FEW)
		fill_few(to, bytes.value, length);
	else
		memset(to, bytes.value, length);
}

/* Where a store goes: `length` bytes, wholly in one range. */
struct target {
	uint64_t address;
	unsigned char *alias;
	uint64_t place;
	uint64_t length;
};

static inline struct target target_in(const struct record_range *range, uint64_t address, uint64_t length)
{
	return (struct target){
		.address = address,
		.alias = (unsigned char *)(address + range->delta),
		.place = record_place(range, address),
		.length = length,
	};
}

/* The bytes are `there` in the buffer, where trace_slot_bytes() says. Returns where they are now. */
static inline __attribute__((always_inline)) const void *log_bytes(struct target to, void *there,
								   uint32_t flags, uint32_t site)
{
	struct trace_producer *producer = &record_self.producer;

	return trace_put_store_there(producer, there, trace_stamp(producer), flags, site, to.place,
				     to.length);
}

/*
 * The functions with a frame are apart: it is large, and few programs have more than one thread. They look
 * the range up again, so that the usual case need not keep a target in memory for them.
 */
static __attribute__((noinline)) void log_and_store_locked(uint64_t address, uint64_t length,
							    void *there, uint32_t flags, uint32_t site)
{
	const struct target to = target_in(record_range_find(address), address, length);
	struct record_frame frame; /* the lines' locks need few of its fields */

	frame.address = address;
	frame.length = length;
	record_lines_take(&frame);
	copy_bytes(to.alias, log_bytes(to, there, flags, site), length, false);
	record_lines_give(&frame);
}

/* The recording has ended. */
static __attribute__((noinline)) void store_unlogged(uint64_t address, uint64_t length, struct bytes bytes)
{
	const struct target to = target_in(record_range_find(address), address, length);
	unsigned char piece[PIECE_BYTES];
	struct record_frame frame;

	/* Where they come from may overlap where they go. */
	take_bytes(piece, bytes, length, false);
	frame.address = address;
	frame.length = length;
	record_lines_take(&frame);
	copy_bytes(to.alias, piece, length, false);
	record_lines_give(&frame);
}

/*
 * At most PIECE_BYTES. They go to the buffer, and from there to the pool: where they come from may overlap
 * where they go.
 */
static inline __attribute__((always_inline)) void store_piece(struct target to, struct bytes bytes,
							       uint32_t flags, uint32_t site, bool few)
{
	/* First the source: where both fault, libc's functions load first. */
	if (!bytes.is_value)
		touch(bytes.from, to.length);
	touch_to_store(to.alias, to.length);
	if (section_begin(to.length)) {
		void *there = trace_slot_bytes(&record_self.producer, to.length);

		take_bytes(there, bytes, to.length, few);
		/* The only thread needs no lock. */
		if (__builtin_expect(record_are_many(), 0)) {
			log_and_store_locked(to.address, to.length, there, flags, site);
		} else {
			const struct bytes logged = { .from = log_bytes(to, there, flags, site) };

			take_bytes(to.alias, bytes.is_value ? bytes : logged, to.length, few);
		}
		record_log_publish();
	} else {
		store_unlogged(to.address, to.length, bytes);
	}
	section_end();
}

static void store_in_range(const struct record_range *range, uint64_t at, uint64_t length,
			   struct bytes bytes, uint32_t flags, uint32_t site)
{
	while (length) {
		uint64_t count = min_u64(length, align_down(at, PIECE_BYTES) + PIECE_BYTES - at);

		store_piece(target_in(range, at, count), bytes, flags, site, false);
		flags |= TRACE_CONTINUED;
		bytes.from += bytes.is_value ? 0 : count;
		at += count;
		length -= count;
	}
}

/* In no pool. */
static void store_outside(unsigned char *to, struct bytes bytes, uint64_t length)
{
	if (bytes.is_value)
		memset(to, bytes.value, length);
	else
		memmove(to, bytes.from, length);
}

static __attribute__((noinline)) void store_parts(uint64_t to, uint64_t end, struct bytes bytes,
						   uint32_t flags, uint32_t site)
{
	uint64_t stop;

	for (uint64_t at = to; at < end; at = stop) {
		const struct record_range *range = part_at(at, end, &stop);

		if (range) {
			store_in_range(range, at, stop - at, bytes, flags, site);
			flags |= TRACE_CONTINUED;
		} else {
			store_outside((unsigned char *)at, bytes, stop - at);
		}
		bytes.from += bytes.is_value ? 0 : stop - at;
	}
}

static __attribute__((noinline)) void store_any(uint64_t to, size_t length, struct bytes bytes,
						uint32_t flags, uint32_t site)
{
	const struct record_range *range = record_range_find(to);

	/* length - 1: 0 bytes are no store. */
	if (range && length - 1 < range->start + range->length - to &&
	    to % PIECE_BYTES + length <= PIECE_BYTES)
		store_piece(target_in(range, to, length), bytes, flags, site, false);
	else
		store_parts(to, to + length, bytes, flags, site);
}

/* The range that has all of [at, at + length), of at most a page; NULL: none has, or it is hard to find. */
static inline __attribute__((always_inline)) const struct record_range *easy_range(uint64_t at,
										  uint64_t length)
{
	const uint64_t chunk = at >> RECORD_CHUNK_SHIFT;
	const struct record_range *range;

	if (__builtin_expect(chunk >= RECORD_CHUNKS, 0))
		return NULL;
	/* The entries for no mapping and for several have no bytes. */
	range = &record_low->ranges[record_low->chunks[chunk]];
	/* Before the start, the difference is huge. */
	if (__builtin_expect(!range->length || at - range->start > range->length - length, 0))
		return NULL;
	return range;
}

static inline __attribute__((always_inline)) uint32_t store_flags(uint64_t to, size_t length,
								  bool nontemporal)
{
	uint32_t flags = nontemporal ? TRACE_NONTEMPORAL : 0;

	/* Up to 8 bytes in one line are one store. */
	if (length > 8 || to % LINE_SIZE + length > LINE_SIZE)
		flags |= TRACE_RANGE;
	return flags;
}

/* Where one of several pieces would be overwritten before it is read, all is copied first. */
static __attribute__((noinline)) void move_copied(uint64_t to, const void *from, size_t length,
						   uint32_t flags, uint32_t site)
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
	store_any(to, length, bytes, flags, site);
	if (copy)
		RAW2(munmap, copy, length);
}

static __attribute__((noinline)) void move_any(uint64_t to, const void *from, size_t length, uint32_t flags,
					       uint32_t site)
{
	const struct bytes bytes = { .from = from };
	const uintptr_t source = (uintptr_t)from;

	if (to > source && to < source + length && to % PIECE_BYTES + length > PIECE_BYTES)
		move_copied(to, from, length, flags, site);
	else
		store_any(to, length, bytes, flags, site);
}

/*
 * In line for few bytes of one range, which is nearly every store that a library of transactions makes. The
 * other ones are not.
 */
void record_move(void *to, const void *from, size_t length, bool nontemporal, uint32_t site)
{
	const uint64_t start = (uint64_t)to;
	const uint32_t flags = store_flags(start, length, nontemporal);
	const struct record_range *range = length - 1 < COPY_FEW ? easy_range(start, length) : NULL;
	const struct bytes bytes = { .from = from };

	if (__builtin_expect(range != NULL, 1))
		store_piece(target_in(range, start, length), bytes, flags, site, true);
	else
		move_any(start, from, length, flags, site);
	if (nontemporal)
		record_waiting = 1;
}

static __attribute__((noinline)) void fill_any(uint64_t to, int value, size_t length, uint32_t flags,
					       uint32_t site)
{
	const struct bytes bytes = { .is_value = true, .value = value };

	store_any(to, length, bytes, flags, site);
}

void record_fill(void *to, int value, size_t length, bool nontemporal, uint32_t site)
{
	const uint64_t start = (uint64_t)to;
	const uint32_t flags = store_flags(start, length, nontemporal);
	const struct record_range *range = length - 1 < COPY_FEW ? easy_range(start, length) : NULL;
	const struct bytes bytes = { .is_value = true, .value = value };

	if (__builtin_expect(range != NULL, 1))
		store_piece(target_in(range, start, length), bytes, flags, site, true);
	else
		fill_any(start, value, length, flags, site);
	if (nontemporal)
		record_waiting = 1;
}

/* ---- Flushes, fences, other events -------------------------------------------------------------- */

/* 1 to TRACE_SLOT_INLINE_MAX lines of one range; the place of the first. */
static inline __attribute__((always_inline)) void log_lines(uint64_t place, uint64_t lines, uint32_t site)
{
	struct trace_producer *producer = &record_self.producer;

	if (section_begin(0)) {
		trace_put_flush(producer, trace_stamp(producer), TRACE_CLWB, site, place, (uint32_t)lines);
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
			log_lines(record_place(range, line), lines, site);
			record_pages_flushed(range, line);
		}
	}
}

void record_flush(uintptr_t address, size_t length, uint32_t site)
{
	const uint64_t line = align_down(address, LINE_SIZE);
	const uint64_t lines = (address - line + length + LINE_SIZE - 1) / LINE_SIZE;
	const struct record_range *range = NULL;

	/* length - 1: of 0 bytes there are no lines. */
	if (length - 1 < PIECE_BYTES && lines <= TRACE_SLOT_INLINE_MAX)
		range = easy_range(address, length);
	if (__builtin_expect(range && !record_pages_are_new(range, address), 1))
		log_lines(record_place(range, line), lines, site);
	else
		flush_parts(address, address + length, site);
}

void record_fence(uint32_t site)
{
	if (section_begin(0))
		record_log_fence(RECORD_SFENCE, site);
	section_end();
}

void record_event(const struct trace_event *event)
{
	if (section_begin(0)) {
		trace_log_event(&record_self.producer, event);
		record_log_limit();
	}
	section_end();
}
