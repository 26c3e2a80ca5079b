/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ABI_WPQ_PRODUCER_H
#define ABI_WPQ_PRODUCER_H

/*
 * The client's end of a WPQ (wpq_layout.h). It makes no system calls and takes no
 * locks. Only one thread uses a producer. A signal handler that interrupts this thread
 * during a flush may call wpq_fence(), and no other function.
 */

#include <stdbool.h>

#include "abi/line.h"
#include "abi/wpq_layout.h"
#include "common/prefetch.h"

/* The number of recently flushed lines that are remembered; a power of two. */
#define WPQ_RECENT 512u

/* Not shared. */
struct wpq_producer {
	struct wpq_header *header;
	unsigned char *rings[WPQ_LANES]; /* mapped twice each */
	uint64_t lane_size;		 /* as it was in the header when it was opened */
	uint64_t pending[WPQ_LANES];	 /* authoritative; the shared copies are updated from these */
	uint64_t published[WPQ_LANES];
	struct wpq_record *last;	     /* the newest record in the FENCED lane */
	struct wpq_slot_counts *last_counts; /* of the last flush, if that went to a slot; else NULL */
	/* Called when a ring is full. Returns true when `drained` has moved, false to give up. */
	bool (*full)(void *context, struct wpq_header *header);
	void *full_context;

	uint64_t flushed, fenced; /* the numbers of the last flush of a slot, and of the last one fenced */
	uint64_t in_use;	  /* a bit for each slot that has the newest content of its line */
	uint64_t superseded;	  /* a bit for each slot whose line has a newer record in the ring */
	uint64_t superseded_at;	  /* the position of the last such record; UINT64_MAX: none */
	uint8_t newest[WPQ_SLOTS]; /* the index of each slot's newest copy */
	uint8_t credit[WPQ_SLOTS]; /* how many requests of other lines for the slot are still refused */
	uint32_t recent[WPQ_RECENT]; /* names of recently flushed lines; see wpq_was_flushed_recently() */
};

/* ---- Records ---------------------------------------------------------------- */

static inline void wpq_publish(struct wpq_producer *producer, enum wpq_lane_name lane)
{
	/* Release: the records' bytes come before the position that makes them durable. */
	atomic_store_explicit(&producer->header->lanes[lane].published, producer->pending[lane],
			      memory_order_release);
	/* The private copy comes second: a signal handler's fence in between must still find work to do. */
	atomic_signal_fence(memory_order_seq_cst);
	producer->published[lane] = producer->pending[lane];
}

static inline uint64_t wpq_bit(unsigned index)
{
	return (uint64_t)1 << index;
}

/* The place of the next record, of `lines` lines. NULL: no room, or wpq_reserve() has work to do first. */
static inline struct wpq_record *wpq_room(const struct wpq_producer *producer, enum wpq_lane_name lane,
					  uint64_t lines)
{
	const uint64_t size = producer->lane_size, position = producer->pending[lane];
	const uint64_t drained =
		atomic_load_explicit(&producer->header->lanes[lane].drained, memory_order_acquire);

	if (lane == WPQ_FENCED && producer->superseded_at == position)
		return NULL;
	if (position + (lines + 1) * LINE_SIZE - drained > size)
		return NULL;
	return (struct wpq_record *)(producer->rings[lane] + (position & (size - 1)));
}

/* The same, but wait for room; NULL if the ring stayed full. `lines` is at most wpq_record_lines(). */
struct wpq_record *wpq_reserve(struct wpq_producer *producer, enum wpq_lane_name lane, uint32_t lines);

#define WPQ_FETCH_AHEAD 512u

/*
 * The ring's lines are in the cache of the daemon's processor. When one is written, prefetch a later one
 * for writing.
 */
static inline void wpq_fetch_ahead(const void *line)
{
	prefetch_for_writing((const unsigned char *)line + WPQ_FETCH_AHEAD);
}

static inline void wpq_append(struct wpq_producer *producer, enum wpq_lane_name lane, uint32_t lines)
{
	producer->pending[lane] += (uint64_t)(lines + 1) * LINE_SIZE;
	atomic_store_explicit(&producer->header->lanes[lane].pending, producer->pending[lane],
			      memory_order_release);
}

