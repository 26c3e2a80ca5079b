/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/nontemporal.h"

#include <immintrin.h>
#include <stdatomic.h>

#include "common/align.h"
#include "common/prefetch.h"

/* The processor that read the copies before had their lines last: ask for them before we come there. */
static inline void fetch(const unsigned char *copy)
{
	prefetch_for_writing(copy + 2048);
}

typedef void stream_fn(unsigned char *to, unsigned char *copy, const unsigned char *from, size_t length);

static void stream_sse2(unsigned char *to, unsigned char *copy, const unsigned char *from, size_t length)
{
	for (size_t at = 0; at < length; at += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(from + at));

		_mm_stream_si128((__m128i *)(to + at), bytes);
		_mm_storeu_si128((__m128i *)(copy + at), bytes);
	}
}

static __attribute__((target("avx"))) void stream_avx(unsigned char *to, unsigned char *copy,
						      const unsigned char *from, size_t length)
{
	for (size_t at = 0; at < length; at += 32) {
		__m256i bytes = _mm256_loadu_si256((const __m256i *)(from + at));

		if (at % LINE_SIZE == 0)
			fetch(copy + at);
		_mm256_stream_si256((__m256i *)(to + at), bytes);
		_mm256_storeu_si256((__m256i *)(copy + at), bytes);
	}
	_mm256_zeroupper();
}

static __attribute__((target("avx512f"))) void stream_avx512(unsigned char *to, unsigned char *copy,
							     const unsigned char *from, size_t length)
{
	for (size_t at = 0; at < length; at += 64) {
		__m512i bytes = _mm512_loadu_si512(from + at);

		fetch(copy + at);
		_mm512_stream_si512((__m512i *)(to + at), bytes);
		_mm512_storeu_si512(copy + at, bytes);
	}
	_mm256_zeroupper();
}

static stream_fn *choose(void)
{
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f"))
		return stream_avx512;
	return __builtin_cpu_supports("avx") ? stream_avx : stream_sse2;
}

void nontemporal_store_lines(void *to, void *copy, const void *from, size_t lines)
{
	static _Atomic(stream_fn *) chosen;
	stream_fn *stream = atomic_load_explicit(&chosen, memory_order_relaxed);

	if (__builtin_expect(!stream, 0)) {
		stream = choose();
		atomic_store_explicit(&chosen, stream, memory_order_relaxed);
	}
	stream(to, copy, from, lines * LINE_SIZE);
}
