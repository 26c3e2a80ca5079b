/* SPDX-License-Identifier: BSD-3-Clause */
#include "model/settle.h"

/* The lines of a page from `line` on. */
static uint64_t lines_from(unsigned line)
{
	return line >= LINES_PER_PAGE ? 0 : UINT64_MAX << line;
}

uint64_t settle_lines_inside(uint64_t page, uint64_t size)
{
	const uint64_t start = page * PAGE_BYTES;

	if (size <= start)
		return 0;
	if (size - start >= PAGE_BYTES)
		return UINT64_MAX;
	return ~lines_from((unsigned)((size - start + LINE_SIZE - 1) / LINE_SIZE));
}

uint64_t settle_lines(const struct chooser *chooser, uint64_t page, uint64_t undetermined, uint32_t unit,
		      uint64_t size)
{
	const unsigned lines = unit / LINE_SIZE;
	const uint64_t whole = ~lines_from(lines);
	uint64_t kept = 0;

	undetermined &= settle_lines_inside(page, size);
	/* The same at every place: no need to ask for each. */
	if (chooser->policy != CHOOSER_RANDOM && !chooser->limit)
		return chooser_keeps(chooser, CHOOSER_WHOLE) ? undetermined : 0;
	for (unsigned line = 0; line < LINES_PER_PAGE; line += lines) {
		/* No branch: half of them would be predicted wrong. */
		kept |= (chooser_keeps(chooser, page * PAGE_BYTES + line * LINE_SIZE) * whole) << line;
	}
	return undetermined & kept;
}
