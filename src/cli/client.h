/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

/* The client side of the control socket. */

#include <json-c/json.h>

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

#endif
