/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds and microseconds of CLOCK_MONOTONIC: for short durations. */
static inline uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_us(void)
{
	return clock_ns() / 1000;
}

/* Milliseconds of CLOCK_MONOTONIC: for deadlines and durations, not affected by changes of the date. */
static inline uint64_t clock_ms(void)
{
	return clock_ns() / 1000000;
}

/* The time so many microseconds from now on, in CLOCK_MONOTONIC: for pthread_cond_clockwait(3). */
static inline struct timespec clock_deadline_us(uint64_t microseconds)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += (long)(microseconds % 1000000) * 1000;
	at.tv_sec += (time_t)(microseconds / 1000000) + at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	return at;
}

static inline struct timespec clock_deadline_ms(uint64_t milliseconds)
{
	return clock_deadline_us(milliseconds * 1000);
}

#endif
