/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_ALLOC_H
#define COMMON_ALLOC_H

/*
 * alloc_zeroed(): memory for an object that comes and goes with every small file or operation.
 *
 * glibc's calloc(3), up to 2.40, does not look into the cache that malloc(3) and free(3) keep for each
 * thread (tcache in malloc/malloc.c, up to 1032 bytes). It takes the arena's lock, and sorts
 * what others have freed: several times the cost.
 */

#include <stdlib.h>
#include <string.h>

/* `size` bytes of zeros, for free(3); NULL without memory. Any thread. */
static inline void *alloc_zeroed(size_t size)
{
	void *memory = malloc(size);

	/* The compiler would make a calloc(3) of malloc(3) and memset(3). */
	__asm__("" : "+r"(memory));
	return memory ? memset(memory, 0, size) : NULL;
}

#endif
