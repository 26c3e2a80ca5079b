/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/control_server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "wire/frame.h"
#include "server/reply.h"

#define STACK_BYTES (1u << 20)
/* How long one who comes waits for one who goes. */
#define MAKE_ROOM_MS 500

struct client {
	struct reply reply; /* first: waits() gets from it to the client */
	struct server *server;
	struct peer peer;
	/* Since when the server waits for it (reply_now()), 0 if it does not. Guarded by server->lock. */
	uint64_t waiting;
	struct client *next; /* guarded by server->lock */
};

struct server {
	struct server_options options;
	struct listener listener;
	int stop_fd; /* an eventfd: readable once the server is to stop */
	bool started;
	pthread_t acceptor;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a client left, or keeps the server waiting */
	struct client *clients; /* guarded by lock */
	unsigned count;		/* guarded by lock */
};

/* ---- Beginning ------------------------------------------------------------- */

static void server_free(struct server *server)
{
	listener_close(&server->listener);
	if (server->stop_fd >= 0)
		close(server->stop_fd);
	pthread_cond_destroy(&server->changed);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

int server_listen(const struct server_options *options, struct server **out, struct message *message)
{
	const struct listener_options listen = { .path = options->path, .type = SOCK_STREAM,
						 .has_group = options->has_group, .group = options->group };
	struct server *server = calloc(1, sizeof(*server));
	int error;

	if (!server)
		return message_fail(message, -ENOMEM, "socket %s: out of memory", options->path);
	server->options = *options;
	server->listener.fd = -1;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->changed, NULL);
	server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	error = server->stop_fd < 0 ?
			message_fail(message, -errno, "socket %s: %s", options->path, strerror(errno)) :
			listener_open(&server->listener, &listen, message);
	if (error)
		server_free(server);
	else
		*out = server;
	return error;
}

/* ---- One client ------------------------------------------------------------ */

static void client_waits(struct reply *reply, bool waits)
{
	struct client *client = (struct client *)reply;
	LOCK_SCOPE(&client->server->lock);

	client->waiting = waits ? reply_now() : 0;
	if (waits)
		pthread_cond_broadcast(&client->server->changed);
}

static void refuse(struct client *client, int error, const char *why)
{
	log_sink_print(&client->server->options.log, "control: pid %d, uid %u: %s", (int)client->peer.pid,
		       client->peer.uid, why);
	reply_final(&client->reply, error, why, NULL);
}

/* One request, answered. Non-zero: the stream cannot be followed any further. */
static int answer(struct client *client)
{
	struct server *server = client->server;
	struct reply *reply = &client->reply;
	uint64_t until = reply_now() + server->options.patience;
	unsigned char header[sizeof(struct control_header)];
	CLEANUP_JSON struct json_object *json = NULL;
	CLEANUP_FREE char *body = NULL;
	struct control_frame frame;
	struct request request;
	struct message message;
	int error = reply_receive(reply, header, sizeof(header), until);

	if (error)
		return error;
	error = control_header_decode(header, CONTROL_REQUEST_MAX, &frame, &message);
	if (!error && frame.type != CONTROL_REQUEST)
		error = message_fail(&message, -EBADMSG, "a client sends requests, not frames of type %u",
				     frame.type);
	if (error) {
		refuse(client, error, message.text);
		return error;
	}
	body = malloc(frame.length + 1);
	error = body ? reply_receive(reply, body, frame.length, until) : -ENOMEM;
	if (error)
		return error;
	error = control_body_decode(body, frame.length, &json, &message);
	if (!error)
		error = request_decode(json, &request, &message);
	if (error) {
		refuse(client, error, message.text);
		return 0;
	}
	server->options.handle(server->options.context, &request, &client->peer, reply);
	request_clear(&request);
	return reply->broken ? -EPIPE : 0;
}

static void *client_thread(void *argument)
{
	struct client *client = argument;
	struct server *server = client->server;
	struct client **link;

	while (answer(client) == 0)
		;
	/* Nothing of the client may be touched after the lock is gone, nor of the server once count is 0. */
	LOCK_SCOPE(&server->lock);
	for (link = &server->clients; *link != client; link = &(*link)->next)
		;
	*link = client->next;
	server->count--;
	close(client->reply.fd);
	free(client);
	pthread_cond_broadcast(&server->changed);
	return NULL;
}

