/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SERVER_REPLY_H
#define SERVER_REPLY_H

/* Frames of the control protocol to and from one client: between control_server.c and reply.c. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/control_server.h"

#define REPLY_BUFFER_BYTES (64u << 10)

struct reply {
	struct server_client *client;
	unsigned patience; /* milliseconds to wait for the client to read */
	bool broken;	   /* the client cannot be reached any more */
	uint64_t progress_sent; /* clock_ms() */
	unsigned char *buffer;	/* of `size` bytes; the first `filled` wait to be sent */
	size_t size, filled;
	bool has_fd; /* the client has sent `fd` with its request */
	int fd;
};

/* Close a descriptor that came with a request and was not taken. */
void reply_drop_fd(struct reply *reply);

/*
 * Receive exactly `length` bytes before the time `until` (clock_ms()): 0, -EPIPE (the client hung up),
 * -ETIMEDOUT.
 */
int reply_receive(struct reply *reply, void *bytes, size_t length, uint64_t until);

#endif
