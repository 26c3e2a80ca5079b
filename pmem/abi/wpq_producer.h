/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ABI_WPQ_PRODUCER_H
#define ABI_WPQ_PRODUCER_H

/*
 * A client's end of a WPQ (shared.h). It needs nothing but memory: no system
 * call, no lock; async-signal-safe. One thread uses it. A handler that interrupts
 * the thread in the midst of a flush may fence here (wpq_fence()), and nothing else.
 */

#include <stdbool.h>

#include "abi/line.h"
#include "abi/wpq_layout.h"

/* Lines that were flushed of late, so that who comes again is known; a power of two. */
#define WPQ_SEEN 512u

/* Not shared. */
struct wpq_producer {
	struct wpq_header *header;
	unsigned char *rings[WPQ_LANES]; /* mapped twice each */
	uint64_t lane_size;		 /* as it was in the header when it was opened */
	uint64_t pending[WPQ_LANES];	 /* the truth; the shared copies follow these */
	uint64_t published[WPQ_LANES];
	struct wpq_record *last;	     /* of those in the FENCED lane */
	struct wpq_held_counts *last_counts; /* where the last flush counts, if its line is held; else NULL */
	/* Called when a ring is full: return when `drained` has moved, or false to give up. */
	bool (*full)(void *context, struct wpq_header *header);
	void *full_context;

	uint64_t flushed, fenced; /* flushes of held lines */
	uint64_t held;		  /* which of header->hold.held are, and are the newest of their lines */
	uint64_t passed;	  /* which were until a record of their line came */
	uint64_t passed_at;	  /* the last such record's position; UINT64_MAX: there was none */
	uint8_t newest[WPQ_HELD]; /* of each held line's copies */
	uint8_t worth[WPQ_HELD];  /* how often another line has to ask for the place, and is sent away */
	uint32_t seen[WPQ_SEEN];
};

/* ---- Records ---------------------------------------------------------------- */

static inline void wpq_publish(struct wpq_producer *producer, enum wpq_lane_name lane)
{
	/* Release: the records' bytes come before the position that makes them durable. */
	atomic_store_explicit(&producer->header->lanes[lane].published, producer->pending[lane],
			      memory_order_release);
	/* Then our own: a handler's fence in between must not find that there is nothing to do. */
	atomic_signal_fence(memory_order_seq_cst);
	producer->published[lane] = producer->pending[lane];
}

static inline uint64_t wpq_bit(unsigned index)
{
	return (uint64_t)1 << index;
}

/* Room for a record of `lines`, if it is there and nothing else has to be done first; else NULL. */
static inline struct wpq_record *wpq_room(const struct wpq_producer *producer, enum wpq_lane_name lane,
					  uint64_t lines)
{
	const uint64_t size = producer->lane_size, position = producer->pending[lane];
	const uint64_t drained =
		atomic_load_explicit(&producer->header->lanes[lane].drained, memory_order_acquire);

	if (lane == WPQ_FENCED && producer->passed_at == position)
		return NULL;
	if (position + (lines + 1) * LINE_SIZE - drained > size)
		return NULL;
	return (struct wpq_record *)(producer->rings[lane] + (position & (size - 1)));
}

/* The same, if need be by waiting; NULL if the ring stayed full. At most half a ring is asked for. */
struct wpq_record *wpq_reserve(struct wpq_producer *producer, enum wpq_lane_name lane, uint32_t lines);

#define WPQ_FETCH_AHEAD 512u

/*
 * The daemon's processor had the ring's lines last: when one is written, ask for the one that is some
 * records away, to write to. prefetchw: a hint to processors that know it, and nothing to others.
 */
static inline void wpq_fetch_ahead(const void *line)
{
	__asm__ volatile("prefetchw %0" : : "m"(*((const unsigned char *)line + WPQ_FETCH_AHEAD)));
}

