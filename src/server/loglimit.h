/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SERVER_LOGLIMIT_H
#define SERVER_LOGLIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * How many log lines a user may cause: LOGLIMIT_LINES in LOGLIMIT_PERIOD_MS. Without a limit a client that
 * breaks the protocol in a loop fills the disk. The caller's lock guards it.
 */
#define LOGLIMIT_LINES 20u
#define LOGLIMIT_PERIOD_MS 60000u
/* So many users are remembered; the one seen longest ago makes room for another. */
#define LOGLIMIT_USERS 64u

struct loglimit {
	struct loglimit_user {
		bool used;
		uid_t uid;
		uint64_t since;	     /* milliseconds: when the period began */
		unsigned lines;	     /* in this period */
		unsigned suppressed; /* in this period */
	} users[LOGLIMIT_USERS];
};

/*
 * May this user cause a line at the time `now` (milliseconds)? *suppressed: how many lines were dropped
 * since the last one that was allowed; the caller says so.
 */
bool loglimit_allows(struct loglimit *limit, uid_t uid, uint64_t now, unsigned *suppressed);

#endif
