/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_SERVER_H
#define SRC_SERVER_H

/*
 * The daemon's end of the control socket. One thread accepts and checks who
 * calls (SO_PEERCRED), one thread a client reads requests and answers. A client
 * that sends half a message or stops reading costs its own thread, for
 * `patience` at most; when all places are taken, who has kept the server
 * waiting longest makes room for who comes.
 */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/log_sink.h"
#include "common/message.h"
#include "server/listener.h"
#include "wire/request.h"

struct server;
struct reply;

struct server_options {
	const char *path; /* of the socket */
	/* Who may talk, beside root and the uid this process runs as. */
	bool has_group;
	gid_t group;
	unsigned clients;  /* at most so many at once */
	unsigned patience; /* milliseconds to wait for a client's bytes, or for it to take ours */
	/* Answers a request, on a thread of its own: it must end with reply_final(). */
	void (*handle)(void *context, const struct request *request, const struct peer *peer,
		       struct reply *reply);
	void *context;
	struct log_sink log;
};

/*
 * Make the socket, in place of one that nobody listens to any more. -EADDRINUSE:
 * a daemon listens there. What the options point to must outlive the server.
 */
int server_listen(const struct server_options *options, struct server **out, struct message *message);
/* Begin to answer. */
int server_start(struct server *server);
/* Remove the socket, hang up on all clients, wait for what runs for them, and free. NULL is allowed. */
void server_stop(struct server *server);

/* ---- Answering ------------------------------------------------------------ */

/*
 * What is sent may wait in a buffer until it is worth a system call. -EPIPE from
 * the first time the client cannot be reached: go on or stop, nothing is sent
 * any more.
 */
/* Takes the reference. */
int reply_item(struct reply *reply, struct json_object *item);
/* Sends a few a second, whatever the rate of the calls. Never waits: it may be called with the power off. */
void reply_progress(struct reply *reply, const char *what, uint64_t done, uint64_t total);
/* Takes the reference to result, which may be NULL. error: 0 or a negative errno. */
void reply_final(struct reply *reply, int error, const char *text, struct json_object *result);

#endif