static inline void wpq_append(struct wpq_producer *producer, enum wpq_lane_name lane, uint32_t lines)
{
	producer->pending[lane] += (uint64_t)(lines + 1) * LINE_SIZE;
	atomic_store_explicit(&producer->header->lanes[lane].pending, producer->pending[lane],
			      memory_order_release);
}

/* How many lines [offset, offset+length) touches. */
static inline uint64_t wpq_lines_of(uint64_t offset, uint64_t length)
{
	return (offset % LINE_SIZE + length + LINE_SIZE - 1) / LINE_SIZE;
}

/* The most lines that one record takes. */
static inline uint64_t wpq_record_lines(const struct wpq_producer *producer)
{
	return producer->lane_size / (2 * LINE_SIZE) - 1;
}

/* Where the line would be held. */
static inline unsigned wpq_held_index(uint32_t view, uint64_t offset)
{
	uint64_t line = offset / LINE_SIZE;

	return (unsigned)(line + line / WPQ_HELD + view * 7) % WPQ_HELD;
}

/* A record from `position` on has newer content of such lines as are held. */
static inline void wpq_pass_held(struct wpq_producer *producer, uint32_t view, uint64_t offset,
				 uint64_t lines, uint64_t position)
{
	struct wpq_hold *hold = &producer->header->hold;
	uint64_t mask = lines == 1 ? wpq_bit(wpq_held_index(view, offset)) : UINT64_MAX;

	for (uint64_t rest = producer->held & mask; rest; rest &= rest - 1) {
		unsigned index = (unsigned)__builtin_ctzll(rest);
		const struct wpq_held *held = &hold->held[index];

		if (held->view != view || held->offset - offset >= lines * LINE_SIZE)
			continue;
		producer->passed_at = position;
		producer->passed |= wpq_bit(index);
		/* Who leaves us here for good leaves what can be taken back. */
		atomic_signal_fence(memory_order_seq_cst);
		atomic_store_explicit(&hold->until[index], position, memory_order_relaxed);
		producer->held &= ~wpq_bit(index);
	}
}

/* Head the record that there is room for; its lines are to be read, or stored, after this. */
static inline void wpq_head(struct wpq_producer *producer, enum wpq_lane_name lane, struct wpq_record *record,
			    uint32_t view, uint64_t offset, uint32_t lines, uint32_t flags)
{
	/* Acquire: see order.c for what follows from it. */
	const uint64_t batch = atomic_load_explicit(&producer->header->batch, memory_order_acquire);
	__m128i *out = (__m128i *)record;

	/* In few stores: see line_snapshot_warm(). */
	_mm_store_si128(out, _mm_set_epi64x((int64_t)offset, (int64_t)((uint64_t)WPQ_LINES << 32 | view)));
	_mm_store_si128(out + 1, _mm_set_epi64x((int64_t)((uint64_t)flags << 32 | lines), (int64_t)batch));
	wpq_fetch_ahead(record);
	if (lane == WPQ_FENCED) {
		producer->last = record;
		producer->last_counts = NULL;
		wpq_pass_held(producer, view, offset, lines, producer->pending[lane]);
	}
}
_Static_assert(offsetof(struct wpq_record, view) == 0 && offsetof(struct wpq_record, kind) == 4 &&
		       offsetof(struct wpq_record, offset) == 8 && offsetof(struct wpq_record, batch) == 16 &&
		       offsetof(struct wpq_record, lines) == 24 && offsetof(struct wpq_record, flags) == 28,
	       "wpq_head() stores them together");

/*
 * A record of `lines` (at most wpq_record_lines()) from `offset` of the view on, for the caller to
 * put its payload in and to wpq_append(). NULL as wpq_reserve().
 */
