/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_MEMTEST_H
#define REGION_MEMTEST_H

/*
 * A destructive test of memory before it is trusted: does each word hold what was written to it, and is
 * each word separate from all others? Three tests, by their usual names: address-in-address (each word
 * holds its own offset), moving inversions (all bits 0, then all 1, upwards and downwards), and random
 * words. Only the memory itself is examined: an alias of memory outside of it is not found.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"
#include "region/region.h"

/* Words have 8 bytes. Offsets are in bytes. */
struct memtest_memory {
	/* A multiple of 4096. */
	uint64_t size;
	void *context;
	void (*write)(void *context, uint64_t offset, const uint64_t *words, size_t count);
	void (*read)(void *context, uint64_t offset, uint64_t *words, size_t count);
	/* Make written words leave the processor, so that the next read gets them from the memory. */
	void (*settle)(void *context);
};

/*
 * The media of a region, which must be writable. Words are stored past the caches (non-temporal stores),
 * and their lines are flushed from all caches (clflush, mfence) before they are read. So what is read
 * comes from the memory, or from a cache that belongs to it.
 */
void memtest_region(struct region *region, struct memtest_memory *out);

enum memtest_kind {
	MEMTEST_BITS, /* words that do not hold what was written */
	MEMTEST_ALIAS /* two ranges that are the same memory */
};

struct memtest_finding {
	enum memtest_kind kind;
	/* `size` consecutive bytes have the same fault. */
	uint64_t offset, size;
	/* The first wrong word. */
	uint64_t expected, read;
	/* Bits of any of the words that were written as 1 and read as 0, and the reverse. */
	uint64_t reads_0, reads_1;
	/* Of an alias: the offset at which the same bytes appear again. */
	uint64_t alias;
};

#define MEMTEST_FINDINGS_MAX 256

struct memtest_report {
	struct memtest_finding findings[MEMTEST_FINDINGS_MAX];
	size_t count;
	/* All wrong words, those that did not fit into findings, and the bits of all wrong words. */
	uint64_t wrong, left_off;
	uint64_t reads_0, reads_1;
	/* Bytes written and bytes read. */
	uint64_t written, read;
	/*
	 * All three tests were run. Memory with aliases is not tested further, because its words depend
	 * on each other.
	 */
	bool complete;
};

struct memtest_options {
	uint64_t seed;
	/*
	 * Called now and then with how many bytes, of the total, were written or read. The test ends with
	 * its result if it is not 0.
	 */
	int (*progress)(void *context, const char *test, uint64_t done, uint64_t total);
	void *context;
};

/* 0 if the test was completed, whatever it found. Memory without a fault is all zero then. */
int memtest_run(const struct memtest_memory *memory, const struct memtest_options *options,
		struct memtest_report *report);

#endif
