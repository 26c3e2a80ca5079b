/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ABI_WPQ_LAYOUT_H
#define ABI_WPQ_LAYOUT_H

/*
 * A write pending queue in the memory that a client and the daemon share. Each thread of
 * a client has one. What is published in it is durable; the daemon drains it
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
#define WPQ_VERSION 4u

enum wpq_lane_name { WPQ_FENCED, WPQ_DIRECT, WPQ_LANES };

struct wpq_lane {
	_Alignas(64) _Atomic uint64_t published;
	_Atomic uint64_t pending;
	_Atomic uint64_t idle_fences; /* written by the client: fences that had nothing to publish */
	_Alignas(64) _Atomic uint64_t drained;
};

/*
 * Write combining. Programs flush some lines over and over: the head of a log, a
 * counter, a lock. As records these flushes would fill the ring, and the daemon would
 * write each of them to the media. So a WPQ has slots, as part of its FENCED lane. A slot
 * combines the flushes of one line: each replaces the one before, a fence
 * says up to which flush the slots are durable, and the daemon collects them when it drains.
 *
 * Flushes of slots are numbered from 1. A slot has three copies of its line, so that
 * while one is being written there remain the newest one and the newest durable one.
 */
#define WPQ_SLOTS 64u
#define WPQ_COPIES 3u

struct wpq_slot {
	uint32_t view;
	uint32_t counts; /* for the client: the index in wpq_combining.counts */
	uint64_t offset; /* of the line in the view */
	/* The number of each copy's flush. 0: there is no copy, or it is being written. */
	_Atomic uint64_t number[WPQ_COPIES];
	uint64_t batch[WPQ_COPIES]; /* of each copy, as in a record */
	_Alignas(64) unsigned char copies[WPQ_COPIES][LINE_SIZE];
};
_Static_assert(sizeof(struct wpq_slot) == 256, "shared with other processes");

/* Flushes of slots of one view since the start, as the client counts them. */
struct wpq_slot_counts {
	_Atomic uint64_t flushes, persists, fences;
	uint32_t view;
	uint32_t padding;
};
#define WPQ_SLOT_VIEWS 16u

struct wpq_combining {
	_Alignas(64) _Atomic uint64_t fenced; /* written by the client: flushes up to this one are durable */
	_Atomic uint32_t counted;	      /* the number of elements of `counts` in use */
	/* Written by the daemon: the media has all copies of flushes up to this one. */
	_Alignas(64) _Atomic uint64_t collected;
	_Alignas(64) struct wpq_slot_counts counts[WPQ_SLOT_VIEWS];
	/*
	 * Positions in the FENCED lane, for each slot: records of its line below `from` are older than its
	 * copies; records at `until` and beyond are newer. Once `published` is above `until`, the copies are
	 * obsolete.
	 */
	uint64_t from[WPQ_SLOTS];
	_Atomic uint64_t until[WPQ_SLOTS];
	struct wpq_slot slots[WPQ_SLOTS];
};

struct wpq_header {
	uint32_t magic;
	uint32_t version;
	uint32_t header_size; /* where lane 0's ring starts; lane 1's follows it */
	uint32_t lane_size;   /* a power of two, a multiple of 4096 */
	/* The daemon counts the beginnings and ends of its drains here; see order.c. */
	_Alignas(64) _Atomic uint64_t batch;
	/* Written by the daemon: it is draining anyway, and need not be asked to. */
	_Atomic uint32_t awake;
	_Atomic uint32_t state;	   /* written by the daemon: enum wpq_state */
	_Atomic uint32_t may_combine; /* written by the daemon; if false, each flush becomes a record */
	_Atomic uint32_t announce;    /* written by the daemon: send ATTACH_FENCE before a fence publishes */
	struct wpq_lane lanes[WPQ_LANES];
	struct wpq_combining combining;
};
_Static_assert(sizeof(struct wpq_lane) == 128, "shared with other processes");
_Static_assert(offsetof(struct wpq_header, lanes) == 128, "shared with other processes");
_Static_assert(offsetof(struct wpq_header, combining) == 384, "shared with other processes");

#define WPQ_HEADER_BYTES (5u * 4096)
_Static_assert(sizeof(struct wpq_header) <= WPQ_HEADER_BYTES, "whole pages, before the rings");

enum wpq_record_kind {
	WPQ_LINES = 1, /* payload: the lines as they were when flushed */
	/*
	 * eADR only. Payload: a line before a non-temporal store, and after it. While
	 * the store is not fenced, an outage may take it back.
	 */
	WPQ_UNDO = 2
};

/*
 * A WPQ ends with its connection, which a client may lose without noticing. So the
 * client reads this state after each publication. The daemon issues a barrier by
 * membarrier(2) between writing CLOSING and its last drain: either that drain finds the
 * publication, or the client reads CLOSING.
 */
enum wpq_state {
	WPQ_OPEN,
	WPQ_CLOSING, /* is being drained for the last time */
	WPQ_CLOSED   /* the last drain ended at `drained`; the client may publish the rest elsewhere */
};

/* For statistics only. */
enum wpq_record_flags {
	WPQ_CONTINUED = 1u << 0, /* part of the same flush as the record before it */
	WPQ_PERSIST = 1u << 1,	 /* the flush and its fence were one call */
	WPQ_LAST = 1u << 2,	 /* the last record before its fence */
	WPQ_COUNTED = 1u << 3	 /* the line of a slot that was released; its flushes were counted there */
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
