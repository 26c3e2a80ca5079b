/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_CHANNEL_H
#define CLIENT_CHANNEL_H

/*
 * The socket to the daemon, and one request on it at a time (abi/attach_protocol.h). The socket and what it
 * receives are descriptors of the courier's. The caller serialises all calls. Errors are negative errnos.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "abi/attach_protocol.h"

struct channel {
	int fd; /* -1: not connected */
	bool hidden; /* the program does not have the descriptor */
	long owner;  /* the process that connected: its children have the structure, but not the courier */
	ino_t inode; /* of the socket: has the program closed it and opened another file? */
	pid_t daemon;
};
#define CHANNEL_CLOSED ((struct channel){ .fd = -1 })

/* `path` is the attach socket's. */
int channel_connect(struct channel *channel, const char *path);
/* False also if the program has closed the socket. */
bool channel_is_open(const struct channel *channel);
/* Close the socket if it is still the channel's. */
void channel_close(struct channel *channel);

struct channel_request {
	enum attach_type type;
	uint32_t flags;	 /* 0 where the type has none, and so are the next four */
	unsigned region;
	uint32_t view;
	uint64_t offset, length;
	int fd;		 /* of the program, to be sent; -1: none */
	const char *text; /* of ATTACH_MARK_BYTES, for ATTACH_MARK; else NULL */
};
/* The most descriptors that a reply has. */
#define CHANNEL_FDS 2
/*
 * Send the request and wait for its reply, however long that takes. 0 if there was one, whatever it says:
 * its `error` is for the caller. fds: the courier's descriptors that came with it, then -1; NULL: they are
 * closed.
 */
int channel_ask(const struct channel *channel, const struct channel_request *request,
		struct attach_reply *reply, int fds[CHANNEL_FDS]);
/*
 * Send ATTACH_KICK, without waiting until it is sent. 0 also if the daemon has not read the ones before: they
 * have the same effect. The errors of those sent before are returned once, by the next.
 */
int channel_kick(const struct channel *channel);

#endif
