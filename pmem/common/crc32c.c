/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/crc32c.h"

#include <nmmintrin.h>
#include <string.h>

#define POLYNOMIAL_REFLECTED 0x82f63b78u

static uint32_t crc32c_bits(uint32_t crc, const unsigned char *bytes, size_t length)
{
	while (length--) {
		crc ^= *bytes++;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (POLYNOMIAL_REFLECTED & -(crc & 1));
	}
	return crc;
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const unsigned char *bytes,
							       size_t length)
{
	uint64_t wide = crc;

	for (; length >= 8; length -= 8, bytes += 8) {
		uint64_t word;

		memcpy(&word, bytes, 8);
		wide = _mm_crc32_u64(wide, word);
	}
	crc = (uint32_t)wide;
	while (length--)
		crc = _mm_crc32_u8(crc, *bytes++);
	return crc;
}

uint32_t crc32c(uint32_t crc, const void *bytes, size_t length)
{
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc32c_sse42(~crc, bytes, length);
	return ~crc32c_bits(~crc, bytes, length);
}
