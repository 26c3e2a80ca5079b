/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_VARINT_H
#define TRACE_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of a trace: unsigned LEB128 (seven bits a byte, the lowest first), at most 10 bytes. */
#define VARINT_BYTES_MAX 10u

/* Returns where the number ends; VARINT_BYTES_MAX bytes of room are the caller's business. */
static inline unsigned char *varint_put(unsigned char *to, uint64_t value)
{
	while (value >= 0x80) {
		*to++ = (unsigned char)(value | 0x80);
		value >>= 7;
	}
	*to++ = (unsigned char)value;
	return to;
}

/*
 * Returns where the number ends, or NULL: it does not end before `end`, exceeds 64 bits, or is longer than
 * it has to be (so that each number has one encoding).
 */
static inline const unsigned char *varint_get(const unsigned char *from, const unsigned char *end,
					      uint64_t *value)
{
	uint64_t result = 0;

	for (unsigned shift = 0; from < end && shift < 64; shift += 7) {
		const uint64_t byte = *from++;

		result |= (byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		if ((shift == 63 && byte > 1) || (shift && !byte))
			return NULL;
		*value = result;
		return from;
	}
	return NULL;
}

/* Signed numbers: 0, -1, 1, -2, ... become 0, 1, 2, 3, ... */
static inline uint64_t zigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1 ^ -(value & 1));
}

#endif
