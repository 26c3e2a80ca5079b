/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_WPQ_H
#define DOMAIN_WPQ_H

/*
 * The write pending queue: a ring in shared memory, one a client thread. What
 * is published in it is durable; the daemon drains it to the media.
 *
 * This header is all that a client and the daemon share of it: the layout, and
 * the producer's side, which needs nothing but memory (no system call, no lock,
 * async-signal-safe). Layout is little-endian, fixed width.
 *
 * A WPQ has two lanes. In the FENCED lane records wait until the thread's
 * fence publishes them (clwb, clflushopt, non-temporal stores). The DIRECT lane
 * is published record by record: clflush guarantees its line at once, and must
 * not commit flushes that still wait for a fence.
 *
 * Each lane's ring is mapped twice, back to back, so that a record is always
 * contiguous. Positions count bytes since the start and never wrap (2^64).
 *
 *   published  written by the client (release), read by the daemon (acquire):
 *              records below it are durable
 *   pending    written by the client: records from published to here are
 *              flushed and not fenced; read only when power fails
 *   drained    written by the daemon (release), read by the client (acquire):
 *              room below it may be used again
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/align.h"
#include "domain/domain.h"
#include "domain/line.h"

#define WPQ_MAGIC 0x51505753u /* "SWPQ" */
#define WPQ_VERSION 2u

enum wpq_lane_name { WPQ_FENCED, WPQ_DIRECT, WPQ_LANES };

struct wpq_lane {
	_Alignas(64) _Atomic uint64_t published;
	_Atomic uint64_t pending;
	_Atomic uint64_t idle_fences; /* written by the client: fences that had nothing to publish */
	_Alignas(64) _Atomic uint64_t drained;
};

struct wpq_header {
	uint32_t magic;
	uint32_t version;
	uint32_t header_size; /* where lane 0's ring starts; lane 1's follows it */
	uint32_t lane_size;   /* a power of two, a multiple of 4096 */
	/* The daemon counts the beginnings and ends of its drains here; see order.c. */
	_Alignas(64) _Atomic uint64_t batch;
	/* Written by the daemon: it is at the rings anyway, and need not be asked to drain. */
	_Atomic uint32_t awake;
	_Atomic uint32_t state; /* written by the daemon: enum wpq_state */
	struct wpq_lane lanes[WPQ_LANES];
};
_Static_assert(sizeof(struct wpq_lane) == 128, "shared with other processes");
_Static_assert(offsetof(struct wpq_header, lanes) == 128, "shared with other processes");
_Static_assert(sizeof(struct wpq_header) == 384, "shared with other processes");

enum wpq_record_kind {
	WPQ_LINES = 1, /* payload: the lines as they were when flushed */
	/*
	 * eADR only. payload: one line as it was before a non-temporal store, and
	 * after it: unfenced, it may yet be lost.
	 */
	WPQ_UNDO = 2
};

/*
 * A WPQ ends with the connection it was given on, which a client may lose without
 * knowing. So it looks here after each publication (what is stored before a
 * barrier of membarrier(2), the daemon finds; what is read after it, says CLOSING).
 */
enum wpq_state {
	WPQ_OPEN,
	WPQ_CLOSING, /* is being drained for the last time */
	WPQ_CLOSED   /* `drained` is where that ended: what lies beyond, the client may publish elsewhere */
};

/* For who counts; nothing else hangs on them. */
enum wpq_record_flags {
	WPQ_CONTINUED = 1u << 0, /* a further piece of the flush before it */
	WPQ_PERSIST = 1u << 1,	 /* its flush and its fence were one call */
	WPQ_LAST = 1u << 2	 /* the last one before its fence */
};

struct wpq_record {
	uint32_t view;	 /* the view's id */
	uint32_t kind;	 /* enum wpq_record_kind */
	uint64_t offset; /* of the first line in the view, a multiple of 64 */
	uint64_t batch;	 /* the header's, read before the lines were */
	uint32_t lines;
	uint32_t flags; /* enum wpq_record_flags */
	uint32_t padding[8];
};
_Static_assert(sizeof(struct wpq_record) == LINE_SIZE, "payload keeps to lines");

/* The client's own end of a WPQ; not shared. One thread uses it. */
struct wpq_producer {
	struct wpq_header *header;
	unsigned char *rings[WPQ_LANES]; /* mapped twice each */
	uint64_t lane_size;		 /* as it was in the header when it was opened */
	uint64_t pending[WPQ_LANES];	 /* the truth; the shared copies follow these */
	uint64_t published[WPQ_LANES];
	struct wpq_record *last; /* of those in the FENCED lane */
	/* Called when a ring is full: return when `drained` has moved, or false to give up. */
	bool (*full)(void *context, struct wpq_header *header);
	void *full_context;
};

static inline void wpq_publish(struct wpq_producer *producer, enum wpq_lane_name lane)
{
	producer->published[lane] = producer->pending[lane];
	/* Release: the records' bytes come before the position that makes them durable. */
	atomic_store_explicit(&producer->header->lanes[lane].published, producer->pending[lane],
			      memory_order_release);
}