static inline struct wpq_record *wpq_begin(struct wpq_producer *producer, enum wpq_lane_name lane,
					   uint32_t view, uint64_t offset, uint32_t lines,
					   uint32_t flags)
{
	struct wpq_record *record = wpq_room(producer, lane, lines);

	if (__builtin_expect(!record, 0))
		record = wpq_reserve(producer, lane, lines);
	if (record)
		wpq_head(producer, lane, record, view, offset, lines, flags);
	return record;
}

/* Beyond so many the first are in the cache by the time the last were stored. */
#define WPQ_WARM_LINES 4u

static inline void wpq_take_lines(struct wpq_record *record, const unsigned char *from, uint32_t lines)
{
	unsigned char *to = (unsigned char *)(record + 1);

	for (uint32_t i = 0; i < lines; i++, to += LINE_SIZE, from += LINE_SIZE) {
		wpq_fetch_ahead(to);
		if (lines <= WPQ_WARM_LINES)
			line_snapshot_warm(to, from);
		else
			line_snapshot(to, from);
	}
}

/* Snapshot the lines [offset, offset+lines*64) of `memory`, the view's first byte, into the lane. */
static inline bool wpq_snapshot(struct wpq_producer *producer, enum wpq_lane_name lane, uint32_t view,
				const unsigned char *memory, uint64_t offset, uint64_t lines, uint32_t flags)
{
	const uint64_t most = wpq_record_lines(producer);

	while (lines) {
		uint32_t piece = (uint32_t)min_u64(lines, most);
		struct wpq_record *record = wpq_begin(producer, lane, view, offset, piece, flags);

		if (!record)
			return false;
		wpq_take_lines(record, memory + offset, piece);
		wpq_append(producer, lane, piece);
		offset += (uint64_t)piece * LINE_SIZE;
		lines -= piece;
		flags |= WPQ_CONTINUED;
	}
	return true;
}

/* ---- Held lines ---------------------------------------------------------------- */

static inline void wpq_read_numbers(const struct wpq_held *held, uint64_t *numbers)
{
	/* All of WPQ_COPIES: else they are an array on the stack, which a protector guards. */
#pragma GCC unroll 3
	for (unsigned i = 0; i < WPQ_COPIES; i++)
		numbers[i] = atomic_load_explicit(&held->number[i], memory_order_acquire);
}

/* Of copies of these numbers, the newest one of a flush up to this one; WPQ_COPIES: there is none. */
static inline unsigned wpq_newest_of(const uint64_t *numbers, uint64_t up_to)
{
	unsigned newest = WPQ_COPIES;
	uint64_t highest = 0;

#pragma GCC unroll 3
	for (unsigned i = 0; i < WPQ_COPIES; i++) {
		if (numbers[i] > highest && numbers[i] <= up_to) {
			highest = numbers[i];
			newest = i;
		}
	}
	return newest;
}

static inline unsigned wpq_newest_copy(const struct wpq_held *held, uint64_t up_to)
{
	uint64_t numbers[WPQ_COPIES];

	wpq_read_numbers(held, numbers);
	return wpq_newest_of(numbers, up_to);
}

/* Not the newest copy, nor the newest durable one. A handler's fence may make them the same at any moment. */
static inline unsigned wpq_spare_copy(const struct wpq_producer *producer, unsigned index)
{
	const struct wpq_held *held = &producer->header->hold.held[index];
	unsigned newest = producer->newest[index], durable, spare = 0;

	if (atomic_load_explicit(&held->number[newest], memory_order_relaxed) <= producer->fenced)
		return newest + 1 == WPQ_COPIES ? 0 : newest + 1;
	durable = wpq_newest_copy(held, producer->fenced);
	while (spare == newest || spare == durable)
		spare++;
	return spare;
}

