/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* TAP for test programs that do not use cmocka because they check a live mount. */
extern unsigned tap_run, tap_failed;

static inline void tap_ok(bool good, const char *what, const char *condition, int line)
{
	int error = errno;

	tap_run++;
	if (!good)
		tap_failed++;
	printf("%s %u - %s\n", good ? "ok" : "not ok", tap_run, what);
	if (!good)
		printf("# line %d: %s (errno: %s)\n", line, condition, strerror(error));
	fflush(stdout);
}

#define OK(condition, what) tap_ok((condition), what, #condition, __LINE__)
/* The call must fail with exactly this errno. */
#define FAILS(call, wanted, what) tap_ok((errno = 0, (call) < 0) && errno == (wanted), what, #call, __LINE__)

static inline int tap_done(void)
{
	printf("1..%u\n", tap_run);
	return tap_failed ? 1 : 0;
}

#endif
