/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EX_COMMON_H
#define EX_COMMON_H

/* What Debian leaves out of the examples it ships: the few things they ask this header for. */

#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREATE_MODE_RW (S_IRUSR | S_IWUSR)

#ifndef MIN
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#endif

static inline int file_exists(const char *path)
{
	return access(path, F_OK);
}

static inline int find_last_set_64(uint64_t value)
{
	return 63 - __builtin_clzll(value);
}

#endif
