/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_PAGES_AHEAD_H
#define RECORD_PAGES_AHEAD_H

/*
 * The first touch of a page is a page fault, which takes as long as a hundred events, and a recorded pool is
 * mapped twice. Where a program flushes one piece of a mapping after the other, as in a heap that grows, the
 * pages of a piece are made present in both mappings at its first flush.
 *
 * This is not done unless the piece before was flushed, too: a page that is present takes memory of the
 * daemon, and a program that stores here and there would take sixteen times as much of it as it needs.
 *
 * Private to pmem/client/record. Compiled for general registers alone, as calls.c. Async-signal-safe,
 * thread-safe.
 */

#include "client/record/state.h"

/* The rare half: the first flush of a piece. */
void record_pages_ahead(const struct record_range *range, uint64_t piece);

/* The line at `address`, which is in the range, is flushed. */
static inline void record_pages_flushed(const struct record_range *range, uint64_t address)
{
	const uint64_t piece = (address - range->start) >> RECORD_PIECE_SHIFT;

	/* Nothing is done in the rest of a huge mapping. */
	if (__builtin_expect(piece < RECORD_PIECES, 1) &&
	    __builtin_expect(!record_low->flushed[range - record_low->ranges][piece], 0))
		record_pages_ahead(range, piece);
}

#endif
