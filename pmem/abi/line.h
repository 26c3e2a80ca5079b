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
 * So the line is read twice. If both passes read the same eight words, each word was
 * constant between its two reads, and the copy is the line's content between the
 * passes. (A word that changed and changed back in between is not noticed; the copy
 * then differs from a true one by stores that undid each other.) If the line keeps
 * changing, the last copy is used after some tries: each word is complete, and no fence
 * can have covered stores that are still being made.
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

/* Each half of an aligned vector is loaded at once. `volatile` keeps both passes, and their order. */
static inline __m128i line_vector(const unsigned char *at)
{
	return *(const volatile __m128i *)at;
}

/* Two adjacent words, each loaded by itself. `volatile` as above; they are never combined to one load. */
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
 * The same by words, for a line that was stored to just now. Its stores are still in the
 * processor's store buffer. A load that is not wider than one of them is forwarded
 * from there at once; a wider load waits until all have reached the cache. The copy is
 * written in wide stores: a processor continues past stores that miss the cache only
 * while its store buffer has room.
 */
static inline void line_snapshot_warm(void *to, const void *line)
{
	line_snapshot_by(line_words, to, line);
}

#endif