/* ---- Who comes ------------------------------------------------------------- */

static void deadline(struct timespec *at, unsigned milliseconds)
{
	clock_gettime(CLOCK_MONOTONIC, at);
	at->tv_sec += milliseconds / 1000;
	at->tv_nsec += (long)(milliseconds % 1000) * 1000000;
	if (at->tv_nsec >= 1000000000) {
		at->tv_nsec -= 1000000000;
		at->tv_sec++;
	}
}

/* Called with the lock held. */
static struct client *waiting_longest(struct server *server)
{
	struct client *longest = NULL;

	for (struct client *client = server->clients; client; client = client->next)
		if (client->waiting && (!longest || client->waiting <= longest->waiting))
			longest = client;
	return longest;
}

/* Called with the lock held. Who has hung up leaves as soon as its thread finds out. */
static bool somebody_leaves(const struct server *server)
{
	for (const struct client *client = server->clients; client; client = client->next) {
		struct pollfd fd = { .fd = client->reply.fd, .events = POLLRDHUP };

		if (poll(&fd, 1, 0) == 1)
			return true;
	}
	return false;
}

/*
 * Called with the lock held. False: everybody is being served, and nobody leaves. Nobody is shut down who
 * has just come and not yet asked, while it is others that have hung up; but they may be long in leaving.
 */
static bool make_room(struct server *server)
{
	struct client *longest = NULL;
	bool patient = true;
	struct timespec until;

	deadline(&until, MAKE_ROOM_MS);
	while (server->count >= server->options.clients) {
		const bool leaves = patient && !longest && somebody_leaves(server);

		if (!longest && !leaves) {
			longest = waiting_longest(server);
			if (longest)
				shutdown(longest->reply.fd, SHUT_RDWR);
		}
		if (pthread_cond_clockwait(&server->changed, &server->lock, CLOCK_MONOTONIC, &until) == 0)
			continue;
		if (!leaves)
			return false;
		patient = false;
		deadline(&until, MAKE_ROOM_MS);
	}
	return true;
}

static bool admit(struct server *server, struct client *client)
{
	pthread_t thread;
	LOCK_SCOPE(&server->lock);

	if (!make_room(server) || listener_thread(STACK_BYTES, client_thread, client, &thread) < 0)
		return false;
	pthread_detach(thread);
	client->next = server->clients;
	server->clients = client;
	server->count++;
	return true;
}

static void take(void *context, int fd)
{
	struct server *server = context;
	struct client *client = malloc(sizeof(*client));

	if (!client) {
		close(fd);
		return;
	}
	/* Field by field: the buffer, most of it, need not be cleared. */
	client->reply.fd = fd;
	client->reply.patience = server->options.patience;
	client->reply.waits = client_waits;
	client->reply.broken = false;
	client->reply.progress_sent = 0;
	client->reply.filled = 0;
	client->server = server;
	client->waiting = 0;
	if (!listener_admits(&server->listener, fd, &client->peer))
		refuse(client, -EACCES,
		       "permission denied: only the daemon's user, root and --group may talk to it");
	else if (admit(server, client))
		return;
	else
		refuse(client, -EBUSY, "the daemon is busy with too many clients: try again");
	close(fd);
	free(client);
}

static void *accept_thread(void *argument)
{
	struct server *server = argument;

	listener_serve(&server->listener, server->stop_fd, take, server);
	return NULL;
}

int server_start(struct server *server)
{
	int error = listener_thread(STACK_BYTES, accept_thread, server, &server->acceptor);

	server->started = error == 0;
	return error;
}

static void hang_up(struct server *server)
{
	LOCK_SCOPE(&server->lock);

	for (struct client *client = server->clients; client; client = client->next)
		shutdown(client->reply.fd, SHUT_RDWR);
	while (server->count)
		pthread_cond_wait(&server->changed, &server->lock);
}

void server_stop(struct server *server)
{
	if (!server)
		return;
	listener_unlink(&server->listener);
	if (server->started) {
		(void)!write(server->stop_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
		pthread_join(server->acceptor, NULL);
	}
	hang_up(server);
	server_free(server);
}
