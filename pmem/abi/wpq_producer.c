/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The out-of-line half of the WPQ producer. It maps memory by raw system calls: in libpmem.so.1, libc's
 * mmap() is our own interposer, which takes the lock that the caller may hold.
 */

#include "abi/wpq_producer.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/rawcall.h"

/* Map the lane's ring twice, back to back. Returns 0 or a negative errno; then nothing is mapped. */
static int map_ring_twice(int fd, uint32_t lane, uint32_t lane_size, unsigned char **ring)
{
	const size_t size = 2 * (size_t)lane_size;
	off_t offset = (off_t)(WPQ_HEADER_BYTES + (uint64_t)lane * lane_size);
	long room = RAW6(mmap, NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (raw_failed(room))
		return (int)room;
	for (int half = 0; half < 2; half++) {
		long at = RAW6(mmap, room + (long)half * lane_size, lane_size, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_FIXED, fd, offset);

		if (raw_failed(at)) {
			RAW2(munmap, room, size);
			return (int)at;
		}
	}
	*ring = (unsigned char *)room;
	return 0;
}

int wpq_producer_open(int fd, struct wpq_producer *producer)
{
	long memory = RAW6(mmap, NULL, WPQ_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct wpq_header *header = (struct wpq_header *)memory;
	int error = 0;

	if (raw_failed(memory))
		return (int)memory;
	*producer = (struct wpq_producer){ .header = header, .passed_at = UINT64_MAX };
	if (header->magic != WPQ_MAGIC || header->version != WPQ_VERSION ||
	    header->header_size != WPQ_HEADER_BYTES)
		error = -EPROTO;
	producer->lane_size = header->lane_size;
	for (uint32_t lane = 0; !error && lane < WPQ_LANES; lane++)
		error = map_ring_twice(fd, lane, (uint32_t)producer->lane_size, &producer->rings[lane]);
	if (error)
		wpq_producer_close(producer);
	return error;
}

void wpq_producer_close(struct wpq_producer *producer)
{
	if (!producer->header)
		return;
	for (uint32_t lane = 0; lane < WPQ_LANES; lane++)
		if (producer->rings[lane])
			RAW2(munmap, producer->rings[lane], 2 * producer->lane_size);
	RAW2(munmap, producer->header, WPQ_HEADER_BYTES);
	*producer = (struct wpq_producer){ 0 };
}

/* ---- Records ------------------------------------------------------------------ */

/*
 * A handler left the thread's flush for good (longjmp) before its record was appended: another
 * one takes its position, and what it passed it did not pass.
 */
static void take_back(struct wpq_producer *producer)
{
	const uint64_t position = producer->pending[WPQ_FENCED];

	for (uint64_t rest = producer->passed; rest; rest &= rest - 1) {
		unsigned index = (unsigned)__builtin_ctzll(rest);
		_Atomic uint64_t *shared = &producer->header->hold.until[index];
		uint64_t until = atomic_load_explicit(shared, memory_order_relaxed);

		/* UINT64_MAX: it was left just before it said so. */
		if (until != position && until != UINT64_MAX)
			continue;
		atomic_store_explicit(shared, UINT64_MAX, memory_order_relaxed);
		producer->passed &= ~wpq_bit(index);
		producer->held |= wpq_bit(index);
	}
	producer->passed_at = UINT64_MAX;
}

struct wpq_record *wpq_reserve(struct wpq_producer *producer, enum wpq_lane_name lane, uint32_t lines)
{
	struct wpq_record *record;

	if (lane == WPQ_FENCED && producer->passed_at == producer->pending[lane])
		take_back(producer);
	while (!(record = wpq_room(producer, lane, lines))) {
		/*
		 * What waits for a fence must be published before it can be drained.
		 * Legal: a flush may take effect at any time before its fence. Stores
		 * past the caches that records are of come before it.
		 */
		_mm_sfence();
		wpq_publish(producer, lane);
		if (!producer->full(producer->full_context, producer->header))
			return NULL;
	}
	return record;
}

/* ---- Held lines -------------------------------------------------------------- */

/* Of which of the WPQ's counts a view is; WPQ_HELD_VIEWS: there are no more. */
static uint32_t counts_of(struct wpq_hold *hold, uint32_t view)
{
	uint32_t counted = atomic_load_explicit(&hold->counted, memory_order_relaxed);
	uint32_t at = 0;

	while (at < counted && hold->counts[at].view != view)
		at++;
	if (at == counted && at < WPQ_HELD_VIEWS) {
		hold->counts[at].view = view;
		atomic_store_explicit(&hold->counted, counted + 1, memory_order_release);
	}
	return at;
}

/* Hold the line no longer: the media has it, or the ring gets it. False: not now, or there is no room. */
static bool let_go(struct wpq_producer *producer, unsigned index)
{
	const struct wpq_hold *hold = &producer->header->hold;
	const struct wpq_held *held = &hold->held[index];
	unsigned newest = wpq_newest_copy(held, UINT64_MAX);
	struct wpq_record *record;

	if (newest == wpq_newest_copy(held, atomic_load_explicit(&hold->swept, memory_order_acquire))) {
		producer->held &= ~wpq_bit(index);
		return true;
	}
	/* What is published is durable: nothing may be that waits for a fence. */
	if (newest != wpq_newest_copy(held, producer->fenced) ||
	    producer->pending[WPQ_FENCED] != producer->published[WPQ_FENCED])
		return false;
	/* As a record that passes it, of what it is itself. */
	record = wpq_begin(producer, WPQ_FENCED, held->view, held->offset, 1, WPQ_COUNTED);
	if (!record)
		return false;
	record->batch = held->batch[newest];
	memcpy(record + 1, held->copies[newest], LINE_SIZE);
	wpq_append(producer, WPQ_FENCED, 1);
	wpq_publish(producer, WPQ_FENCED);
	return true;
}

/* Is the place free, or can it be made so? */
static bool vacate(struct wpq_producer *producer, unsigned index)
{
	if (producer->held & wpq_bit(index)) {
		if (producer->worth[index]) {
			producer->worth[index]--;
			return false;
		}
		if (!let_go(producer, index))
			return false;
	}
	if (!(producer->passed & wpq_bit(index)))
		return true;
	/* Its durable copy is the newest one until the record that passed it is durable. */
	if (producer->published[WPQ_FENCED] <=
	    atomic_load_explicit(&producer->header->hold.until[index], memory_order_relaxed))
		return false;
	producer->passed &= ~wpq_bit(index);
	return true;
}

bool wpq_hold_new(struct wpq_producer *producer, uint32_t view, const unsigned char *memory, uint64_t offset,
		  uint32_t flags)
{
	struct wpq_hold *hold = &producer->header->hold;
	unsigned index = wpq_held_index(view, offset);
	struct wpq_held *held = &hold->held[index];
	uint32_t counts = counts_of(hold, view);

	if (counts == WPQ_HELD_VIEWS || !vacate(producer, index))
		return false;
	for (unsigned i = 0; i < WPQ_COPIES; i++)
		atomic_store_explicit(&held->number[i], 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	held->view = view;
	held->offset = offset;
	held->counts = counts;
	hold->from[index] = producer->pending[WPQ_FENCED];
	atomic_store_explicit(&hold->until[index], UINT64_MAX, memory_order_relaxed);
	producer->held |= wpq_bit(index);
	producer->worth[index] = 1;
	wpq_hold_again(producer, index, memory + offset, flags);
	return true;
}

/* ---- From one WPQ to another -------------------------------------------------- */

/*
 * The lines that are held, but for copies that the daemon has swept. Their
 * numbers come last, and `fenced` after them: the new WPQ may be swept already.
 */
static void move_held(const struct wpq_producer *from, struct wpq_producer *to, uint64_t drained)
{
	const struct wpq_hold *old = &from->header->hold;
	struct wpq_hold *new = &to->header->hold;
	const uint64_t swept = atomic_load_explicit(&old->swept, memory_order_acquire);
	const uint32_t counted = atomic_load_explicit(&old->counted, memory_order_relaxed);

	for (uint32_t i = 0; i < counted; i++)
		new->counts[i].view = old->counts[i].view;
	atomic_store_explicit(&new->counted, counted, memory_order_release);
	to->passed = from->passed;
	for (unsigned i = 0; i < WPQ_HELD; i++) {
		uint64_t until = atomic_load_explicit(&old->until[i], memory_order_relaxed);

		if (!((from->held | from->passed) & wpq_bit(i)))
			continue;
		if (from->passed & wpq_bit(i) && until < drained) {
			to->passed &= ~wpq_bit(i);
			continue;
		}
		new->from[i] = old->from[i] - min_u64(old->from[i], drained);
		atomic_store_explicit(&new->until[i], until == UINT64_MAX ? until : until - drained,
				      memory_order_relaxed);
		new->held[i].view = old->held[i].view;
		new->held[i].offset = old->held[i].offset;
		new->held[i].counts = old->held[i].counts;
		memcpy(new->held[i].batch, old->held[i].batch, sizeof(new->held[i].batch));
		memcpy(new->held[i].copies, old->held[i].copies, sizeof(new->held[i].copies));
		for (unsigned copy = 0; copy < WPQ_COPIES; copy++) {
			uint64_t number =
				atomic_load_explicit(&old->held[i].number[copy], memory_order_relaxed);

			atomic_store_explicit(&new->held[i].number[copy], number > swept ? number : 0,
					      memory_order_release);
		}
	}
	to->held = from->held;
	if (from->passed_at != UINT64_MAX)
		to->passed_at = from->passed_at - drained;
	to->flushed = from->flushed;
	to->fenced = from->fenced;
	if (from->last_counts)
		to->last_counts = &new->counts[from->last_counts - old->counts];
	memcpy(to->newest, from->newest, sizeof(to->newest));
	memcpy(to->worth, from->worth, sizeof(to->worth));
	memcpy(to->seen, from->seen, sizeof(to->seen));
	atomic_store_explicit(&new->fenced, to->fenced, memory_order_release);
}

int wpq_producer_move(const struct wpq_producer *from, struct wpq_producer *to)
{
	for (unsigned lane = 0; lane < WPQ_LANES; lane++) {
		uint64_t drained =
			atomic_load_explicit(&from->header->lanes[lane].drained, memory_order_acquire);
		uint64_t length = from->pending[lane] - drained;

		if (length > from->lane_size || length > to->lane_size || to->pending[lane])
			return -EPROTO;
		memcpy(to->rings[lane], from->rings[lane] + (drained & (from->lane_size - 1)), length);
		/* What was published and not drained; nothing, if the daemon came to the end of it. */
		to->pending[lane] = from->published[lane] - min_u64(drained, from->published[lane]);
		wpq_publish(to, lane);
		to->pending[lane] = length;
		atomic_store_explicit(&to->header->lanes[lane].pending, length, memory_order_release);
	}
	move_held(from, to,
		  atomic_load_explicit(&from->header->lanes[WPQ_FENCED].drained, memory_order_acquire));
	if (from->pending[WPQ_FENCED] > from->published[WPQ_FENCED])
		to->last = (struct wpq_record *)(to->rings[WPQ_FENCED] + to->pending[WPQ_FENCED]) - 1 -
			   from->last->lines;
	return 0;
}
