/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_REPLY_H
#define SRC_REPLY_H

/* Between server.c, which owns the connections, and reply.c, which writes to them. */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/control_server.h"

struct reply {
	int fd;
	unsigned patience;
	/* Told before and after each wait for the client, so that one who keeps us waiting can be found. */
	void (*waits)(struct reply *reply, bool waits);
	bool broken;
	uint64_t progress_sent; /* milliseconds of CLOCK_MONOTONIC */
	size_t filled;
	unsigned char buffer[64 << 10];
};

uint64_t reply_now(void);

/* Exactly `length` bytes before the time `until` (reply_now()): 0, -EPIPE (hung up), -ETIMEDOUT. */
int reply_receive(struct reply *reply, void *bytes, size_t length, uint64_t until);

#endif
