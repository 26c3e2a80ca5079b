/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_LINE_H
#define DOMAIN_LINE_H

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

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
	const _Atomic uint64_t *words = line;
	uint64_t first[LINE_SIZE / 8], second[LINE_SIZE / 8];

	for (int attempt = 0; attempt < 1000; attempt++) {
		for (unsigned i = 0; i < LINE_SIZE / 8; i++)
			first[i] = atomic_load_explicit(&words[i], memory_order_acquire);
		for (unsigned i = 0; i < LINE_SIZE / 8; i++)
			second[i] = atomic_load_explicit(&words[i], memory_order_acquire);
		if (memcmp(first, second, sizeof(first)) == 0)
			break;
	}
	memcpy(to, second, sizeof(second));
}

#endif
