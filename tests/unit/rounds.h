/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_ROUNDS_H
#define TESTS_ROUNDS_H

#include <stdlib.h>
#include <string.h>

/* How often a random test tries: `few`, or, with SOFTPMEM_TEST_LONG=1 (make check-long), `many`. */
static inline unsigned rounds(unsigned few, unsigned many)
{
	const char *value = getenv("SOFTPMEM_TEST_LONG");

	return value && strcmp(value, "0") != 0 ? many : few;
}

#endif
