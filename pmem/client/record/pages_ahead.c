/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/pages_ahead.h"

#include <sys/mman.h>

#include "abi/rawcall.h"
#include "common/align.h"

/* Pieces before one that count as near it: libpmemobj's heap grows in each of several chunks of 256 KiB. */
#define NEAR 8u

static bool is_near_others(const struct record_range *range, uint64_t piece)
{
	for (uint64_t i = 1; i <= min_u64(NEAR, piece); i++)
		if (range->flushed[piece - i])
			return true;
	return false;
}

void record_pages_ahead(const struct record_range *range, uint64_t address)
{
	const uint64_t piece = (address - range->start) >> RECORD_PIECE_SHIFT;
	const uint64_t start = range->start + (piece << RECORD_PIECE_SHIFT);
	const uint64_t length = min_u64(RECORD_PIECE_BYTES, range->start + range->length - start);

	range->flushed[piece] = 1;
	if (!is_near_others(range, piece))
		return;
	/* If the kernel does not know these, or the program has forbidden stores, its own touches do it. */
	RAW3(madvise, start + range->delta, length, MADV_POPULATE_WRITE);
	RAW3(madvise, start, length, MADV_POPULATE_READ);
}
