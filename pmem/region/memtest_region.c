/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/memtest.h"

#include <assert.h>
#include <immintrin.h>
#include <string.h>

#include "region/backend.h"

#define LINE_BYTES 64u

static void write_words(void *context, uint64_t offset, const uint64_t *words, size_t count)
{
	const struct region *region = context;
	long long *to = (long long *)(void *)(region->media + offset);

	for (size_t i = 0; i < count; i++)
		_mm_stream_si64(&to[i], (long long)words[i]);
}

static void read_words(void *context, uint64_t offset, uint64_t *words, size_t count)
{
	const struct region *region = context;
	const unsigned char *from = region->media + offset;

	for (size_t at = 0; at < count * sizeof(*words); at += LINE_BYTES)
		_mm_clflush(from + at);
	_mm_mfence();
	memcpy(words, from, count * sizeof(*words));
}

static void settle(void *context)
{
	_mm_sfence();
}

void memtest_region(struct region *region, struct memtest_memory *out)
{
	assert(!region_is_read_only(region));
	*out = (struct memtest_memory){ .size = region->size,
					.context = region,
					.write = write_words,
					.read = read_words,
					.settle = settle };
}
