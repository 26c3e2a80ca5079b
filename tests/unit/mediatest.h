/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_MEDIATEST_H
#define TESTS_MEDIATEST_H

/*
 * Access to media for tests, which ends the test on an error. For cmocka programs; include it after
 * cmocka.h.
 */

#include "region/media.h"

static inline void mediatest_read(const struct region *region, uint64_t offset, void *bytes, uint64_t length)
{
	assert_int_equal(media_read(region, offset, bytes, length), 0);
}

/* Durable on return. */
static inline void mediatest_write(struct region *region, uint64_t offset, const void *bytes, uint64_t length)
{
	assert_int_equal(media_write(region, offset, bytes, length), 0);
	media_fence(region);
}

static inline unsigned char mediatest_byte(const struct region *region, uint64_t offset)
{
	unsigned char byte = 0;

	mediatest_read(region, offset, &byte, 1);
	return byte;
}

/* Damage a byte, whatever it is. The same again undoes it. */
static inline void mediatest_flip(struct region *region, uint64_t offset)
{
	const unsigned char byte = mediatest_byte(region, offset) ^ 0x40;

	mediatest_write(region, offset, &byte, 1);
}

#endif
