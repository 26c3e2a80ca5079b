/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_PREFETCH_H
#define COMMON_PREFETCH_H

/*
 * Ask for the cache line of `at`, which another processor had last, for writing. It need not be mapped.
 * Processors without prefetchw ignore it. (Without an option of its own the compiler has no function for it.)
 */
static inline void prefetch_for_writing(const void *at)
{
	__asm__ volatile("prefetchw %0" : : "m"(*(const unsigned char *)at));
}

#endif
