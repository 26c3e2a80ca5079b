/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

/*
 * A server on a Unix socket: one thread accepts connections, and each client has a thread of its own.
 * This part decides who may connect, how many clients there may be, and which of them lose their
 * connection. The protocol belongs to the user of this part: the control socket (control_server.h) and
 * the attach socket (attach/) are two such users.
 *
 * Places. At most `clients` are connected at once. The user of this process and root may take every
 * place. Any other user may take a place only while its clients have fewer places than are free. So the
 * first such user gets at most half of the places, the next one half of the rest, and so on, and no user
 * can take the last place from another one. A client that keeps the server waiting (it has sent no request
 * yet, or server_await() waits for it) loses its place to a new client for which there is none; the one that
 * has kept the server waiting longest loses it first.
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
	/* for server.c alone; guarded by its lock */
	uint64_t waiting_since; /* clock_ms(); 0: the server does not wait for it */
	short awaited;		/* the poll(2) events that it waits for */
	uint64_t number;	/* in the order of getting a place, from 1 */
	struct server_client *next;
};

/* Is this the user of this process, or root? What they take is not limited for the sake of others. */
bool server_trusts(const struct peer *peer);

struct server_ops {
	size_t client_bytes; /* of the structure that begins with a struct server_client; zeros at first */
	/*
	 * Called before the client gets a place, on the accepting thread. A negative errno, with a
	 * message, refuses the client.
	 */
	int (*begin)(struct server_client *client, struct message *message);
	/* Serve one request, on the client's thread. False: hang up. */
	bool (*serve)(struct server_client *client);
	/*
	 * Called once, if begin() returned 0, before the descriptors of the client are closed and its
	 * memory is freed.
	 */
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
	unsigned clients; /* maximum number of clients at a time */
	size_t stack_bytes; /* stack size of a client's thread */
	const struct server_ops *ops;
	void *context; /* server_context() */
	struct log_sink log;
};

/*
 * Create the socket, and replace a stale one. -EADDRINUSE: a daemon listens there. End it with
 * server_stop().
 */
int server_listen(const struct server_options *options, struct server **out, struct message *message);
/* Accept connections from here on. 0 or a negative errno. */
int server_start(struct server *server);
/* Remove the socket, hang up on all clients, wait for their threads to end, and free. NULL is allowed. */
void server_stop(struct server *server);

void *server_context(const struct server_client *client);

/*
 * Wait until the socket of the client has one of `events` (poll(2)), or was hung up: 0. -ETIMEDOUT: not
 * until the time `until` (clock_ms()). The client may lose its place meanwhile. Only for the thread of
 * the client.
 */
int server_await(struct server_client *client, short events, uint64_t until);
/*
 * The server has a request of this client, and keeps the client's place while it handles it. For who may
 * have received a first request without server_await(). Only for the thread of the client.
 */
void server_has_request(struct server_client *client);

/*
 * Wait until the server is done with every client that has hung up already, end() included. These include
 * the processes that have ended, as far as the caller can know: a process hangs up before its parent sees it
 * end. Must not be called by the thread of one of the server's clients, nor with a lock that serve() or end()
 * takes.
 */
void server_await_leaving(struct server *server);

/*
 * Log a line about a client: "NAME: pid PID, uid UID: ...". The lines that one user causes are limited
 * (loglimit.h). Thread safe.
 */
void server_say(struct server_client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Start a thread with a stack of this size. 0 or a negative errno. */
int server_thread(size_t stack_bytes, void *(*run)(void *), void *argument, pthread_t *thread);

#endif
