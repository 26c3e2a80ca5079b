/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The out-of-line half of the WPQ producer. It maps memory by raw system calls: in libpmem.so.1, libc's
 * mmap() is our own interposer, which takes the lock that the caller may combining.
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
	*producer = (struct wpq_producer){ .header = header, .superseded_at = UINT64_MAX };
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
 * A signal handler left the thread's flush for good (longjmp) before its record was appended. Another record
 * takes its position, so the slots that it superseded are in use again.
 */
static void restore_superseded(struct wpq_producer *producer)
{
	const uint64_t position = producer->pending[WPQ_FENCED];

	for (uint64_t rest = producer->superseded; rest; rest &= rest - 1) {
		unsigned index = (unsigned)__builtin_ctzll(rest);
		_Atomic uint64_t *shared = &producer->header->combining.until[index];
		uint64_t until = atomic_load_explicit(shared, memory_order_relaxed);

		/* UINT64_MAX: the flush was left just before it stored the position. */
		if (until != position && until != UINT64_MAX)
			continue;
		atomic_store_explicit(shared, UINT64_MAX, memory_order_relaxed);
		producer->superseded &= ~wpq_bit(index);
		producer->in_use |= wpq_bit(index);
	}
	producer->superseded_at = UINT64_MAX;
}

struct wpq_record *wpq_reserve(struct wpq_producer *producer, enum wpq_lane_name lane, uint32_t lines)
{
	struct wpq_record *record;

	if (lane == WPQ_FENCED && producer->superseded_at == producer->pending[lane])
		restore_superseded(producer);
	while (!(record = wpq_room(producer, lane, lines))) {
		/*
		 * Publish what waits for a fence, so that it can be drained. Legal: a flush may
		 * take effect at any time before its fence. The sfence completes non-temporal
		 * stores to the records.
		 */
		_mm_sfence();
		wpq_publish(producer, lane);
		if (!producer->full(producer->full_context, producer->header))
			return NULL;
	}
	return record;
}

/* ---- Slots ------------------------------------------------------------------- */

/* The index of the counts of a view; WPQ_SLOT_VIEWS if all are in use. */
static uint32_t counts_of(struct wpq_combining *combining, uint32_t view)
{
	uint32_t counted = atomic_load_explicit(&combining->counted, memory_order_relaxed);
	uint32_t at = 0;

	while (at < counted && combining->counts[at].view != view)
		at++;
	if (at == counted && at < WPQ_SLOT_VIEWS) {
		combining->counts[at].view = view;
		atomic_store_explicit(&combining->counted, counted + 1, memory_order_release);
	}
	return at;
}

/* End the use of a slot: the media has its line, or the ring gets it. False: not possible now. */
static bool release(struct wpq_producer *producer, unsigned index)
{
	const struct wpq_combining *combining = &producer->header->combining;
	const struct wpq_slot *slot = &combining->slots[index];
	unsigned newest = wpq_newest_copy(slot, UINT64_MAX);
	struct wpq_record *record;

	if (newest ==
	    wpq_newest_copy(slot, atomic_load_explicit(&combining->collected, memory_order_acquire))) {
		producer->in_use &= ~wpq_bit(index);
		return true;
	}
	/* Publishing the record makes it durable, so nothing that is not fenced may be published with it. */
	if (newest != wpq_newest_copy(slot, producer->fenced) ||
	    producer->pending[WPQ_FENCED] != producer->published[WPQ_FENCED])
		return false;
	/* A record with the slot's own content, which supersedes the slot. */
	record = wpq_begin(producer, WPQ_FENCED, slot->view, slot->offset, 1, WPQ_COUNTED);
	if (!record)
		return false;
	record->batch = slot->batch[newest];
	memcpy(record + 1, slot->copies[newest], LINE_SIZE);
	wpq_append(producer, WPQ_FENCED, 1);
	wpq_publish(producer, WPQ_FENCED);
	return true;
}

/* Make the slot free. False: it stays in use for now. */
static bool vacate(struct wpq_producer *producer, unsigned index)
{
	if (producer->in_use & wpq_bit(index)) {
		if (producer->credit[index]) {
			producer->credit[index]--;
			return false;
		}
		if (!release(producer, index))
			return false;
	}
	if (!(producer->superseded & wpq_bit(index)))
		return true;
	/* The slot's copy is the newest durable one until the record that superseded it is durable. */
	if (producer->published[WPQ_FENCED] <=
	    atomic_load_explicit(&producer->header->combining.until[index], memory_order_relaxed))
		return false;
	producer->superseded &= ~wpq_bit(index);
	return true;
}

