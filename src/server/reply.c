/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/reply.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "server/foreign_fd.h"
#include "wire/frame.h"

#define PROGRESS_INTERVAL_MS 250
/* No request needs more than one descriptor. More are received only to be closed. */
#define FDS_MAX 4

void reply_drop_fd(struct reply *reply)
{
	if (reply->has_fd)
		server_close_foreign(reply->fd);
	reply->has_fd = false;
}

int reply_take_fd(struct reply *reply)
{
	if (!reply->has_fd)
		return -1;
	reply->has_fd = false;
	return reply->fd;
}

/* Of several descriptors the last one counts. */
static void take_fds(struct reply *reply, struct msghdr *message)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		const size_t bytes = part->cmsg_len - CMSG_LEN(0);

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= bytes; at += sizeof(int)) {
			reply_drop_fd(reply);
			memcpy(&reply->fd, CMSG_DATA(part) + at, sizeof(int));
			reply->has_fd = true;
		}
	}
}

/* recv(2), and the descriptors that come with the bytes. */
static ssize_t receive_some(struct reply *reply, void *bytes, size_t length)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = bytes, .iov_len = length };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t got = recvmsg(reply->client->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got >= 0)
		take_fds(reply, &message);
	return got;
}

int reply_receive(struct reply *reply, void *bytes, size_t length, uint64_t until)
{
	unsigned char *at = bytes;

	while (length) {
		ssize_t got = receive_some(reply, at, length);

		if (got > 0) {
			at += got;
			length -= (size_t)got;
		} else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
			int error = server_await(reply->client, POLLIN, until);

			if (error)
				return error;
		} else {
			return -EPIPE;
		}
	}
	return 0;
}

static int transmit(struct reply *reply, const unsigned char *bytes, size_t length)
{
	while (length) {
		ssize_t sent = send(reply->client->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent > 0) {
			bytes += sent;
			length -= (size_t)sent;
		} else if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (server_await(reply->client, POLLOUT, clock_ms() + reply->patience) < 0)
				return -EPIPE;
		} else {
			return -EPIPE;
		}
	}
	return 0;
}

static int flush(struct reply *reply)
{
	if (!reply->broken && transmit(reply, reply->buffer, reply->filled) < 0)
		reply->broken = true;
	reply->filled = 0;
	return reply->broken ? -EPIPE : 0;
}

/* Takes the reference to body. */
static int put_frame(struct reply *reply, enum control_type type, struct json_object *body)
{
	size_t length;
	unsigned char *frame = reply->broken || !body ? NULL : control_encode(type, body, &length);

	json_object_put(body);
	/* A missing frame is not noticed by the client; the end of the connection is. */
	if (!frame)
		reply->broken = true;
	else if (length > reply->size - reply->filled)
		flush(reply);
	if (reply->broken) {
		free(frame);
		return -EPIPE;
	}
	if (length > reply->size) {
		if (transmit(reply, frame, length) < 0)
			reply->broken = true;
	} else {
		memcpy(reply->buffer + reply->filled, frame, length);
		reply->filled += length;
	}
	free(frame);
	return reply->broken ? -EPIPE : 0;
}

int reply_item(struct reply *reply, struct json_object *item)
{
	return put_frame(reply, CONTROL_ITEM, item);
}

/* Send as much as the socket takes without waiting; the rest stays in the buffer. */
static void flush_some(struct reply *reply)
{
	ssize_t sent = send(reply->client->fd, reply->buffer, reply->filled, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent > 0) {
		reply->filled -= (size_t)sent;
		memmove(reply->buffer, reply->buffer + sent, reply->filled);
	} else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		reply->broken = true;
	}
}

void reply_progress(struct reply *reply, const char *what, uint64_t done, uint64_t total)
{
	uint64_t now = clock_ms();
	struct json_object *body;

	/* Half a buffer waits to be sent, so the client has enough to read. */
	if (reply->broken || now - reply->progress_sent < PROGRESS_INTERVAL_MS ||
	    reply->filled > reply->size / 2)
		return;
	reply->progress_sent = now;
	body = json_object_new_object();
	if (body) {
		control_put_string(body, "what", what);
		control_put_u64(body, "done", done);
		control_put_u64(body, "total", total);
	}
	if (put_frame(reply, CONTROL_PROGRESS, body) == 0)
		flush_some(reply);
}

bool reply_is_broken(const struct reply *reply)
{
	return reply->broken;
}

bool reply_has_hung_up(const struct reply *reply)
{
	/* POLLHUP comes without being asked for, and only once both directions are closed. */
	struct pollfd fd = { .fd = reply->client->fd };

	return poll(&fd, 1, 0) > 0;
}

void reply_final(struct reply *reply, int error, const char *text, struct json_object *result)
{
	struct json_object *body = json_object_new_object();

	if (body) {
		control_put_u64(body, "status", (uint64_t)-error);
		control_put_string(body, "message", text);
		if (result && json_object_object_add(body, "result", json_object_get(result)) != 0)
			json_object_put(result);
	}
	json_object_put(result);
	if (put_frame(reply, CONTROL_FINAL, body) == 0)
		flush(reply);
}