/* The number of lines that [offset, offset+length) touches. */
static inline uint64_t wpq_lines_of(uint64_t offset, uint64_t length)
{
	return (offset % LINE_SIZE + length + LINE_SIZE - 1) / LINE_SIZE;
}

/* The largest number of lines in one record. */
static inline uint64_t wpq_record_lines(const struct wpq_producer *producer)
{
	return producer->lane_size / (2 * LINE_SIZE) - 1;
}

/* The slot of a line: lines have one place each, which they share. */
static inline unsigned wpq_slot_index(uint32_t view, uint64_t offset)
{
	uint64_t line = offset / LINE_SIZE;

	return (unsigned)(line + line / WPQ_SLOTS + view * 7) % WPQ_SLOTS;
}

/* The record at `position` has newer content of its lines than their slots have. */
static inline void wpq_supersede_slots(struct wpq_producer *producer, uint32_t view, uint64_t offset,
				 uint64_t lines, uint64_t position)
{
	struct wpq_combining *combining = &producer->header->combining;
	uint64_t mask = lines == 1 ? wpq_bit(wpq_slot_index(view, offset)) : UINT64_MAX;

	for (uint64_t rest = producer->in_use & mask; rest; rest &= rest - 1) {
		unsigned index = (unsigned)__builtin_ctzll(rest);
		const struct wpq_slot *slot = &combining->slots[index];

		if (slot->view != view || slot->offset - offset >= lines * LINE_SIZE)
			continue;
		producer->superseded_at = position;
		producer->superseded |= wpq_bit(index);
		/* If a signal handler never returns here, restore_superseded() can undo this. */
		atomic_signal_fence(memory_order_seq_cst);
		atomic_store_explicit(&combining->until[index], position, memory_order_relaxed);
		producer->in_use &= ~wpq_bit(index);
	}
}

/* Write the header of a record. The caller reads, or stores to, its lines only after this. */
static inline void wpq_head(struct wpq_producer *producer, enum wpq_lane_name lane, struct wpq_record *record,
			    uint32_t view, uint64_t offset, uint32_t lines, uint32_t flags)
{
	/* Acquire: see order.c for what follows from it. */
	const uint64_t batch = atomic_load_explicit(&producer->header->batch, memory_order_acquire);
	__m128i *out = (__m128i *)record;

	/* As few stores as possible: see line_snapshot_warm(). */
	_mm_store_si128(out, _mm_set_epi64x((int64_t)offset, (int64_t)((uint64_t)WPQ_LINES << 32 | view)));
	_mm_store_si128(out + 1, _mm_set_epi64x((int64_t)((uint64_t)flags << 32 | lines), (int64_t)batch));
	wpq_fetch_ahead(record);
	if (lane == WPQ_FENCED) {
		producer->last = record;
		producer->last_counts = NULL;
		wpq_supersede_slots(producer, view, offset, lines, producer->pending[lane]);
	}
}
_Static_assert(offsetof(struct wpq_record, view) == 0 && offsetof(struct wpq_record, kind) == 4 &&
		       offsetof(struct wpq_record, offset) == 8 && offsetof(struct wpq_record, batch) == 16 &&
		       offsetof(struct wpq_record, lines) == 24 && offsetof(struct wpq_record, flags) == 28,
	       "wpq_head() stores them together");

/*
 * Begin a record of `lines` (at most wpq_record_lines()) from `offset` of the view on. The caller writes its
 * payload and calls wpq_append(). NULL as wpq_reserve().
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

/* Of more lines than this, the first have left the store buffer by the time the last are stored. */
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

/* Copy the lines [offset, offset+lines*64) of the view that begins at `memory` into records of the lane. */
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

/* ---- Slots --------------------------------------------------------------------- */

static inline void wpq_read_numbers(const struct wpq_slot *slot, uint64_t *numbers)
{
	/* Unrolled, the numbers stay in registers, and the function needs no stack protector. */
#pragma GCC unroll 3
	for (unsigned i = 0; i < WPQ_COPIES; i++)
		numbers[i] = atomic_load_explicit(&slot->number[i], memory_order_acquire);
}

