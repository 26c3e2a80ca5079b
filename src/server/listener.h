/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_LISTENER_H
#define SRC_LISTENER_H

/* A Unix socket that listens, and who may talk to it. */

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/message.h"

struct listener_options {
	const char *path;
	int type; /* SOCK_STREAM or SOCK_SEQPACKET */
	/* Who may talk, beside root and the uid this process runs as. */
	bool has_group;
	gid_t group;
};

struct listener {
	struct listener_options options;
	int fd;
	/* Of the socket file, so that only our own is removed. */
	dev_t dev;
	ino_t ino;
};

struct peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/*
 * Make the socket, in place of one that nobody listens to any more. -EADDRINUSE:
 * a daemon listens there. The path must outlive the listener.
 */
int listener_open(struct listener *listener, const struct listener_options *options, struct message *message);
/* Remove the file, if it is still ours. */
void listener_unlink(struct listener *listener);
void listener_close(struct listener *listener);
/*
 * Accept connections and hand each descriptor to take(), which owns it, until
 * stop_fd is readable.
 */
void listener_serve(struct listener *listener, int stop_fd, void (*take)(void *context, int fd),
		    void *context);
/* May who is at the other end of a connection talk to us? Fills in *peer, as far as it is known. */
bool listener_admits(const struct listener *listener, int fd, struct peer *peer);
/* A thread for who serves, with a stack of its own size. 0 or a negative errno. */
int listener_thread(size_t stack_bytes, void *(*run)(void *), void *argument, pthread_t *thread);

#endif
