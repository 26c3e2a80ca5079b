/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

/*
 * A server on a Unix socket: one thread accepts, and one thread a client serves it. This part knows who may
 * connect, how many clients there may be, and how they are hung up on. What is said on a connection is the
 * business of its user: the control socket (control_server.h) and the attach socket (attach/) are two.
 *
 * Places. At most `clients` are connected at once. The user of this process and root may take every place.
 * Any other user may take a place only while fewer are his than are free: the first such user gets at most
 * half of them, the next half of what remains, and so on, so that no user can take the last place from
 * another. A client that keeps the server waiting (server_await()) loses its place to a new one that finds
 * none: first the one that has kept it waiting longest.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/log_sink.h"
#include "common/message.h"
#include "server/peer.h"

struct server;

/* A connection: the first member of the user's own structure. */
struct server_client {
	struct server *server;
	int fd;
	struct peer peer;
	/* server.c's, guarded by its lock. */
	uint64_t waiting_since; /* clock_ms(); 0: the server does not wait for it */
	struct server_client *next;
};

struct server_ops {
	size_t client_bytes; /* of the structure that begins with a struct server_client; zeros at first */
	/*
	 * Before the client gets a place, on the accepting thread. A negative errno, with a message, refuses
	 * the client.
	 */
	int (*begin)(struct server_client *client, struct message *message);
	/* Serve one request, on the client's thread. False: hang up. */
	bool (*serve)(struct server_client *client);
	/* Once, if begin() returned 0; before the client's descriptors are closed and its memory is freed. */
	void (*end)(struct server_client *client);
	/* Send the reason, without waiting for the client. begin() may not have been called. */
	void (*refuse)(struct server_client *client, int error, const char *why);
};

struct server_options {
	const char *path; /* of the socket; must outlive the server */
	const char *name; /* in log lines: "control", "attach" */
	int type;	  /* SOCK_STREAM or SOCK_SEQPACKET */
	bool has_group;	  /* who may connect, beside root and the user of this process */
	gid_t group;
	unsigned clients; /* at most so many at once */
	size_t stack_bytes; /* of each client's thread */
	const struct server_ops *ops;
	void *context; /* server_context() */
	struct log_sink log;
};

/*
 * Make the socket, in place of one that nobody listens to any more. -EADDRINUSE: a daemon listens there.
 * Ends with server_stop().
 */
int server_listen(const struct server_options *options, struct server **out, struct message *message);
/* Accept connections from here on. 0 or a negative errno. */
int server_start(struct server *server);
/* Remove the socket, hang up on all clients, wait for their threads to end, and free. NULL is allowed. */
void server_stop(struct server *server);

void *server_context(const struct server_client *client);

/*
 * Wait until the client's socket has one of `events` (poll(2)), or was hung up: 0. -ETIMEDOUT: it has not by
 * the time `until` (clock_ms()). Meanwhile the client may lose its place. On the client's thread only.
 */
int server_await(struct server_client *client, short events, uint64_t until);

/*
 * Log a line about a client: "NAME: pid PID, uid UID: ...". What one user causes is limited (loglimit.h).
 * Thread safe.
 */
void server_say(struct server_client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Start a thread that has a stack of this size. 0 or a negative errno. */
int server_thread(size_t stack_bytes, void *(*run)(void *), void *argument, pthread_t *thread);

#endif