/* The index of the newest copy whose number is not above `up_to`; WPQ_COPIES if there is none. */
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

static inline unsigned wpq_newest_copy(const struct wpq_slot *slot, uint64_t up_to)
{
	uint64_t numbers[WPQ_COPIES];

	wpq_read_numbers(slot, numbers);
	return wpq_newest_of(numbers, up_to);
}

/* A copy that is neither the newest nor the newest durable one; a handler's fence may make these the same. */
static inline unsigned wpq_spare_copy(const struct wpq_producer *producer, unsigned index)
{
	const struct wpq_slot *slot = &producer->header->combining.slots[index];
	unsigned newest = producer->newest[index], durable, spare = 0;

	if (atomic_load_explicit(&slot->number[newest], memory_order_relaxed) <= producer->fenced)
		return newest + 1 == WPQ_COPIES ? 0 : newest + 1;
	durable = wpq_newest_copy(slot, producer->fenced);
	while (spare == newest || spare == durable)
		spare++;
	return spare;
}

/* Increment a count that only this thread writes. */
static inline void wpq_count(_Atomic uint64_t *count)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* Flush a line that has a slot. */
static inline void wpq_slot_store(struct wpq_producer *producer, unsigned index, const unsigned char *line,
				  uint32_t flags)
{
	struct wpq_header *header = producer->header;
	struct wpq_slot *slot = &header->combining.slots[index];
	unsigned spare = wpq_spare_copy(producer, index);

	atomic_store_explicit(&slot->number[spare], 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	/* Acquire: as in wpq_head(). */
	slot->batch[spare] = atomic_load_explicit(&header->batch, memory_order_acquire);
	line_snapshot_warm(slot->copies[spare], line);
	/* Release: a reader that finds the number finds the copy. */
	atomic_store_explicit(&slot->number[spare], producer->flushed + 1, memory_order_release);
	/* Not earlier: a handler's fence must not cover a copy that is not complete. */
	atomic_signal_fence(memory_order_seq_cst);
	producer->flushed++;
	producer->newest[index] = (uint8_t)spare;
	producer->last_counts = &header->combining.counts[slot->counts];
	wpq_count(&producer->last_counts->flushes);
	if (flags & WPQ_PERSIST)
		wpq_count(&producer->last_counts->persists);
}

/* Was this line flushed recently? Remembers that it is now. */
static inline bool wpq_was_flushed_recently(struct wpq_producer *producer, uint32_t view, uint64_t offset)
{
	uint64_t line = offset / LINE_SIZE;
	uint32_t *recent = &producer->recent[(line ^ line / WPQ_RECENT) % WPQ_RECENT];
	/* Several lines may have the same name. No name is 0, the initial value. */
	uint32_t name = ((uint32_t)line ^ view << 24) | (uint32_t)1 << 31;

	if (*recent == name)
		return true;
	*recent = name;
	return false;
}

/* Give a slot to a line that is flushed often, and flush it there. False: the slot is taken. */
bool wpq_slot_claim(struct wpq_producer *producer, uint32_t view, const unsigned char *memory,
		    uint64_t offset, uint32_t flags);

#define WPQ_CREDIT_MAX 4u

/* Has slot `index` the newest content of this line? */
static inline bool wpq_slot_has(const struct wpq_producer *producer, unsigned index, uint32_t view,
			       uint64_t offset)
{
	const struct wpq_slot *slot = &producer->header->combining.slots[index];

	return slot->offset == offset && slot->view == view && producer->in_use & wpq_bit(index);
}

static inline bool wpq_may_combine(const struct wpq_producer *producer, uint32_t flags)
{
	return atomic_load_explicit(&producer->header->may_combine, memory_order_relaxed) &&
	       !(flags & WPQ_CONTINUED);
}

/* ---- Flush and fence ---------------------------------------------------------- */

/*
 * The common cases of wpq_flush(), without a function call: a line that has a slot, or a few
 * lines with room for them in the ring. False: nothing was done.
 */
static inline bool wpq_flush_now(struct wpq_producer *producer, uint32_t view, const unsigned char *memory,
				 uint64_t offset, uint64_t length, uint32_t flags)
{
	const uint64_t start = align_down(offset, LINE_SIZE), lines = wpq_lines_of(offset, length);
	const bool may_combine = lines == 1 && wpq_may_combine(producer, flags);
	const unsigned index = wpq_slot_index(view, start);
	struct wpq_record *record;

	if (may_combine && wpq_slot_has(producer, index, view, start)) {
		if (producer->credit[index] < WPQ_CREDIT_MAX)
			producer->credit[index]++;
		wpq_slot_store(producer, index, memory + start, flags);
		return true;
	}
	record = lines <= WPQ_WARM_LINES ? wpq_room(producer, WPQ_FENCED, lines) : NULL;
	/* A line that is flushed again may get a slot. */
	if (!record || (may_combine && wpq_was_flushed_recently(producer, view, start)))
		return false;
	wpq_head(producer, WPQ_FENCED, record, view, start, (uint32_t)lines, flags);
	wpq_take_lines(record, memory + start, (uint32_t)lines);
	wpq_append(producer, WPQ_FENCED, (uint32_t)lines);
	return true;
}

/*
 * clwb or clflushopt of the lines that [offset, offset+length) touches. Their
 * content now is durable after this thread's next wpq_fence(). False if the
 * daemon did not make room: nothing may be assumed durable from here on.
 * `flags` (enum wpq_record_flags) describe the call that it is part of.
 */
static inline bool wpq_flush(struct wpq_producer *producer, uint32_t view, const unsigned char *memory,
			     uint64_t offset, uint64_t length, uint32_t flags)
{
	const uint64_t start = align_down(offset, LINE_SIZE), lines = wpq_lines_of(offset, length);

	if (wpq_flush_now(producer, view, memory, offset, length, flags))
		return true;
	if (lines == 1 && wpq_may_combine(producer, flags) &&
	    wpq_was_flushed_recently(producer, view, start) &&
	    wpq_slot_claim(producer, view, memory, start, flags))
		return true;
	return wpq_snapshot(producer, WPQ_FENCED, view, memory, start, lines, flags);
}

/* clflush: the line is durable at once, and no other flush is. */
static inline bool wpq_clflush(struct wpq_producer *producer, uint32_t view, const unsigned char *memory,
			       uint64_t offset)
{
	if (!wpq_snapshot(producer, WPQ_DIRECT, view, memory, align_down(offset, LINE_SIZE), 1,
			  WPQ_PERSIST | WPQ_LAST))
		return false;
	wpq_publish(producer, WPQ_DIRECT);
	return true;
}

/* Is there a flush that no fence has covered yet? */
static inline bool wpq_has_unfenced(const struct wpq_producer *producer)
{
	return producer->pending[WPQ_FENCED] != producer->published[WPQ_FENCED] ||
	       producer->flushed != producer->fenced;
}

/* sfence, mfence or a locked RMW of this thread: all that it flushed becomes durable. */
static inline void wpq_fence(struct wpq_producer *producer)
{
	if (!wpq_has_unfenced(producer)) {
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
	/* Release: after the copies, and after the records that are older (see wpq_combining.from). */
	atomic_store_explicit(&producer->header->combining.fenced, producer->flushed, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
	producer->fenced = producer->flushed;
}

/*
 * Under eADR, call these before and after a non-temporal store of this thread to one
 * line: while it is not fenced, an outage may take it back. `before` returns the record for `after`, or
 * NULL as wpq_reserve().
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

/* Map a WPQ's memory. 0 or a negative errno; -EPROTO: it is not a WPQ of this version. Used by both ends. */
int wpq_producer_open(int fd, struct wpq_producer *producer);
void wpq_producer_close(struct wpq_producer *producer);
/*
 * Copy into a new WPQ what was not drained of one that is WPQ_CLOSED, and
 * publish there what was published. -EPROTO: it does not fit.
 */
int wpq_producer_move(const struct wpq_producer *from, struct wpq_producer *to);

#endif
