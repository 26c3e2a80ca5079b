/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_ROUNDS_H
#define TESTS_ROUNDS_H

#include <stdlib.h>
#include <string.h>

/*
 * A build with AddressSanitizer, which each compiler tells in its own way, is for faults of memory: it needs
 * fewer inputs than a test of the logic.
 */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ROUNDS_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ROUNDS_SANITIZED
#endif

/* How often a random test tries: `few`, or, with SOFTPMEM_TEST_LONG=1 (make check-long), `many`. */
static inline unsigned rounds(unsigned few, unsigned many)
{
	const char *value = getenv("SOFTPMEM_TEST_LONG");

	return value && strcmp(value, "0") != 0 ? many : few;
}

#endif