bool wpq_slot_claim(struct wpq_producer *producer, uint32_t view, const unsigned char *memory,
		    uint64_t offset, uint32_t flags)
{
	struct wpq_combining *combining = &producer->header->combining;
	unsigned index = wpq_slot_index(view, offset);
	struct wpq_slot *slot = &combining->slots[index];
	uint32_t counts = counts_of(combining, view);

	if (counts == WPQ_SLOT_VIEWS || !vacate(producer, index))
		return false;
	for (unsigned i = 0; i < WPQ_COPIES; i++)
		atomic_store_explicit(&slot->number[i], 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	slot->view = view;
	slot->offset = offset;
	slot->counts = counts;
	combining->from[index] = producer->pending[WPQ_FENCED];
	atomic_store_explicit(&combining->until[index], UINT64_MAX, memory_order_relaxed);
	producer->in_use |= wpq_bit(index);
	producer->credit[index] = 1;
	wpq_slot_store(producer, index, memory + offset, flags);
	return true;
}

/* ---- From one WPQ to another -------------------------------------------------- */

/*
 * Copy the slots, except for copies that the daemon has collected. Their numbers are
 * stored last, and `fenced` after them: the daemon may already be draining the new WPQ.
 */
static void move_slots(const struct wpq_producer *from, struct wpq_producer *to, uint64_t drained)
{
	const struct wpq_combining *old = &from->header->combining;
	struct wpq_combining *new = &to->header->combining;
	const uint64_t collected = atomic_load_explicit(&old->collected, memory_order_acquire);
	const uint32_t counted = atomic_load_explicit(&old->counted, memory_order_relaxed);

	for (uint32_t i = 0; i < counted; i++)
		new->counts[i].view = old->counts[i].view;
	atomic_store_explicit(&new->counted, counted, memory_order_release);
	to->superseded = from->superseded;
	for (unsigned i = 0; i < WPQ_SLOTS; i++) {
		uint64_t until = atomic_load_explicit(&old->until[i], memory_order_relaxed);

		if (!((from->in_use | from->superseded) & wpq_bit(i)))
			continue;
		if (from->superseded & wpq_bit(i) && until < drained) {
			to->superseded &= ~wpq_bit(i);
			continue;
		}
		new->from[i] = old->from[i] - min_u64(old->from[i], drained);
		atomic_store_explicit(&new->until[i], until == UINT64_MAX ? until : until - drained,
				      memory_order_relaxed);
		new->slots[i].view = old->slots[i].view;
		new->slots[i].offset = old->slots[i].offset;
		new->slots[i].counts = old->slots[i].counts;
		memcpy(new->slots[i].batch, old->slots[i].batch, sizeof(new->slots[i].batch));
		memcpy(new->slots[i].copies, old->slots[i].copies, sizeof(new->slots[i].copies));
		for (unsigned copy = 0; copy < WPQ_COPIES; copy++) {
			uint64_t number =
				atomic_load_explicit(&old->slots[i].number[copy], memory_order_relaxed);

			atomic_store_explicit(&new->slots[i].number[copy], number > collected ? number : 0,
					      memory_order_release);
		}
	}
	to->in_use = from->in_use;
	if (from->superseded_at != UINT64_MAX)
		to->superseded_at = from->superseded_at - drained;
	to->flushed = from->flushed;
	to->fenced = from->fenced;
	if (from->last_counts)
		to->last_counts = &new->counts[from->last_counts - old->counts];
	memcpy(to->newest, from->newest, sizeof(to->newest));
	memcpy(to->credit, from->credit, sizeof(to->credit));
	memcpy(to->recent, from->recent, sizeof(to->recent));
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
	move_slots(from, to,
		  atomic_load_explicit(&from->header->lanes[WPQ_FENCED].drained, memory_order_acquire));
	if (from->pending[WPQ_FENCED] > from->published[WPQ_FENCED])
		to->last = (struct wpq_record *)(to->rings[WPQ_FENCED] + to->pending[WPQ_FENCED]) - 1 -
			   from->last->lines;
	return 0;
}