/* One more; nobody else writes there. */
static inline void wpq_count(_Atomic uint64_t *count)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static inline void wpq_hold_again(struct wpq_producer *producer, unsigned index, const unsigned char *line,
				  uint32_t flags)
{
	struct wpq_header *header = producer->header;
	struct wpq_held *held = &header->hold.held[index];
	unsigned spare = wpq_spare_copy(producer, index);

	atomic_store_explicit(&held->number[spare], 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	/* Acquire: as in wpq_head(). */
	held->batch[spare] = atomic_load_explicit(&header->batch, memory_order_acquire);
	line_snapshot_warm(held->copies[spare], line);
	/* Release: who finds the number, finds the copy. */
	atomic_store_explicit(&held->number[spare], producer->flushed + 1, memory_order_release);
	/* Only now: a handler's fence must not be of a copy that is not there yet. */
	atomic_signal_fence(memory_order_seq_cst);
	producer->flushed++;
	producer->newest[index] = (uint8_t)spare;
	producer->last_counts = &header->hold.counts[held->counts];
	wpq_count(&producer->last_counts->flushes);
	if (flags & WPQ_PERSIST)
		wpq_count(&producer->last_counts->persists);
}

/* Has this line been flushed of late? From now on it has. */
static inline bool wpq_was_seen(struct wpq_producer *producer, uint32_t view, uint64_t offset)
{
	uint64_t line = offset / LINE_SIZE;
	uint32_t *seen = &producer->seen[(line ^ line / WPQ_SEEN) % WPQ_SEEN];
	/* Names of several lines may be the same. None is 0, as in the beginning all are. */
	uint32_t name = ((uint32_t)line ^ view << 24) | (uint32_t)1 << 31;

	if (*seen == name)
		return true;
	*seen = name;
	return false;
}

/* Take in a line that comes often. False: there is no place for it. */
bool wpq_hold_new(struct wpq_producer *producer, uint32_t view, const unsigned char *memory, uint64_t offset,
		  uint32_t flags);

#define WPQ_WORTH_MOST 4u

/* Is the line the one that is held there? */
static inline bool wpq_is_held(const struct wpq_producer *producer, unsigned index, uint32_t view,
			       uint64_t offset)
{
	const struct wpq_held *held = &producer->header->hold.held[index];

	return held->offset == offset && held->view == view && producer->held & wpq_bit(index);
}

static inline bool wpq_may_hold(const struct wpq_producer *producer, uint32_t flags)
{
	return atomic_load_explicit(&producer->header->may_hold, memory_order_relaxed) &&
	       !(flags & WPQ_CONTINUED);
}

/* ---- Flush and fence ---------------------------------------------------------- */

/*
 * wpq_flush() where there is little to it, as there mostly is: a line that is held already, or a few
 * lines with room for them. Without a call, for callers to whom each instruction counts. False:
 * nothing was done.
 */
static inline bool wpq_flush_now(struct wpq_producer *producer, uint32_t view, const unsigned char *memory,
				 uint64_t offset, uint64_t length, uint32_t flags)
{
	const uint64_t start = align_down(offset, LINE_SIZE), lines = wpq_lines_of(offset, length);
	const bool may_hold = lines == 1 && wpq_may_hold(producer, flags);
	const unsigned index = wpq_held_index(view, start);
	struct wpq_record *record;

	if (may_hold && wpq_is_held(producer, index, view, start)) {
		if (producer->worth[index] < WPQ_WORTH_MOST)
			producer->worth[index]++;
		wpq_hold_again(producer, index, memory + start, flags);
		return true;
	}
	record = lines <= WPQ_WARM_LINES ? wpq_room(producer, WPQ_FENCED, lines) : NULL;
	/* A line that comes again may get a place. */
	if (!record || (may_hold && wpq_was_seen(producer, view, start)))
		return false;
	wpq_head(producer, WPQ_FENCED, record, view, start, (uint32_t)lines, flags);
	wpq_take_lines(record, memory + start, (uint32_t)lines);
	wpq_append(producer, WPQ_FENCED, (uint32_t)lines);
	return true;
}

/*
 * clwb or clflushopt of the lines that [offset, offset+length) touches: their
 * content now is durable after this thread's next wpq_fence(). False if the
 * daemon did not make room: nothing may be assumed durable from here on.
 * `flags` (enum wpq_record_flags) say what call it is part of.
 */
static inline bool wpq_flush(struct wpq_producer *producer, uint32_t view, const unsigned char *memory,
			     uint64_t offset, uint64_t length, uint32_t flags)
{
	const uint64_t start = align_down(offset, LINE_SIZE), lines = wpq_lines_of(offset, length);

	if (wpq_flush_now(producer, view, memory, offset, length, flags))
		return true;
	if (lines == 1 && wpq_may_hold(producer, flags) && wpq_was_seen(producer, view, start) &&
	    wpq_hold_new(producer, view, memory, start, flags))
		return true;
	return wpq_snapshot(producer, WPQ_FENCED, view, memory, start, lines, flags);
}

/* clflush: durable at once, and nothing else is. */
static inline bool wpq_clflush(struct wpq_producer *producer, uint32_t view, const unsigned char *memory,
			       uint64_t offset)
{
	if (!wpq_snapshot(producer, WPQ_DIRECT, view, memory, align_down(offset, LINE_SIZE), 1,
			  WPQ_PERSIST | WPQ_LAST))
		return false;
	wpq_publish(producer, WPQ_DIRECT);
	return true;
}

/* Is there something that waits for a fence? */
static inline bool wpq_waits(const struct wpq_producer *producer)
{
	return producer->pending[WPQ_FENCED] != producer->published[WPQ_FENCED] ||
	       producer->flushed != producer->fenced;
}

/* sfence, mfence or a locked RMW of this thread: what it flushed is durable. */
static inline void wpq_fence(struct wpq_producer *producer)
{
	if (!wpq_waits(producer)) {
		wpq_count(&producer->header->lanes[WPQ_FENCED].idle_fences);
		return;
	}
	if (producer->last_counts)
		wpq_count(&producer->last_counts->fences);
	else
		producer->last->flags |= WPQ_LAST;
	if (producer->pending[WPQ_FENCED] != producer->published[WPQ_FENCED])
		wpq_publish(producer, WPQ_FENCED);
	if (producer->flushed == producer->fenced)
		return;
	/* Release: after the copies, and after the records that are older than they (see wpq_hold.from). */
	atomic_store_explicit(&producer->header->hold.fenced, producer->flushed, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
	producer->fenced = producer->flushed;
}

/*
 * Under eADR, around a non-temporal store of this thread to one line: before
 * (returns where `after` finds it again) and after. Unfenced, it can be lost.
 */
static inline struct wpq_record *wpq_undo_before(struct wpq_producer *producer, uint32_t view,
						 const unsigned char *memory, uint64_t offset)
{
	struct wpq_record *record = wpq_reserve(producer, WPQ_FENCED, 2);

	if (!record)
		return NULL;
	record->view = view;
	record->kind = WPQ_UNDO;
	record->offset = align_down(offset, LINE_SIZE);
	record->lines = 2;
	record->flags = 0;
	record->batch = atomic_load_explicit(&producer->header->batch, memory_order_acquire);
	line_snapshot(record + 1, memory + record->offset);
	return record;
}

static inline void wpq_undo_after(struct wpq_producer *producer, struct wpq_record *record,
				  const unsigned char *memory)
{
	line_snapshot(record + 2, memory + record->offset);
	wpq_append(producer, WPQ_FENCED, 2);
	producer->last = record;
	producer->last_counts = NULL;
}

/* Map a WPQ's memory as its producer, in this process or a client's. */
int wpq_producer_open(int fd, struct wpq_producer *producer);
void wpq_producer_close(struct wpq_producer *producer);
/*
 * Copy what a WPQ that is WPQ_CLOSED was not drained of into a new one, and
 * publish there what was published. -EPROTO: it does not fit.
 */
int wpq_producer_move(const struct wpq_producer *from, struct wpq_producer *to);

#endif
