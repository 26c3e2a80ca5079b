/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

/* The client side of the control socket. */

#include <json-c/json.h>
#include <stdbool.h>

#include "common/message.h"

struct client;

/* Connect to the socket. A negative errno, with a message that names the remedy. */
int client_connect(const char *path, struct client **out, struct message *message);
void client_close(struct client *client);

/* Send a copy of the descriptor with the next request. It stays open until then. */
void client_give_fd(struct client *client, int fd);

struct client_answer {
	/* Each may be NULL. The objects belong to the client. */
	void (*item)(void *context, struct json_object *item);
	void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
	void *context;
};

/*
 * Send a request and receive the whole answer. Returns the status of the daemon, 0 or a negative errno
 * with the daemon's message; or a negative errno with a message about the failed connection. *result: the
 * result in the final frame, for the caller to put; NULL: none.
 */
int client_ask(struct client *client, struct json_object *request, const struct client_answer *answer,
	       struct json_object **result, struct message *message);

/*
 * The same frame by frame, for a caller that waits for other things too. client_send() sends the request.
 * client_next() receives one frame, and waits for it: 1 if it was progress or an item, which was handed on;
 * else what client_ask() returns.
 */
int client_send(struct client *client, struct json_object *request, struct message *message);
int client_next(struct client *client, const struct client_answer *answer, struct json_object **result,
		struct message *message);
/* To wait for the next frame with poll(2); belongs to the client. */
int client_fd(const struct client *client);
/* Has a part of the next frame been received already? Then the descriptor need not become readable. */
bool client_has_bytes(const struct client *client);

#endif
