/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATTACH_MESSAGE_H
#define ATTACH_MESSAGE_H

/* The messages of abi/attach_protocol.h on a socket. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/attach_protocol.h"

struct attach_client;

/* No message needs more than one descriptor. More are received only to be closed. */
#define ATTACH_DESCRIPTORS_MAX 16

#define ATTACH_REPLY_FDS_MAX 2

/* A request and the reply to it. */
struct attach_exchange {
	union {
		struct attach_request request;
		struct attach_mark mark; /* request.type == ATTACH_MARK */
	};
	bool whole; /* the message has its exact size, and no descriptor was cut off */
	int fds[ATTACH_DESCRIPTORS_MAX]; /* received; whoever has the exchange closes them */
	size_t fd_count;
	struct attach_reply reply;
	int reply_fds[ATTACH_REPLY_FDS_MAX]; /* to be sent with the reply, unless it is an error */
	size_t reply_fd_count;
	bool reply_fds_owned; /* they are closed afterwards */
	bool over;    /* hang up after the reply */
};

/* Receive a request. False: the client has hung up, or has not sent its greeting in time. */
bool attach_receive(struct attach_client *client, struct attach_exchange *exchange);
/* A reply without anything in it. */
void attach_reply_begin(struct attach_reply *reply);
/*
 * Send a reply with so many descriptors, at most ATTACH_REPLY_FDS_MAX, without waiting: a client that asks on
 * and on and reads no replies is hung up on. False: it could not be sent.
 */
bool attach_reply_send(int fd, const struct attach_reply *reply, const int *fds, size_t count);

#endif
