/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_LINE_H
#define DOMAIN_LINE_H

#include <emmintrin.h>

#include "common/align.h"

/*
 * Copy a line that other CPUs may be storing to, as a cache would write it
 * back: all of it at one moment of memory order. Word by word is not enough: a
 * reader that passes word 0 before a store to it and word 7 after a later store
 * there has seen the second without the first, which no crash can leave.
 *
 * Two passes that read the same eight words saw each word constant between its
 * two reads, so all of them held at the moment between the passes. (A word that
 * left its value and came back in between is the one thing this cannot see; the
 * line it yields then differs from a true one by stores that undid each other.)
 * After some tries against a line that never rests, take what there is: each
 * word is whole, and no fence can have covered stores that are still going on.
 */
static inline void line_snapshot(void *to, const void *line)
{
	/* Each half of an aligned vector is loaded whole; volatile keeps the passes two, and in order. */
	const volatile __m128i *from = line;
	__m128i *out = to;
	__m128i first[LINE_SIZE / 16], second[LINE_SIZE / 16];

	for (int attempt = 0; attempt < 1000; attempt++) {
		__m128i same;

		for (unsigned i = 0; i < LINE_SIZE / 16; i++)
			first[i] = from[i];
		for (unsigned i = 0; i < LINE_SIZE / 16; i++)
			second[i] = from[i];
		same = _mm_and_si128(
			_mm_and_si128(_mm_cmpeq_epi8(first[0], second[0]), _mm_cmpeq_epi8(first[1], second[1])),
			_mm_and_si128(_mm_cmpeq_epi8(first[2], second[2]), _mm_cmpeq_epi8(first[3], second[3])));
		if (__builtin_expect(_mm_movemask_epi8(same) == 0xffff, 1))
			break;
	}
	for (unsigned i = 0; i < LINE_SIZE / 16; i++)
		_mm_storeu_si128(&out[i], second[i]);
}

static inline void lines_snapshot(void *to, const void *lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		line_snapshot((unsigned char *)to + i * LINE_SIZE, (const unsigned char *)lines + i * LINE_SIZE);
}

#endif
