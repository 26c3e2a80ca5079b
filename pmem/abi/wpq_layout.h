/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ABI_WPQ_LAYOUT_H
#define ABI_WPQ_LAYOUT_H

/*
 * A write pending queue, as its client and the daemon have it in shared memory;
 * one a client thread. What is published in it is durable; the daemon drains it
 * to the media. Little-endian, fixed width.
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
#include <stddef.h>
#include <stdint.h>

#include "common/align.h"

#define WPQ_MAGIC 0x51505753u /* "SWPQ" */
#define WPQ_VERSION 3u

enum wpq_lane_name { WPQ_FENCED, WPQ_DIRECT, WPQ_LANES };

struct wpq_lane {
	_Alignas(64) _Atomic uint64_t published;
	_Atomic uint64_t pending;
	_Atomic uint64_t idle_fences; /* written by the client: fences that had nothing to publish */
	_Alignas(64) _Atomic uint64_t drained;
};

/*
 * Some lines are flushed over and over: the head of a log, a counter, a lock. As
 * records they would fill the ring, and keep the daemon busy with what is not
 * worth anything a moment later. So a WPQ holds some lines apart, as part of its
 * FENCED lane: a flush replaces what is held, a fence says up to which flush it
 * is durable, and the daemon takes now and then what is there (it sweeps).
 *
 * Flushes of held lines are numbered from 1. There are three copies of a line, so that
 * while one is being written the newest one stays, and the newest that is durable, too.
 */
#define WPQ_HELD 64u
#define WPQ_COPIES 3u

struct wpq_held {
	uint32_t view;
	uint32_t counts; /* for the client: of which of the WPQ's counts */
	uint64_t offset; /* of the line in the view */
	/* Each copy's flush. 0: there is none, or it is being written. */
	_Atomic uint64_t number[WPQ_COPIES];
	uint64_t batch[WPQ_COPIES]; /* as in a record */
	_Alignas(64) unsigned char copies[WPQ_COPIES][LINE_SIZE];
};
_Static_assert(sizeof(struct wpq_held) == 256, "shared with other processes");

/* Of flushes of held lines, by view, since the start; the client's word. */
struct wpq_held_counts {
	_Atomic uint64_t flushes, persists, fences;
	uint32_t view;
	uint32_t padding;
};
#define WPQ_HELD_VIEWS 16u

struct wpq_hold {
	_Alignas(64) _Atomic uint64_t fenced; /* written by the client: flushes up to this one are durable */
	_Atomic uint32_t counted;	      /* so many of `counts` are in use */
	/* Written by the daemon: what of a flush up to this one is still held, the media has. */
	_Alignas(64) _Atomic uint64_t swept;
	_Alignas(64) struct wpq_held_counts counts[WPQ_HELD_VIEWS];
	/*
	 * Positions in the FENCED lane, for each held line: records of the line below `from` are older than
	 * its copies, those at `until` and beyond it newer. Published beyond `until`, the copies are void.
	 */
	uint64_t from[WPQ_HELD];
	_Atomic uint64_t until[WPQ_HELD];
	struct wpq_held held[WPQ_HELD];
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
	_Atomic uint32_t state;	   /* written by the daemon: enum wpq_state */
	_Atomic uint32_t may_hold; /* the same: else each flush is a record */
	struct wpq_lane lanes[WPQ_LANES];
	struct wpq_hold hold;
};
_Static_assert(sizeof(struct wpq_lane) == 128, "shared with other processes");
_Static_assert(offsetof(struct wpq_header, lanes) == 128, "shared with other processes");
_Static_assert(offsetof(struct wpq_header, hold) == 384, "shared with other processes");

#define WPQ_HEADER_BYTES (5u * 4096)
_Static_assert(sizeof(struct wpq_header) <= WPQ_HEADER_BYTES, "whole pages, before the rings");

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
	WPQ_LAST = 1u << 2,	 /* the last one before its fence */
	WPQ_COUNTED = 1u << 3	 /* a held line that had to go, whose flushes were counted before */
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

#endif
