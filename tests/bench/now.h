/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_NOW_H
#define BENCH_NOW_H

#include <time.h>

/* Seconds since a moment that is the same for all calls of a process. */
static inline double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

#endif
