/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/server.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "server/listener.h"
#include "server/loglimit.h"

#define ACCEPT_STACK_BYTES (256u << 10)
/* How long a new client waits for the place of a client that is leaving. */
#define MAKE_ROOM_MS 500
/*
 * Nobody is accepted meanwhile. After a wait in vain for a user who is not trusted there is no other wait for
 * such a one for this time: one that connects again and again would keep all others out.
 */
#define NO_WAIT_MS 10000

struct server {
	struct server_options options;
	struct listener listener;
	int stop_fd; /* an eventfd; readable once the server has to stop */
	bool started;
	pthread_t acceptor;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* signalled when a client has left, or keeps the server waiting */
	/* Guarded by lock. */
	struct server_client *clients;
	unsigned count;
	uint64_t numbers; /* clients that have had a place */
	struct loglimit loglimit;
	uint64_t no_wait_until; /* clock_ms(); see NO_WAIT_MS */
};

void *server_context(const struct server_client *client)
{
	return client->server->options.context;
}

bool server_trusts(const struct peer *peer)
{
	return peer->uid == 0 || peer->uid == geteuid();
}

void server_say(struct server_client *client, const char *format, ...)
{
	struct server *server = client->server;
	const struct peer *peer = &client->peer;
	unsigned suppressed = 0;
	char text[768];
	va_list args;

	if (!server_trusts(peer)) {
		LOCK_SCOPE(&server->lock);
		if (!loglimit_allows(&server->loglimit, peer->uid, clock_ms(), &suppressed))
			return;
	}
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (suppressed)
		log_sink_print(&server->options.log, "%s: uid %u: %u lines were suppressed",
			   server->options.name, peer->uid, suppressed);
	log_sink_print(&server->options.log, "%s: pid %d, uid %u: %s", server->options.name, (int)peer->pid,
		   peer->uid, text);
}

/* The server waits for these events of the client's socket from now on; 0: for none. */
static void set_awaited(struct server_client *client, short events)
{
	LOCK_SCOPE(&client->server->lock);

	client->awaited = events;
	client->waiting_since = events ? clock_ms() : 0;
	if (events)
		pthread_cond_broadcast(&client->server->changed);
}

void server_has_request(struct server_client *client)
{
	set_awaited(client, 0);
}

int server_await(struct server_client *client, short events, uint64_t until)
{
	struct pollfd fd = { .fd = client->fd, .events = events };
	int ready;

	set_awaited(client, events);
	do {
		uint64_t now = clock_ms(), left = now < until ? until - now : 0;

		ready = poll(&fd, 1, left > INT32_MAX ? INT32_MAX : (int)left);
	} while (ready < 0 && errno == EINTR);
	set_awaited(client, 0);
	return ready > 0 ? 0 : -ETIMEDOUT;
}

/* ---- Places: the lock is held -------------------------------------------------- */

static unsigned places_of(const struct server *server, uid_t uid)
{
	unsigned places = 0;

	for (const struct server_client *client = server->clients; client; client = client->next)
		places += client->peer.uid == uid;
	return places;
}

static bool has_place(const struct server *server, const struct peer *peer)
{
	const unsigned most = server->options.clients;
	const unsigned unused = server->count < most ? most - server->count : 0;

	return unused && (server_trusts(peer) || places_of(server, peer->uid) < unused);
}

static bool has_event(const struct server_client *client, short events)
{
	struct pollfd fd = { .fd = client->fd, .events = events };

	return poll(&fd, 1, 0) == 1;
}

/*
 * The client, of this user or of all, that has kept the server waiting longest. NULL: the server waits
 * for none. A client for whom the awaited event has come does not keep the server waiting: its thread is
 * late.
 */
static struct server_client *waiting_longest(const struct server *server, const uid_t *uid)
{
	struct server_client *longest = NULL;

	for (struct server_client *client = server->clients; client; client = client->next)
		if (client->waiting_since && (!uid || client->peer.uid == *uid) &&
		    (!longest || client->waiting_since <= longest->waiting_since) &&
		    !has_event(client, client->awaited))
			longest = client;
	return longest;
}

/* Of the clients up to this number, has one hung up without its thread having noticed? */
static bool is_any_leaving(const struct server *server, uint64_t last)
{
	for (const struct server_client *client = server->clients; client; client = client->next)
		if (client->number <= last && has_event(client, POLLRDHUP))
			return true;
	return false;
}

/*
 * Wait for a place. To get one, hang up on the client that has kept the server waiting longest: on one of
 * the new client's own user, if there is one. False: there is no place.
 *
 * A client that is new and has sent no request yet also counts as waiting. It is not evicted while others
 * are leaving. Since those may take long to leave, the wait for them is limited. Where none is leaving and
 * none can be hung up on, only the trusted wait for one that does.
 */
