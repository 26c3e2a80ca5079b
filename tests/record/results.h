/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_RESULTS_H
#define RECORD_RESULTS_H

/* What results_subject calls. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RESULT_BYTES 16384u

/*
 * A call whose results go to memory from `at` on, RESULT_BYTES long: by an instruction if `raw`, else by a
 * function of libc. Memory is zero before, and is left without what differs from call to call, unless
 * `varies`. Returns what the call does, a negative errno if it fails.
 */
struct result_row {
	const char *name;
	long (*function)(unsigned char *at, bool raw);
	bool varies; /* what is stored, but something is */
};

extern const struct result_row socket_rows[], file_rows[], process_rows[];
extern const size_t socket_row_count, file_row_count, process_row_count;

long call(long number, ...);

static inline long or_errno(long result)
{
	return result == -1 ? -errno : result;
}

/* The number and the function of one call with the same arguments; of a function that libc does not have. */
#define CALL(number, function, ...) \
	(raw ? call(number, __VA_ARGS__) : or_errno((long)function(__VA_ARGS__)))
#define BY_NUMBER(number, ...) (raw ? call(number, __VA_ARGS__) : or_errno(syscall(number, __VA_ARGS__)))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* What is at that place of the memory. */
#define AT(type, offset) ((type *)(void *)(at + (offset)))

#endif
