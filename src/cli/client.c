/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/client.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "wire/frame.h"

/* A daemon reads a request at once. */
#define READS_WITHIN_MS 3000

struct client {
	int fd;
	bool heard; /* something came, or the user was told that nothing does */
	int given_fd; /* to be sent with the next request; -1: none */
	char *path;
	size_t start, end; /* of the bytes in the buffer that were not consumed yet */
	char buffer[64 << 10];
};

int client_connect(const char *path, struct client **out, struct message *message)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct client *client;

	if (strlen(path) >= sizeof(address.sun_path))
		return message_fail(message, -ENAMETOOLONG, "%s: the path is too long for a socket", path);
	strcpy(address.sun_path, path);
	if (fd < 0)
		return message_fail(message, -errno, "%s: %s", path, strerror(errno));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return message_fail(message, -errno,
					    "%s: no daemon answers there: start softpmemd, or name its "
					    "socket with --socket",
					    path);
		return message_fail(message, -errno, "%s: cannot talk to the daemon: %s", path,
				    strerror(errno));
	}
	client = calloc(1, sizeof(*client));
	if (client)
		client->path = strdup(path);
	if (!client || !client->path) {
		free(client);
		return message_fail(message, -ENOMEM, "%s: out of memory", path);
	}
	client->given_fd = -1;
	client->fd = steal_fd(&fd);
	*out = client;
	return 0;
}

void client_close(struct client *client)
{
	close(client->fd);
	free(client->path);
	free(client);
}

/* A daemon that is stopped does not even read the request. One that has read it may take its time. */
static void tell_if_silent(struct client *client)
{
	struct pollfd fd = { .fd = client->fd, .events = POLLIN };
	int unread = 0;

	if (client->heard || poll(&fd, 1, READS_WITHIN_MS) != 0)
		return;
	if (ioctl(client->fd, SIOCOUTQ, &unread) < 0 || unread == 0)
		return;
	client->heard = true;
	fprintf(stderr, "softpmem: %s: the daemon does not answer: is it stopped? Waiting until it does\n",
		client->path);
}

static int receive(struct client *client, void *bytes, size_t length, struct message *message)
{
	char *to = bytes;

	while (length) {
		size_t there = client->end - client->start;
		size_t taken = length < there ? length : there;

		memcpy(to, client->buffer + client->start, taken);
		client->start += taken;
		to += taken;
		length -= taken;
		if (length) {
			ssize_t got;

			tell_if_silent(client);
			got = recv(client->fd, client->buffer, sizeof(client->buffer), 0);
			if (got < 0 && errno == EINTR)
				continue;
			client->heard = true;
			if (got <= 0)
				return message_fail(message, -EPIPE,
						    "%s: the daemon hung up before it had answered: see "
						    "its log",
						    client->path);
			client->start = 0;
			client->end = (size_t)got;
		}
	}
	return 0;
}

void client_give_fd(struct client *client, int fd)
{
	client->given_fd = fd;
}

/* As send(2); the first bytes carry the descriptor. */
static ssize_t send_some(struct client *client, const void *bytes, size_t length)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = length };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (client->given_fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &client->given_fd, sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	sent = sendmsg(client->fd, &message, MSG_NOSIGNAL);
	if (sent > 0)
		client->given_fd = -1;
	return sent;
}

int client_send(struct client *client, struct json_object *request, struct message *message)
{
	CLEANUP_FREE char *frame = NULL;
	size_t length, sent = 0;

	frame = control_encode(CONTROL_REQUEST, request, &length);
	if (!frame)
		return message_fail(message, -ENOMEM, "%s: out of memory", client->path);
	if (length > sizeof(struct control_header) + CONTROL_REQUEST_MAX)
		return message_fail(message, -EMSGSIZE,
				    "the arguments are too long: with them the request has %zu bytes, and at "
				    "most %u can be sent",
				    length, CONTROL_REQUEST_MAX);
	while (sent < length) {
		ssize_t count = send_some(client, frame + sent, length - sent);

		if (count >= 0)
			sent += (size_t)count;
		else if (errno != EINTR)
			break; /* the daemon may have sent the reason before it hung up: read it */
	}
	return 0;
}

static int read_frame(struct client *client, unsigned *type, struct json_object **body,
		      struct message *message)
{
	unsigned char header[sizeof(struct control_header)];
	struct control_frame frame;
	CLEANUP_FREE char *bytes = NULL;
	int error = receive(client, header, sizeof(header), message);

	if (error)
		return error;
	error = control_header_decode(header, CONTROL_REPLY_MAX, &frame, message);
	if (error == -EPROTONOSUPPORT)
		return message_fail(message, error,
				    "%s: the daemon speaks control protocol version %u, this softpmem "
				    "version %u: use the softpmem of the daemon's release",
				    client->path, frame.version, CONTROL_VERSION);
	if (error)
		return message_fail(message, error, "%s: the process that listens there is not softpmemd",
				    client->path);
	bytes = malloc(frame.length + 1);
	if (!bytes)
		return message_fail(message, -ENOMEM, "%s: out of memory", client->path);
	error = receive(client, bytes, frame.length, message);
	if (!error)
		error = control_body_decode(bytes, frame.length, body, message);
	*type = frame.type;
	return error;
}

static void tell_progress(const struct client_answer *answer, struct json_object *body)
{
	uint64_t done = 0, total = 0;
	const char *what;

	if (!answer->progress || control_get_string(body, "what", &what) < 0)
		return;
	control_get_u64(body, "done", &done);
	control_get_u64(body, "total", &total);
	answer->progress(answer->context, what, done, total);
}

static int finish(struct client *client, struct json_object *body, struct json_object **result,
		  struct message *message)
{
	const char *text = "";
	uint64_t status;

	if (control_get_u64(body, "status", &status) < 0 || status > 4095)
		return message_fail(message, -EBADMSG, "%s: the daemon's answer has no status", client->path);
	control_get_string(body, "message", &text);
	message_fail(message, 0, "%s", text);
	if (json_object_object_get_ex(body, "result", result))
		json_object_get(*result);
	return -(int)status;
}

int client_next(struct client *client, const struct client_answer *answer, struct json_object **result,
		struct message *message)
{
	CLEANUP_JSON struct json_object *body = NULL;
	unsigned type = 0;
	int error = read_frame(client, &type, &body, message);

	*result = NULL;
	if (error)
		return error;
	if (type == CONTROL_FINAL)
		return finish(client, body, result, message);
	if (type == CONTROL_ITEM && answer->item)
		answer->item(answer->context, body);
	else if (type == CONTROL_PROGRESS)
		tell_progress(answer, body);
	return 1;
}

int client_ask(struct client *client, struct json_object *request, const struct client_answer *answer,
	       struct json_object **result, struct message *message)
{
	int error = client_send(client, request, message);

	*result = NULL;
	if (error)
		return error;
	do
		error = client_next(client, answer, result, message);
	while (error == 1);
	return error;
}

int client_fd(const struct client *client)
{
	return client->fd;
}

bool client_has_bytes(const struct client *client)
{
	return client->start < client->end;
}
