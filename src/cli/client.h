/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_CLIENT_H
#define SRC_CLIENT_H

/* The command line's end of the control socket. */

#include <json-c/json.h>

#include "common/message.h"
#include "wire/request.h"

struct client;

int client_connect(const char *path, struct client **out, struct message *message);
void client_close(struct client *client);

struct client_answer {
	/* Each may be NULL; the objects are the client's. */
	void (*item)(void *context, struct json_object *item);
	void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
	void *context;
};

/*
 * Ask, and hear the answer to its end. Returns the daemon's status: 0 or a
 * negative errno, then with the daemon's message; or what went wrong on the way.
 * *result: what the final frame brought, for the caller to put; NULL if nothing.
 */
int client_ask(struct client *client, const struct request *request, const struct client_answer *answer,
	       struct json_object **result, struct message *message);

#endif
