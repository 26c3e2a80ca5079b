/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

/* A listening Unix socket, and which users may connect to it. */

#include <stdbool.h>
#include <sys/types.h>

#include "common/message.h"
#include "server/peer.h"

struct listener_options {
	const char *path;
	int type; /* SOCK_STREAM or SOCK_SEQPACKET */
	bool has_group; /* its members may connect, beside root and the user of this process */
	gid_t group;
};

struct listener {
	struct listener_options options;
	int fd;
	/*
	 * The identity of the socket's file: the file is removed only if it is still the one that was
	 * created.
	 */
	dev_t dev;
	ino_t ino;
};

/*
 * Create the socket, and replace a stale one. -EADDRINUSE: a daemon listens there. The path must outlive
 * the listener.
 */
int listener_open(struct listener *listener, const struct listener_options *options, struct message *message);
/* Remove the file of the socket, unless it was replaced. */
void listener_unlink(struct listener *listener);
void listener_close(struct listener *listener);
/* Accept connections until stop_fd is readable, and give each descriptor to take(), which then owns it. */
void listener_serve(struct listener *listener, int stop_fd, void (*take)(void *context, int fd),
		    void *context);
/* Does the process `peer` at the other end of `fd` have permission to connect? */
bool listener_admits(const struct listener *listener, int fd, const struct peer *peer);

#endif
