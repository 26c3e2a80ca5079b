/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_ALIGN_H
#define COMMON_ALIGN_H

#include <stdbool.h>
#include <stdint.h>

/* The unit of flushing on x86, and the unit at which durable bytes tear. */
#define LINE_SIZE 64u
/* The unit in which space is given out, and the page of every host we run on. */
#define PAGE_BYTES 4096u
#define LINES_PER_PAGE (PAGE_BYTES / LINE_SIZE)

static inline uint64_t align_down(uint64_t value, uint64_t power_of_two)
{
	return value & ~(power_of_two - 1);
}

/* The caller has made sure that value + power_of_two - 1 does not wrap. */
static inline uint64_t align_up(uint64_t value, uint64_t power_of_two)
{
	return align_down(value + power_of_two - 1, power_of_two);
}

static inline bool is_aligned(uint64_t value, uint64_t power_of_two)
{
	return (value & (power_of_two - 1)) == 0;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
