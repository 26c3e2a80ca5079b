/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_MEMTEST_H
#define REGION_MEMTEST_H

/*
 * A destructive test of memory before it is trusted: does each word hold what
 * was written to it, and is it a word of its own? Three tests, in the words of
 * those who test memory: address-in-address (each word holds its own place),
 * moving inversions (all bits one way, then the other, upwards and downwards),
 * and random words. What is found is where the memory is at fault; what lies
 * beyond its ends is not looked at, so memory that is the same as some outside
 * is not found out.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"
#include "region/region.h"

/* Words are of 8 bytes; offsets count bytes. */
struct memtest_memory {
	/* A multiple of 4096. */
	uint64_t size;
	void *context;
	void (*write)(void *context, uint64_t offset, const uint64_t *words, size_t count);
	void (*read)(void *context, uint64_t offset, uint64_t *words, size_t count);
	/* What was written has left the processor; the next read gets it from the memory. */
	void (*settle)(void *context);
};

/*
 * A region's media, which must be writable. Words are stored around the caches
 * (non-temporal), and their lines thrown out of all caches of processors (clflush,
 * mfence) before they are read: what is read comes from the memory, or from a
 * cache that belongs to it.
 */
void memtest_region(struct region *region, struct memtest_memory *out);

enum memtest_kind {
	MEMTEST_BITS, /* words that do not hold what was written */
	MEMTEST_ALIAS /* two ranges that are the same memory */
};

struct memtest_finding {
	enum memtest_kind kind;
	/* Of this many bytes in a row the same is true. */
	uint64_t offset, size;
	/* The first that was seen. */
	uint64_t expected, read;
	/* Bits that were 1 and read as 0, and the other way round, in any of the words. */
	uint64_t reads_0, reads_1;
	/* Of an alias: where the same bytes are once more. */
	uint64_t alias;
};

#define MEMTEST_FINDINGS_MAX 256

struct memtest_report {
	struct memtest_finding findings[MEMTEST_FINDINGS_MAX];
	size_t count;
	/* All wrong words that were read, also those for which there was no room above; and their bits. */
	uint64_t wrong, left_off;
	uint64_t reads_0, reads_1;
	/* Bytes written and bytes read. */
	uint64_t written, read;
	/*
	 * All three tests were done. Memory that has aliases is tested no further: its words depend on
	 * each other.
	 */
	bool complete;
};

struct memtest_options {
	uint64_t seed;
	/* Told now and then how many bytes, of all, were written or read. Not 0: the test ends with that. */
	int (*progress)(void *context, const char *test, uint64_t done, uint64_t total);
	void *context;
};

/* 0 when it came to its end, whatever it found. Memory without a fault is zero then. */
int memtest_run(const struct memtest_memory *memory, const struct memtest_options *options,
		struct memtest_report *report);

#endif
