/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ABI_LINE_H
#define ABI_LINE_H

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
typedef __m128i line_load(const unsigned char *at);

static inline __attribute__((always_inline)) void line_snapshot_by(line_load *load, void *to,
								    const unsigned char *line)
{
	__m128i *out = to;
	__m128i pieces[LINE_SIZE / 16];

	for (int attempt = 0; attempt < 1000; attempt++) {
		__m128i same = _mm_set1_epi8(-1);

#pragma GCC unroll 4
		for (unsigned i = 0; i < LINE_SIZE / 16; i++)
			pieces[i] = load(line + i * 16);
#pragma GCC unroll 4
		for (unsigned i = 0; i < LINE_SIZE / 16; i++)
			same = _mm_and_si128(same, _mm_cmpeq_epi8(pieces[i], load(line + i * 16)));
		if (__builtin_expect(_mm_movemask_epi8(same) == 0xffff, 1))
			break;
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < LINE_SIZE / 16; i++)
		_mm_storeu_si128(&out[i], pieces[i]);
}

/* Each half of an aligned vector is loaded whole; volatile keeps the passes two, and in order. */
static inline __m128i line_vector(const unsigned char *at)
{
	return *(const volatile __m128i *)at;
}

/* Two words next to each other, each loaded whole and for itself; as `volatile`, and never made one load. */
static inline __m128i line_words(const unsigned char *at)
{
	__m128i words;

	__asm__ volatile("movq %1, %0\n\tmovhps %2, %0"
			 : "=x"(words)
			 : "m"(*(const uint64_t *)at), "m"(*(const uint64_t *)(at + 8)));
	return words;
}

static inline void line_snapshot(void *to, const void *line)
{
	line_snapshot_by(line_vector, to, line);
}

/*
 * The same by words. A line that was stored to just now is in the processor's
 * store buffer, in pieces: a load that fits into one of them gets it at once,
 * while a wider one waits until all have reached the cache. The copy is stored
 * in as few pieces as there are wide ones: while lines that were stored to come
 * from memory, the store buffer is what a processor can run ahead by.
 */
static inline void line_snapshot_warm(void *to, const void *line)
{
	line_snapshot_by(line_words, to, line);
}

#endif
