/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/event_log.h"

#include "client/signals.h"
#include "client/record/engine.h"
#include "client/record/operand.h"
#include "client/record/pages_ahead.h"
#include "client/record/thunk.h"
#include "common/align.h"
#include "trace/buffer.h"

static uint64_t call_attach(void *unused)
{
	uint64_t signals = signals_block();
	int error = record_engine.setup.attach(&record_self.producer, &record_low->clock);

	signals_restore(signals);
	return (uint64_t)(int64_t)error;
}

static uint64_t call_wait_room(void *bytes)
{
	return trace_wait_room(&record_self.producer, *(uint64_t *)bytes);
}

static uint64_t call_ring_bell(void *unused)
{
	trace_ring_bell(&record_self.producer);
	return 0;
}

static void attach(struct record_thread *self)
{
	self->starting = true;
	self->producer.closed = record_keeping_vectors(call_attach, NULL) != 0;
	self->starting = false;
	self->started = true;
}

void record_log_limit(void)
{
	const struct trace_producer *producer = &record_self.producer;

	record_self.inline_limit =
		producer->closed ? 0 : min_u64(producer->limit - TRACE_SLOT_ROOM, producer->bell);
}

bool record_log_wait_room(uint64_t bytes)
{
	struct record_thread *self = &record_self;
	struct trace_producer *producer = &self->producer;
	uint64_t all = bytes + TRACE_SLOT_ROOM;
	bool room = true;

	if (__builtin_expect(!self->started, 0)) {
		if (self->starting || !record_engine.setup.stores || !record_engine.setup.attach)
			return false;
		attach(self);
	}
	if (!producer->closed && producer->head >= producer->bell)
		record_keeping_vectors(call_ring_bell, NULL);
	if (producer->closed)
		room = false;
	else if (producer->head + all > producer->limit)
		room = record_keeping_vectors(call_wait_room, &all);
	record_log_limit();
	return room;
}

static void log_piece(const struct record_frame *frame, uint64_t stamp, uint32_t flags, uint64_t done,
		      uint64_t length)
{
	struct trace_producer *producer = &record_self.producer;
	uint64_t address = frame->address + done;
	uint64_t place = record_place(record_range_find(address), address);
	const void *bytes = (const void *)(frame->alias + done);

	if (length > 64) {
		trace_put_store_long(producer, stamp, flags, frame->site->id, place, bytes, length);
	} else if (frame->mask && frame->mask >> done) {
		uint64_t mask = frame->mask >> done;

		if (length < 64)
			mask &= ((uint64_t)1 << length) - 1;
		if (mask)
			trace_put_store_masked(producer, stamp, flags, frame->site->id, place, mask, bytes,
					       (uint32_t)length);
		else
			trace_put_void(producer, stamp);
	} else if (frame->mask) {
		trace_put_void(producer, stamp);
	} else {
		trace_put_store(producer, stamp, flags, frame->site->id, place, bytes, (uint32_t)length);
	}
}

void record_log_store(struct record_frame *frame)
{
	uint32_t flags = frame->flags_of_store;
	uint64_t stamp = frame->stamp;

	for (uint64_t done = 0; done < frame->length;) {
		uint64_t address = frame->address + done;
		const struct record_range *range = record_range_find(address);
		uint64_t piece = min_u64(frame->length - done, range->length - (address - range->start));

		if (done)
			stamp = trace_stamp(&record_self.producer);
		log_piece(frame, stamp, flags, done, piece);
		flags |= TRACE_CONTINUED;
		done += piece;
	}
	if (frame->site->insn.nontemporal)
		record_waiting = 1;
}

void record_log_flush(uint64_t address, enum record_flush_kind kind, uint32_t site)
{
	struct trace_producer *producer = &record_self.producer;
	const struct record_range *range = record_range_find(address);

	if (!record_log_room(0))
		return;
	trace_put_flush(producer, trace_stamp(producer), (enum trace_flush)kind, site,
			record_place(range, align_down(address, 64)), 1);
	record_log_publish();
	record_pages_flushed(range, address);
}
_Static_assert((int)RECORD_CLWB == (int)TRACE_CLWB && (int)RECORD_CLFLUSHOPT == (int)TRACE_CLFLUSHOPT &&
		       (int)RECORD_CLFLUSH == (int)TRACE_CLFLUSH && (int)RECORD_SFENCE == (int)TRACE_SFENCE &&
		       (int)RECORD_MFENCE == (int)TRACE_MFENCE && (int)RECORD_RMW == (int)TRACE_RMW,
	       "the trace's numbers are taken as they are");