/* Room for a record of `lines`; NULL if the ring stayed full. At most half a ring is asked for. */
static inline struct wpq_record *wpq_reserve(struct wpq_producer *producer, enum wpq_lane_name lane,
					     uint32_t lines)
{
	struct wpq_lane *shared = &producer->header->lanes[lane];
	uint64_t size = producer->lane_size;
	uint64_t need = (uint64_t)(lines + 1) * LINE_SIZE;

	while (producer->pending[lane] + need -
		       atomic_load_explicit(&shared->drained, memory_order_acquire) > size) {
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
	return (struct wpq_record *)(producer->rings[lane] + (producer->pending[lane] & (size - 1)));
}

#define WPQ_FETCH_AHEAD 512u

/* prefetchw: a hint to processors that know it, and nothing to others. */
static inline void wpq_fetch(const unsigned char *at)
{
	__asm__ volatile("prefetchw %0" : : "m"(*at));
	__asm__ volatile("prefetchw %0" : : "m"(*(at + LINE_SIZE)));
}

static inline void wpq_append(struct wpq_producer *producer, enum wpq_lane_name lane, uint32_t lines)
{
	producer->pending[lane] += (uint64_t)(lines + 1) * LINE_SIZE;
	atomic_store_explicit(&producer->header->lanes[lane].pending, producer->pending[lane],
			      memory_order_release);
	/* The daemon's processor had the lines last; ask for those of a few records from now, to write to. */
	wpq_fetch(producer->rings[lane] +
		  ((producer->pending[lane] + WPQ_FETCH_AHEAD) & (producer->lane_size - 1)));
}

/* The most lines that one record takes. */
static inline uint64_t wpq_record_lines(const struct wpq_producer *producer)
{
	return producer->lane_size / (2 * LINE_SIZE) - 1;
}

/*
 * A record of `lines` (at most wpq_record_lines()) from `offset` of the view on, for the caller to
 * put its payload in and to wpq_append(). NULL as wpq_reserve().
 */
static inline struct wpq_record *wpq_begin(struct wpq_producer *producer, enum wpq_lane_name lane,
					   uint32_t view, uint64_t offset, uint32_t lines,
					   uint32_t flags)
{
	struct wpq_record *record = wpq_reserve(producer, lane, lines);

	if (!record)
		return NULL;
	record->view = view;
	record->kind = WPQ_LINES;
	record->offset = offset;
	record->lines = lines;
	record->flags = flags;
	/* Acquire: the lines are read, or stored, after the batch; see order.c for what follows from it. */
	record->batch = atomic_load_explicit(&producer->header->batch, memory_order_acquire);
	if (lane == WPQ_FENCED)
		producer->last = record;
	return record;
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
		lines_snapshot(record + 1, memory + offset, piece);
		wpq_append(producer, lane, piece);
		offset += (uint64_t)piece * LINE_SIZE;
		lines -= piece;
		flags |= WPQ_CONTINUED;
	}
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
	uint64_t start = align_down(offset, LINE_SIZE);

	return wpq_snapshot(producer, WPQ_FENCED, view, memory, start,
			    (offset + length - start + LINE_SIZE - 1) / LINE_SIZE, flags);
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

/* sfence, mfence or a locked RMW of this thread: what it flushed is durable. */
static inline void wpq_fence(struct wpq_producer *producer)
{
	_Atomic uint64_t *idle = &producer->header->lanes[WPQ_FENCED].idle_fences;

	if (producer->pending[WPQ_FENCED] == producer->published[WPQ_FENCED]) {
		atomic_store_explicit(idle, atomic_load_explicit(idle, memory_order_relaxed) + 1,
				      memory_order_relaxed);
		return;
	}
	producer->last->flags |= WPQ_LAST;
	wpq_publish(producer, WPQ_FENCED);
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
}

/* ---- The daemon's side ---------------------------------------------------- */

/* More than a processor's own cache: its writer and its reader meet in the one that they share. */
#define WPQ_LANE_SIZE_DEFAULT (1u << 22)

/* A new, empty WPQ. lane_size as in the header; 0 means the default. */
int wpq_create(struct domain *domain, uint32_t lane_size, struct wpq **out);
/*
 * Which views a client's records may name, for all its WPQs of one domain: those
 * of pools that it has shown to be allowed to write. Views that are added are
 * never taken away. Thread safe; must outlive the WPQs.
 */
struct wpq_rights;
int wpq_rights_create(struct domain *domain, struct wpq_rights **out);
void wpq_rights_destroy(struct wpq_rights *rights);
int wpq_rights_add(struct wpq_rights *rights, uint32_t view);
/* From here on a record for another view is one that cannot be. Before that, records are for any view. */
void wpq_limit(struct wpq *wpq, const struct wpq_rights *rights);

/*
 * Drain what is published in any WPQ (see domain_drain()), mark this one as
 * closed, free. Exact for clients that have registered with membarrier(2) for
 * global expedited barriers.
 */
void wpq_destroy(struct wpq *wpq);
/* The memory to share: a memfd of header_size + 2 * lane_size bytes, sealed against resizing. */
int wpq_fd(const struct wpq *wpq);
/* Map a WPQ's memory as its producer, in this process or a client's. */
int wpq_producer_open(int fd, struct wpq_producer *producer);
void wpq_producer_close(struct wpq_producer *producer);
/*
 * Copy what a WPQ that is WPQ_CLOSED was not drained of into a new one, and
 * publish there what was published. -EPROTO: it does not fit.
 */
int wpq_producer_move(const struct wpq_producer *from, struct wpq_producer *to);
/* What has gone through it, and is in it now. Waiting bytes and idle fences are the client's own word. */
struct wpq_usage {
	struct domain_counts counts;
	uint64_t idle_fences; /* those that had nothing to publish */
	uint64_t lane_size;
	uint64_t waiting[WPQ_LANES]; /* bytes not drained, published or not; at most lane_size */
};
void wpq_usage(struct wpq *wpq, struct wpq_usage *out);
/* Did it hold a record that cannot be? Then nothing more of it is drained. */
bool wpq_is_dead(const struct wpq *wpq);

#endif
