/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/control_server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "server/reply.h"
#include "wire/frame.h"

#define STACK_BYTES (1u << 20)

struct control_client {
	struct server_client client;
	struct reply reply;
};

static struct control_client *control_client_of(struct server_client *client)
{
	return (struct control_client *)client;
}

static int begin(struct server_client *client, struct message *message)
{
	const struct control_options *options = server_context(client);
	struct control_client *mine = control_client_of(client);

	mine->reply = (struct reply){
		.client = client, .patience = options->patience, .size = REPLY_BUFFER_BYTES
	};
	mine->reply.buffer = malloc(REPLY_BUFFER_BYTES);
	return mine->reply.buffer ? 0 : message_fail(message, -ENOMEM, "the daemon is out of memory");
}

static void end(struct server_client *client)
{
	free(control_client_of(client)->reply.buffer);
}

static void refuse(struct server_client *client, int error, const char *why)
{
	struct control_client *mine = control_client_of(client);
	unsigned char buffer[4096];

	mine->reply = (struct reply){ .client = client, .buffer = buffer, .size = sizeof(buffer) };
	reply_final(&mine->reply, error, why, NULL);
}

static void reject(struct control_client *mine, int error, const char *why)
{
	server_say(&mine->client, "%s", why);
	reply_final(&mine->reply, error, why, NULL);
}

static bool serve_request(struct server_client *client)
{
	const struct control_options *options = server_context(client);
	struct control_client *mine = control_client_of(client);
	uint64_t until = clock_ms() + options->patience;
	unsigned char header[sizeof(struct control_header)];
	CLEANUP_JSON struct json_object *json = NULL;
	CLEANUP_FREE char *body = NULL;
	struct control_frame frame;
	struct message message;
	int error;

	if (reply_receive(&mine->reply, header, sizeof(header), until) < 0)
		return false;
	error = control_header_decode(header, CONTROL_REQUEST_MAX, &frame, &message);
	if (!error && frame.type != CONTROL_REQUEST)
		error = message_fail(&message, -EBADMSG, "a client sends requests, not frames of type %u",
				     frame.type);
	if (error) {
		reject(mine, error, message.text);
		return false;
	}
	body = malloc(frame.length + 1);
	if (!body || reply_receive(&mine->reply, body, frame.length, until) < 0)
		return false;
	error = control_body_decode(body, frame.length, &json, &message);
	if (error) {
		reject(mine, error, message.text);
		return true;
	}
	server_has_request(client);
	options->handle(options->context, json, &client->peer, &mine->reply);
	return !mine->reply.broken;
}

/* Answer one request. False: the connection cannot be used any further. */
static bool serve(struct server_client *client)
{
	const bool usable = serve_request(client);

	reply_drop_fd(&control_client_of(client)->reply);
	return usable;
}

int control_listen(const struct control_options *options, struct server **out, struct message *message)
{
	static const struct server_ops ops = {
		.client_bytes = sizeof(struct control_client),
		.begin = begin,
		.serve = serve,
		.end = end,
		.refuse = refuse,
	};
	const struct server_options server = {
		.path = options->path,
		.name = "control",
		.type = SOCK_STREAM,
		.has_group = options->has_group,
		.group = options->group,
		.clients = options->clients,
		.stack_bytes = STACK_BYTES,
		.ops = &ops,
		.context = (void *)options,
		.log = options->log,
	};

	return server_listen(&server, out, message);
}
