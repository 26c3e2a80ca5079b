/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/pages_ahead.h"

#include <sys/mman.h>

#include "abi/rawcall.h"
#include "common/align.h"

void record_pages_ahead(const struct record_range *range, uint64_t piece)
{
	uint8_t *flushed = record_low->flushed[range - record_low->ranges];
	const uint64_t start = range->start + (piece << RECORD_PIECE_SHIFT);
	const uint64_t length = min_u64(RECORD_PIECE_BYTES, range->start + range->length - start);

	flushed[piece] = 1;
	if (!piece || !flushed[piece - 1])
		return;
	/* If the kernel does not know these, or the program has forbidden stores, its own touches do it. */
	RAW3(madvise, start + range->delta, length, MADV_POPULATE_WRITE);
	RAW3(madvise, start, length, MADV_POPULATE_READ);
}
