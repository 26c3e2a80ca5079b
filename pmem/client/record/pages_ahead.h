/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_PAGES_AHEAD_H
#define RECORD_PAGES_AHEAD_H

/*
 * The first touch of a page is a page fault, which takes as long as a hundred events, and a recorded pool is
 * mapped twice. Where a program flushes one piece of a mapping after the other, as in a heap that grows, the
 * pages of a piece are made present in both mappings at its first flush.
 *
 * This is not done unless a piece shortly before it was flushed, too: a page that is present takes memory of
 * the daemon, and a program that stores here and there would take sixteen times as much of it as it needs.
 *
 * Private to pmem/client/record. Compiled for general registers alone, as calls.c. Async-signal-safe,
 * thread-safe.
 */

#include "client/record/state.h"

/*
 * Is the piece of the line at `address`, which is in the range, one of which no line was flushed? False in
 * the rest of a huge mapping, too, in which nothing is done.
 */
static inline bool record_pages_are_new(const struct record_range *range, uint64_t address)
{
	const uint64_t piece = (address - range->start) >> RECORD_PIECE_SHIFT;

	return __builtin_expect(piece < RECORD_PIECES, 1) &&
	       __builtin_expect(!range->flushed[piece], 0);
}

/* The line at `address` is flushed, the first one of a piece that record_pages_are_new(). */
void record_pages_ahead(const struct record_range *range, uint64_t address);

/* A line at `address`, which is in the range, is flushed: do what is to be done once for its piece. */
static inline void record_pages_flushed(const struct record_range *range, uint64_t address)
{
	if (record_pages_are_new(range, address))
		record_pages_ahead(range, address);
}

#endif