static bool make_room(struct server *server, const struct peer *peer)
{
	const bool trusted = server_trusts(peer);
	const uid_t *uid = !trusted && places_of(server, peer->uid) ? &peer->uid : NULL;
	struct server_client *longest = NULL;
	bool patient = trusted || clock_ms() >= server->no_wait_until;
	struct timespec until = clock_deadline_ms(MAKE_ROOM_MS);

	while (!has_place(server, peer)) {
		const bool leaving = patient && !longest && is_any_leaving(server, UINT64_MAX);

		if (!longest && !leaving) {
			longest = waiting_longest(server, uid);
			if (longest)
				shutdown(longest->fd, SHUT_RDWR);
			else if (!trusted)
				return false;
		}
		if (pthread_cond_clockwait(&server->changed, &server->lock, CLOCK_MONOTONIC, &until) == 0)
			continue;
		if (!leaving)
			return false;
		patient = false;
		if (!trusted)
			server->no_wait_until = clock_ms() + NO_WAIT_MS;
		until = clock_deadline_ms(MAKE_ROOM_MS);
	}
	return true;
}

/* ---- Clients ------------------------------------------------------------------ */

static void client_free(struct server_client *client)
{
	close(client->fd);
	peer_clear(&client->peer);
	free(client);
}

static void *client_thread(void *argument)
{
	struct server_client *client = argument, **link;
	struct server *server = client->server;

	while (server->options.ops->serve(client))
		;
	server->options.ops->end(client);
	/* The client must not be used without the lock from here on, nor the server once the count is 0. */
	LOCK_SCOPE(&server->lock);
	for (link = &server->clients; *link != client; link = &(*link)->next)
		;
	*link = client->next;
	server->count--;
	client_free(client);
	pthread_cond_broadcast(&server->changed);
	return NULL;
}

void server_await_leaving(struct server *server)
{
	LOCK_SCOPE(&server->lock);
	/* Not for those that come later: there may always be one that leaves. */
	const uint64_t last = server->numbers;

	while (is_any_leaving(server, last))
		pthread_cond_wait(&server->changed, &server->lock);
}

int server_thread(size_t stack_bytes, void *(*run)(void *), void *argument, pthread_t *thread)
{
	pthread_attr_t attributes;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, stack_bytes);
	error = pthread_create(thread, &attributes, run, argument);
	pthread_attr_destroy(&attributes);
	return -error;
}

static int give_place(struct server *server, struct server_client *client, struct message *message)
{
	pthread_t thread;
	int error;
	LOCK_SCOPE(&server->lock);

	if (!make_room(server, &client->peer))
		return message_fail(message, -EBUSY, places_of(server, client->peer.uid) ?
				    "this user's clients have all the places that one user may have" :
				    "the daemon is busy with too many clients: try again");
	error = server_thread(server->options.stack_bytes, client_thread, client, &thread);
	if (error)
		return message_fail(message, error, "the daemon cannot start another thread: try again");
	pthread_detach(thread);
	/* From here on, not only once its thread runs: another client may come before that. */
	client->awaited = POLLIN;
	client->waiting_since = clock_ms();
	client->number = ++server->numbers;
	client->next = server->clients;
	server->clients = client;
	server->count++;
	return 0;
}

/* May the process at the other end connect, and is there a place for it? */
static int admit(struct server *server, struct server_client *client, struct message *message)
{
	const struct server_ops *ops = server->options.ops;
	int error;

	if (peer_identify(&client->peer, client->fd) < 0 || !listener_admits(&server->listener, client->fd,
									      &client->peer))
		return message_fail(
			message, -EACCES,
			"permission denied: only the daemon's user, root and the members of --group may "
			"connect");
	error = ops->begin(client, message);
	if (error)
		return error;
	error = give_place(server, client, message);
	if (error)
		ops->end(client);
	return error;
}

static void take_connection(void *context, int fd)
{
	struct server *server = context;
	struct server_client *client = calloc(1, server->options.ops->client_bytes);
	struct message message = { "" };
	int error;

	if (!client) {
		close(fd);
		return;
	}
	client->server = server;
	client->fd = fd;
	client->peer.pidfd = -1;
	error = admit(server, client, &message);
	if (!error)
		return;
	server_say(client, "refused: %s", message.text);
	server->options.ops->refuse(client, error, message.text);
	client_free(client);
}

static void *accept_thread(void *argument)
{
	struct server *server = argument;

	listener_serve(&server->listener, server->stop_fd, take_connection, server);
	return NULL;
}

/* ---- Beginning and end ----------------------------------------------------------- */

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
	const struct listener_options listen = { .path = options->path, .type = options->type,
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

int server_start(struct server *server)
{
	int error = server_thread(ACCEPT_STACK_BYTES, accept_thread, server, &server->acceptor);

	server->started = error == 0;
	return error;
}

static void hang_up_all(struct server *server)
{
	LOCK_SCOPE(&server->lock);

	for (struct server_client *client = server->clients; client; client = client->next)
		shutdown(client->fd, SHUT_RDWR);
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
	hang_up_all(server);
	server_free(server);
}
