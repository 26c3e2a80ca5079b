/* SPDX-License-Identifier: BSD-3-Clause */
#include "cached_pages.h"

#include "common/cleanup.h"

#define PARTS 64u
/* Of parts at first: 64 KiB each. */
#define PART_SHIFT_MIN 16u

void fusefs_cached_init(struct cached_pages *pages)
{
	pthread_mutex_init(&pages->lock, NULL);
	pages->part_shift = PART_SHIFT_MIN;
	pages->cached = pages->dropping = 0;
}

void fusefs_cached_destroy(struct cached_pages *pages)
{
	pthread_mutex_destroy(&pages->lock);
}

/* The bits of parts twice as large: each has what either of its halves had. */
static uint64_t fold(uint64_t bits)
{
	uint64_t folded = 0;

	for (unsigned part = 0; part < PARTS; part++)
		if (bits >> part & 1)
			folded |= (uint64_t)1 << part / 2;
	return folded;
}

/* Make the parts so large that the last of them is not before this byte. */
static void reach(struct cached_pages *pages, uint64_t byte)
{
	for (; byte >> pages->part_shift >= PARTS; pages->part_shift++) {
		pages->cached = fold(pages->cached);
		pages->dropping = fold(pages->dropping);
	}
}

/* The bits of the parts that overlap with a range; it may end behind the last part. */
static uint64_t parts_of(const struct cached_pages *pages, uint64_t offset, uint64_t length)
{
	uint64_t first = offset >> pages->part_shift, last = (offset + length - 1) >> pages->part_shift;
	uint64_t upto;

	if (!length || first >= PARTS)
		return 0;
	upto = last >= PARTS - 1 ? UINT64_MAX : ((uint64_t)1 << (last + 1)) - 1;
	return upto & (UINT64_MAX << first);
}

void fusefs_cached_add(struct cached_pages *pages, uint64_t offset, uint64_t length)
{
	LOCK_SCOPE(&pages->lock);

	if (!length)
		return;
	reach(pages, offset + length - 1);
	pages->cached |= parts_of(pages, offset, length);
}

bool fusefs_cached_overlaps(struct cached_pages *pages, uint64_t offset, uint64_t length)
{
	LOCK_SCOPE(&pages->lock);

	return (pages->cached | pages->dropping) & parts_of(pages, offset, length);
}

bool fusefs_cached_begin_drop(struct cached_pages *pages, uint64_t offset, uint64_t length, uint64_t *from,
			      uint64_t *end)
{
	LOCK_SCOPE(&pages->lock);
	uint64_t bits = pages->cached & parts_of(pages, offset, length);

	if (!bits)
		return false;
	/* What is read while the kernel drops pages is new, but a part that is dropped and read is cached. */
	pages->cached &= ~bits;
	pages->dropping = bits;
	*from = (uint64_t)__builtin_ctzll(bits) << pages->part_shift;
	*end = (uint64_t)(64 - __builtin_clzll(bits)) << pages->part_shift;
	return true;
}

void fusefs_cached_end_drop(struct cached_pages *pages)
{
	LOCK_SCOPE(&pages->lock);

	pages->dropping = 0;
}
