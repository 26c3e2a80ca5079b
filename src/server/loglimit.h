/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SERVER_LOGLIMIT_H
#define SERVER_LOGLIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Limits how many log lines a user can cause: LOGLIMIT_LINES in LOGLIMIT_PERIOD_MS. Otherwise a client
 * that breaks the protocol in a loop could fill the disk. The lock of the caller guards it.
 */
#define LOGLIMIT_LINES 20u
#define LOGLIMIT_PERIOD_MS 60000u
/* The number of users that are remembered. A further one replaces the one that was seen least recently. */
#define LOGLIMIT_USERS 64u

struct loglimit {
	struct loglimit_user {
		bool used;
		uid_t uid;
		uint64_t since;	     /* start of the period, in milliseconds */
		unsigned lines;	     /* in this period */
		unsigned suppressed; /* in this period */
	} users[LOGLIMIT_USERS];
};

/*
 * May this user cause a line at the time `now` (milliseconds)? *suppressed is the number of lines that
 * were dropped since the last one that was allowed, for the caller to report.
 */
bool loglimit_allows(struct loglimit *limit, uid_t uid, uint64_t now, unsigned *suppressed);

#endif
