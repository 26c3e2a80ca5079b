/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Every store that the library makes to the program's memory: pmem_memmove, pmem_memcpy and pmem_memset,
 * which store, flush and fence. A store is one of
 *
 *   cached      as memmove(3) and memset(3) make it
 *   streaming   past the caches, and into the WPQ at the same time: each byte is read once
 *   undoable    eADR: past the caches, so that an outage may undo it until the fence
 *
 * or it is made by the attached recorder (events.h).
 */

#include <libpmem.h>
#include <string.h>

#include "client/connection.h"
#include "client/events.h"
#include "client/flush.h"
#include "client/inline.h"
#include "client/nontemporal.h"
#include "client/queues.h"
#include "client/recording.h"
#include "client/settings.h"
#include "common/align.h"

/* ---- The bytes ----------------------------------------------------------------- */

static inline void store_bytes(void *to, const void *from, size_t length, enum client_store_kind kind)
{
	const struct client_recorder *recorder;

	if (likely(client_fast_path_allowed()) || !(recorder = client_recorder()))
		memmove(to, from, length);
	else
		recorder->copy(to, from, length, kind);
}

static inline void store_value(void *to, int value, size_t length, enum client_store_kind kind)
{
	const struct client_recorder *recorder;

	if (likely(client_fast_path_allowed()) || !(recorder = client_recorder()))
		memset(to, value, length);
	else
		recorder->set(to, value, length, kind);
}

/*
 * The next three functions are not in line: their variables would cost each short cached store an aligned
 * stack and its canary.
 */

/* ---- Undoable -------------------------------------------------------------------- */

/* [to, to + length) is within one line. */
static void store_undoable_line(unsigned char *to, const unsigned char *from, size_t length)
{
	struct range at = ranges_find((uintptr_t)to);
	const unsigned char *view = to - at.offset;
	struct wpq_record *record;
	struct queue *queue;
	unsigned depth;

	if (!(at.flags & RANGE_POOL)) {
		store_bytes(to, from, length, CLIENT_STORE_NONTEMPORAL);
		return;
	}
	queue = queue_begin(at.region, &depth);
	while (!(record = wpq_undo_before(&queue->producer, at.view, view, at.offset)))
		queue_replace(queue);
	store_bytes(to, from, length, CLIENT_STORE_NONTEMPORAL);
	wpq_undo_after(&queue->producer, record, view);
	queue_end(queue, depth);
}

/* memmove(3), a line at a time; from the end where the source would be overwritten otherwise. */
static __attribute__((noinline)) void copy_undoable(unsigned char *to, const unsigned char *from,
						    size_t length)
{
	const bool backwards = to > from && to < from + length;

	while (length) {
		size_t piece;

		if (backwards) {
			size_t in_line = ((uintptr_t)to + length - 1) % LINE_SIZE + 1;

			piece = min_u64(length, in_line);
			length -= piece;
			store_undoable_line(to + length, from + length, piece);
			continue;
		}
		piece = min_u64(length, LINE_SIZE - (uintptr_t)to % LINE_SIZE);
		store_undoable_line(to, from, piece);
		to += piece;
		from += piece;
		length -= piece;
	}
}

static __attribute__((noinline)) void set_undoable(unsigned char *to, int value, size_t length)
{
	unsigned char line[LINE_SIZE];

	memset(line, value, sizeof(line));
	while (length) {
		size_t piece = min_u64(length, LINE_SIZE - (uintptr_t)to % LINE_SIZE);

		store_undoable_line(to, line, piece);
		to += piece;
		length -= piece;
	}
}

/* ---- Streaming -------------------------------------------------------------------- */

/* Bytes of one record: a page. */
#define STREAM_BYTES PAGE_BYTES

/*
 * Store whole lines of one range by non-temporal stores, and flush what was stored. `to` and `length` are
 * multiples of a line; source and destination do not overlap.
 */
