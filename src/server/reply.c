/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/reply.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "wire/frame.h"

#define PROGRESS_INTERVAL 250

uint64_t reply_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* 0 when the socket is ready (or hung up: the next call on it tells), -ETIMEDOUT. */
static int await(struct reply *reply, short events, uint64_t until)
{
	struct pollfd pollfd = { .fd = reply->fd, .events = events };
	int ready;

	reply->waits(reply, true);
	do {
		uint64_t now = reply_now();

		ready = poll(&pollfd, 1, now < until ? (int)(until - now) : 0);
	} while (ready < 0 && errno == EINTR);
	reply->waits(reply, false);
	return ready > 0 ? 0 : -ETIMEDOUT;
}

int reply_receive(struct reply *reply, void *bytes, size_t length, uint64_t until)
{
	unsigned char *at = bytes;

	while (length) {
		ssize_t got = recv(reply->fd, at, length, MSG_DONTWAIT);

		if (got > 0) {
			at += got;
			length -= (size_t)got;
		} else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
			int error = await(reply, POLLIN, until);

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
		ssize_t sent = send(reply->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent > 0) {
			bytes += sent;
			length -= (size_t)sent;
		} else if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (await(reply, POLLOUT, reply_now() + reply->patience) < 0)
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
	/* A frame left out would go unnoticed; a connection cut off does not. */
	if (!frame)
		reply->broken = true;
	else if (length > sizeof(reply->buffer) - reply->filled)
		flush(reply);
	if (reply->broken) {
		free(frame);
		return -EPIPE;
	}
	if (length > sizeof(reply->buffer)) {
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

/* Send what the client takes at once; the rest stays in the buffer. */
static void flush_some(struct reply *reply)
{
	ssize_t sent = send(reply->fd, reply->buffer, reply->filled, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent > 0) {
		reply->filled -= (size_t)sent;
		memmove(reply->buffer, reply->buffer + sent, reply->filled);
	} else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		reply->broken = true;
	}
}

void reply_progress(struct reply *reply, const char *what, uint64_t done, uint64_t total)
{
	uint64_t now = reply_now();
	struct json_object *body;

	/* A full buffer: the client has enough to read. */
	if (reply->broken || now - reply->progress_sent < PROGRESS_INTERVAL ||
	    reply->filled > sizeof(reply->buffer) / 2)
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
