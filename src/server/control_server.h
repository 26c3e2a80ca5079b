/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SERVER_CONTROL_SERVER_H
#define SERVER_CONTROL_SERVER_H

/*
 * The daemon's end of the control socket (wire/frame.h). A client that sends half a message or stops reading
 * occupies only its own thread, and for `patience` at most.
 */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/log_sink.h"
#include "common/message.h"
#include "server/peer.h"
#include "server/server.h"

struct reply;

struct control_options {
	const char *path; /* of the socket */
	bool has_group;	  /* who may connect, beside root and the user of this process */
	gid_t group;
	unsigned clients;  /* maximum number of clients at a time */
	unsigned patience; /* milliseconds to wait for a client's bytes, or for it to take ours */
	/*
	 * Answer a request, an object whose members are unchecked, on the client's thread. It must end with
	 * reply_final().
	 */
	void (*handle)(void *context, struct json_object *request, const struct peer *peer,
		       struct reply *reply);
	void *context;
	struct log_sink log;
};

/* server_listen() for the control socket. The options must outlive the server. */
int control_listen(const struct control_options *options, struct server **out, struct message *message);

/* ---- Answering ------------------------------------------------------------ */

/*
 * Frames are buffered to save system calls. Once the client cannot be reached, each call returns -EPIPE
 * and sends nothing: the handler may continue or stop.
 */

/* The descriptor that the client has sent with its request, for the caller to close; -1: none. */
int reply_take_fd(struct reply *reply);
/* Takes the reference. */
int reply_item(struct reply *reply, struct json_object *item);
/*
 * Sends a few frames a second, whatever the rate of the calls. Never waits for the client: it may be called
 * while the power is off.
 */
void reply_progress(struct reply *reply, const char *what, uint64_t done, uint64_t total);
/* True if a function above has noticed that the client hung up, or does not read. */
bool reply_is_broken(const struct reply *reply);
/*
 * Has the client hung up, as of this call? Any thread, while the request is handled. A client that only
 * sends no more still waits for its answer.
 */
bool reply_has_hung_up(const struct reply *reply);
/* Takes the reference to result, which may be NULL. error: 0 or a negative errno. */
void reply_final(struct reply *reply, int error, const char *text, struct json_object *result);

#endif