static void stream_range(const struct range *at, unsigned char *to, const unsigned char *from, size_t length,
			 uint32_t flags)
{
	const bool early = flags & QUEUE_EARLY;
	unsigned depth;
	struct queue *queue = queue_begin(at->region, &depth);
	struct wpq_producer *producer = &queue->producer;

	flags &= ~QUEUE_EARLY;
	for (size_t done = 0; done < length; flags |= WPQ_CONTINUED) {
		uint64_t offset = at->offset + done;
		uint64_t to_boundary = align_down(offset, STREAM_BYTES) + STREAM_BYTES - offset;
		uint32_t lines = (uint32_t)(min_u64(to_boundary, length - done) / LINE_SIZE);
		struct wpq_record *record;

		if (early)
			queue_publish_early(producer);
		while (!(record = wpq_begin(producer, WPQ_FENCED, at->view, offset, lines, flags)))
			queue_replace(queue);
		nontemporal_store_lines(to + done, record + 1, from + done, lines);
		/* Set for each piece: a handler's fence in between clears it for the pieces before. */
		thread_self.unordered = true;
		atomic_signal_fence(memory_order_seq_cst);
		wpq_append(producer, WPQ_FENCED, lines);
		done += (size_t)lines * LINE_SIZE;
	}
	queue_end(queue, depth);
}

/* Whole lines of pools are streamed; parts of lines, and memory that is no pool, are stored and flushed. */
static __attribute__((noinline)) void copy_streaming(unsigned char *to, const unsigned char *from,
						     size_t length, uint32_t how)
{
	while (length) {
		struct range at = ranges_find((uintptr_t)to);
		size_t piece = min_u64(length, at.end - (uintptr_t)to);
		size_t to_line = -(uintptr_t)to % LINE_SIZE;
		bool stream = at.flags & RANGE_POOL && !to_line && piece >= LINE_SIZE;

		if (stream)
			piece = align_down(piece, LINE_SIZE);
		else if (to_line)
			piece = min_u64(piece, to_line);
		if (stream) {
			stream_range(&at, to, from, piece, how);
		} else {
			memcpy(to, from, piece);
			client_flush_lines((uintptr_t)to, piece, how);
		}
		how |= WPQ_CONTINUED;
		to += piece;
		from += piece;
		length -= piece;
	}
}

/* ---- Which of them ------------------------------------------------------------------ */

/* Would libpmem's stores go past the caches? */
static inline bool is_nontemporal(size_t length, unsigned flags)
{
	if (flags & PMEM_F_MEM_NOFLUSH || client_settings()->nontemporal_from == SIZE_MAX)
		return false;
	if (flags & (PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_WC))
		return true;
	if (flags & (PMEM_F_MEM_TEMPORAL | PMEM_F_MEM_WB))
		return false;
	return length >= client_settings()->nontemporal_from;
}

/* eADR: non-temporal stores that no fence of the same call follows. */
static bool is_undoable(unsigned flags)
{
	return flags & PMEM_F_MEM_NODRAIN && connection_domain() == PERSISTENCE_CPU_CACHE;
}

static bool overlap(const unsigned char *to, const unsigned char *from, size_t length)
{
	return to < from + length && from < to + length;
}

/*
 * Streaming keeps no order within a line, so not where bytes overlap. Nor for few lines that the caller asks
 * to be stored past the caches, as libpmemobj does for its logs: it stores to them over and over, and each
 * store would go to memory and the fence wait for it.
 */
static bool is_for_streaming(const void *to, const void *from, size_t length, unsigned flags)
{
	const size_t few = 1024;

	if (overlap(to, from, length) || !client_flushes_count())
		return false;
	return length > few || !(flags & (PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_WC));
}

static uint32_t record_flags(size_t length, unsigned flags)
{
	if (flags & PMEM_F_MEM_NODRAIN)
		return 0;
	return length > QUEUE_EARLY_FROM ? WPQ_PERSIST | QUEUE_EARLY : WPQ_PERSIST;
}

static inline void flush_and_fence(const void *to, size_t length, unsigned flags)
{
	if (flags & PMEM_F_MEM_NOFLUSH)
		return;
	if (flags & PMEM_F_MEM_NODRAIN)
		client_flush((uintptr_t)to, length);
	else
		client_persist((uintptr_t)to, length);
}

