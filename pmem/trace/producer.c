/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The out-of-line half of a trace buffer's producer. It runs inside recorded programs, from stubs and
 * signal handlers: system calls are made directly, errno stays as it is.
 */
#include "trace/buffer.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <time.h>

#include "abi/rawcall.h"
#include "common/align.h"
#include "trace/encode.h"
#include "trace/schema.h"

/* Map the ring twice, back to back, at *out. */
static int map_ring(int fd, uint32_t ring_bytes, unsigned char **out)
{
	long room = RAW6(mmap, NULL, 2 * (size_t)ring_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (raw_failed(room))
		return (int)room;
	for (int half = 0; half < 2; half++) {
		long at = RAW6(mmap, (unsigned char *)room + (size_t)half * ring_bytes, ring_bytes,
			       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, TRACE_BUFFER_HEADER_BYTES);

		if (raw_failed(at)) {
			RAW2(munmap, (void *)room, 2 * (size_t)ring_bytes);
			return (int)at;
		}
	}
	*out = (unsigned char *)room;
	return 0;
}

static bool header_valid(const struct trace_buffer_header *header, uint32_t ring_bytes)
{
	return header->magic == TRACE_BUFFER_MAGIC && header->version == TRACE_SHARED_VERSION &&
	       header->header_bytes == TRACE_BUFFER_HEADER_BYTES && ring_bytes >= TRACE_RING_BYTES_MIN &&
	       ring_bytes <= TRACE_RING_BYTES_MAX && is_aligned(ring_bytes, ring_bytes);
}

int trace_producer_attach(struct trace_producer *producer, int fd, struct trace_clock *clock)
{
	long at = RAW6(mmap, NULL, TRACE_BUFFER_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct trace_buffer_header *header = (struct trace_buffer_header *)at;
	uint32_t ring_bytes;
	int error;

	if (raw_failed(at))
		return (int)at;
	ring_bytes = header->ring_bytes;
	*producer = (struct trace_producer){ .header = header, .clock = clock, .mask = ring_bytes - 1 };
	error = header_valid(header, ring_bytes) ? map_ring(fd, ring_bytes, &producer->ring) : -EPROTO;
	if (error) {
		RAW2(munmap, header, TRACE_BUFFER_HEADER_BYTES);
		return error;
	}
	producer->head = atomic_load(&header->head) & ~(uint64_t)7;
	producer->limit = atomic_load(&header->tail) + ring_bytes;
	producer->bell = producer->head + ring_bytes / 4;
	producer->rebase_at = (uint64_t)1 << TRACE_SLOT_STAMP_BITS;
	return 0;
}

void trace_producer_detach(struct trace_producer *producer)
{
	RAW2(munmap, producer->ring, 2 * (size_t)(producer->mask + 1));
	RAW2(munmap, producer->header, TRACE_BUFFER_HEADER_BYTES);
	producer->closed = true;
	producer->limit = producer->head;
}

uint64_t *trace_rebase_below(struct trace_producer *producer, uint64_t *slot, uint64_t stamp, uint64_t words)
{
	const uint64_t rebase = 2;

	for (uint64_t i = words; i-- > 0;)
		slot[i + rebase] = slot[i];
	trace_put_rebase(producer, slot, stamp);
	return slot + rebase;
}

static void wake_consumer(struct trace_clock *clock)
{
	/* The head was published before; the consumer looks at it after it has said that it sleeps. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load(&clock->asleep) || !atomic_exchange(&clock->asleep, 0))
		return;
	RAW3(futex, &clock->asleep, FUTEX_WAKE, 1);
}

/*
 * A thread that has filled a quarter of the ring will fill the next one, too: its pages are made present at
 * once, as long as the ring was not filled yet. The ring is mapped twice, so the quarter may end behind it.
 */
static void touch_next_quarter(const struct trace_producer *producer)
{
	const uint64_t start = align_down(producer->head & producer->mask, PAGE_BYTES);

	if (producer->head <= producer->mask)
		RAW3(madvise, producer->ring + start, (producer->mask + 1) / 4, MADV_POPULATE_WRITE);
}

void trace_ring_bell(struct trace_producer *producer)
{
	producer->bell = producer->head + (producer->mask + 1) / 4;
	wake_consumer(producer->clock);
	touch_next_quarter(producer);
}

/* Sleep until the consumer has moved the tail from `seen`, at most 100 ms. */
static void sleep_on_tail(struct trace_buffer_header *header, uint64_t seen)
{
	const struct timespec timeout = { .tv_nsec = 100 * 1000 * 1000 };

	/* Sequentially consistent with the consumer's store of the tail and its look at `waiting`. */
	atomic_store(&header->waiting, 1);
	if (atomic_load(&header->tail) != seen || atomic_load(&header->state) != TRACE_BUFFER_OPEN)
		return;
	RAW4(futex, &header->tail, FUTEX_WAIT, (uint32_t)seen, &timeout);
}

bool trace_wait_room(struct trace_producer *producer, uint64_t bytes)
{
	struct trace_buffer_header *header = producer->header;
	const uint64_t size = producer->mask + 1;

	if (producer->closed || bytes > size / 2)
		return false;
	for (;;) {
		uint64_t tail = atomic_load_explicit(&header->tail, memory_order_acquire);

		if (atomic_load_explicit(&header->state, memory_order_acquire) != TRACE_BUFFER_OPEN)
			break;
		producer->limit = tail + size;
		if (producer->head + bytes <= producer->limit)
			return true;
		wake_consumer(producer->clock);
		sleep_on_tail(header, tail);
		if (atomic_load(&header->tail) == tail && producer->gone_fn &&
		    producer->gone_fn(producer->gone_context))
			break;
	}
	producer->closed = true;
	producer->limit = producer->head;
	return false;
}

static bool log_short(struct trace_producer *producer, uint32_t flags, uint32_t site, uint64_t place,
		      const void *bytes, uint32_t length)
{
	if (!trace_room(producer, TRACE_SLOT_ROOM))
		return false;
	trace_put_store(producer, trace_stamp(producer), flags, site, place, bytes, length);
	trace_publish(producer);
	return true;
}

static bool place_valid(uint32_t pool, uint64_t offset, uint64_t length)
{
	return pool <= TRACE_SLOT_POOL_MAX && length && length <= TRACE_STORE_END &&
	       offset <= TRACE_STORE_END - length;
}

bool trace_log_store(struct trace_producer *producer, uint32_t flags, uint32_t site, uint32_t pool,
		     uint64_t offset, const void *bytes, uint64_t length)
{
	const uint64_t most = min_u64(TRACE_BYTES_MAX, (producer->mask + 1) / 4);
	const unsigned char *from = bytes;

	if (!place_valid(pool, offset, length))
		return false;
	if (length <= TRACE_SLOT_INLINE_MAX)
		return log_short(producer, flags, site, trace_slot_place(pool, offset), bytes,
				 (uint32_t)length);
	while (length) {
		const uint64_t piece = min_u64(length, most);

		if (!trace_room(producer, piece + TRACE_SLOT_ROOM))
			return false;
		trace_put_store_long(producer, trace_stamp(producer), flags, site,
				     trace_slot_place(pool, offset), from, piece);
		trace_publish(producer);
		flags |= TRACE_CONTINUED;
		offset += piece;
		from += piece;
		length -= piece;
	}
	return true;
}

bool trace_log_flush(struct trace_producer *producer, enum trace_flush which, uint32_t site, uint32_t pool,
		     uint64_t offset, uint64_t length)
{
	uint64_t line, lines;

	if (!place_valid(pool, offset, length))
		return false;
	line = align_down(offset, LINE_SIZE);
	lines = (offset - line + length + LINE_SIZE - 1) / LINE_SIZE;
	while (lines) {
		const uint32_t piece = (uint32_t)min_u64(lines, TRACE_SLOT_INLINE_MAX);

		if (!trace_room(producer, TRACE_SLOT_ROOM))
			return false;
		trace_put_flush(producer, trace_stamp(producer), which, site, trace_slot_place(pool, line),
				piece);
		trace_publish(producer);
		line += (uint64_t)piece * LINE_SIZE;
		lines -= piece;
	}
	return true;
}

bool trace_log_fence(struct trace_producer *producer, enum trace_fence which, uint32_t site)
{
	if (!trace_room(producer, TRACE_SLOT_ROOM))
		return false;
	trace_put_fence(producer, trace_stamp(producer), which, site);
	trace_publish(producer);
	return true;
}

bool trace_log_event(struct trace_producer *producer, const struct trace_event *event)
{
	uint64_t stamp, *slot, length;
	unsigned char *to;

	if (trace_event_wrong(event) || !trace_room(producer, trace_encoded_bound(event) + TRACE_SLOT_ROOM))
		return false;
	stamp = trace_stamp(producer);
	slot = trace_slot_begin(producer, trace_slot_word(TRACE_SLOT_EVENT, 0, 0, 0), stamp);
	to = (unsigned char *)(slot + 2);
	length = trace_encode(event, to);
	slot[1] = length;
	for (; !is_aligned(length, 8); length++)
		to[length] = 0;
	producer->head += 16 + length;
	trace_publish(producer);
	return true;
}