/* Non-temporal stores made by the recorder, which no flush follows in the trace. */
static void flush_and_fence_unrecorded(const void *to, size_t length, unsigned flags)
{
	if (client_flushes_count())
		client_flush_lines((uintptr_t)to, length, record_flags(length, flags));
	if (!(flags & PMEM_F_MEM_NODRAIN))
		client_fence();
}

static inline void *copy(void *to, const void *from, size_t length, unsigned flags)
{
	const bool nontemporal = is_nontemporal(length, flags);

	if (flags & PMEM_F_MEM_NODRAIN)
		client_inline_flushed();
	if (nontemporal && is_undoable(flags)) {
		copy_undoable(to, from, length);
	} else if (nontemporal && unlikely(client_recorder())) {
		store_bytes(to, from, length, CLIENT_STORE_NONTEMPORAL);
		flush_and_fence_unrecorded(to, length, flags);
	} else if (nontemporal && is_for_streaming(to, from, length, flags)) {
		copy_streaming(to, from, length, record_flags(length, flags));
		if (!(flags & PMEM_F_MEM_NODRAIN))
			client_fence();
	} else {
		store_bytes(to, from, length, CLIENT_STORE_CACHED);
		flush_and_fence(to, length, flags);
	}
	return to;
}

static inline void *set(void *to, int value, size_t length, unsigned flags)
{
	const bool nontemporal = is_nontemporal(length, flags);

	if (flags & PMEM_F_MEM_NODRAIN)
		client_inline_flushed();
	if (nontemporal && is_undoable(flags)) {
		set_undoable(to, value, length);
	} else if (nontemporal && unlikely(client_recorder())) {
		store_value(to, value, length, CLIENT_STORE_NONTEMPORAL);
		flush_and_fence_unrecorded(to, length, flags);
	} else {
		store_value(to, value, length, CLIENT_STORE_CACHED);
		flush_and_fence(to, length, flags);
	}
	return to;
}

/* ---- As libpmem(7) has them ------------------------------------------------------------ */

PUBLIC void *pmem_memmove(void *pmemdest, const void *src, size_t len, unsigned flags)
{
	client_recording_called_from(__builtin_return_address(0));
	return copy(pmemdest, src, len, flags);
}

PUBLIC void *pmem_memcpy(void *pmemdest, const void *src, size_t len, unsigned flags)
{
	client_recording_called_from(__builtin_return_address(0));
	return copy(pmemdest, src, len, flags);
}

PUBLIC void *pmem_memset(void *pmemdest, int c, size_t len, unsigned flags)
{
	client_recording_called_from(__builtin_return_address(0));
	return set(pmemdest, c, len, flags);
}

PUBLIC void *pmem_memmove_nodrain(void *pmemdest, const void *src, size_t len)
{
	client_recording_called_from(__builtin_return_address(0));
	return copy(pmemdest, src, len, PMEM_F_MEM_NODRAIN);
}

PUBLIC void *pmem_memcpy_nodrain(void *pmemdest, const void *src, size_t len)
{
	client_recording_called_from(__builtin_return_address(0));
	return copy(pmemdest, src, len, PMEM_F_MEM_NODRAIN);
}

PUBLIC void *pmem_memset_nodrain(void *pmemdest, int c, size_t len)
{
	client_recording_called_from(__builtin_return_address(0));
	return set(pmemdest, c, len, PMEM_F_MEM_NODRAIN);
}

PUBLIC void *pmem_memmove_persist(void *pmemdest, const void *src, size_t len)
{
	client_recording_called_from(__builtin_return_address(0));
	return copy(pmemdest, src, len, 0);
}

PUBLIC void *pmem_memcpy_persist(void *pmemdest, const void *src, size_t len)
{
	client_recording_called_from(__builtin_return_address(0));
	return copy(pmemdest, src, len, 0);
}

PUBLIC void *pmem_memset_persist(void *pmemdest, int c, size_t len)
{
	client_recording_called_from(__builtin_return_address(0));
	return set(pmemdest, c, len, 0);
}
