/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach/attach_server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "attach/attach_private.h"
#include "common/align.h"
#include "common/cleanup.h"

#define STACK_BYTES (256u << 10)
#define CLIENTS_MAX 1024
/* Who connects and says nothing holds a place no longer than this. */
#define GREETING_SECONDS 5
/* Between looks at the rings: while there is something to drain, and when there has been nothing for long. */
#define LOOK_SOON_MS 10
#define LOOK_LATE_MS 160
/* The drain thread stays at the rings while so much comes in within so long. */
#define LINGER_BYTES (64u << 10)
#define LINGER_US 50
#define LOOK_PAUSES 200
#define GONE_MS 5000

/* ---- Draining ------------------------------------------------------------------ */

static bool has_dead_wpq(const struct attached *client)
{
	for (unsigned r = 0; r < client->server->served.regions; r++)
		for (size_t i = 0; i < client->regions[r].wpq_count; i++)
			if (wpq_is_dead(client->regions[r].wpqs[i]))
				return true;
	return false;
}

/* What it fences from here on would be lost: it must not go on believing in it. */
static void expel_spoilers(struct attach_server *server)
{
	LOCK_SCOPE(&server->lock);

	for (struct attached *client = server->clients; client; client = client->next) {
		if (client->expelled || !has_dead_wpq(client))
			continue;
		client->expelled = true;
		log_sink_print(&server->options.log,
			       "attach: pid %d, uid %u: its WPQ held a record that cannot be: killed",
			       (int)client->peer.pid, client->peer.uid);
		process_kill(client->pidfd);
		shutdown(client->fd, SHUT_RDWR);
	}
}

void attach_expel(struct attached *client, unsigned region)
{
	struct attach_server *server = client->server;

	if (client->expelled)
		return;
	client->expelled = true;
	log_sink_print(&server->options.log,
		       "attach: pid %d, uid %u: killed: it uses the region %s, whose memory is gone",
		       (int)client->peer.pid, client->peer.uid, server->served.names[region]);
	process_kill(client->pidfd);
	shutdown(client->fd, SHUT_RDWR);
}

/* Media that are lost have nobody left to promise anything to; only a client of theirs hears of it. */
static bool is_to_drain(struct pools *pools, const struct attached *client, unsigned region)
{
	if (client)
		return client->regions[region].wpq_count;
	return !pools_media_lost(pools) && pools_published(pools);
}

/* Bytes. */
static uint64_t published(const struct attach_server *server)
{
	const struct attach_served *served = &server->served;
	uint64_t sum = 0;

	for (unsigned i = 0; i < served->regions; i++)
		if (is_to_drain(served->pools[i], NULL, i))
			sum += pools_published(served->pools[i]);
	return sum;
}

int attach_drain(struct attach_server *server, struct attached *client)
{
	const struct attach_served *served = &server->served;
	int result = 0;

	for (unsigned i = 0; i < served->regions; i++) {
		int error = is_to_drain(served->pools[i], client, i) ? pools_drain(served->pools[i]) : 0;

		/* -EPROTO: somebody's WPQ is dead; all others have been drained. */
		if (error && error != -EPROTO)
			result = error;
		if (error && client && pools_media_lost(served->pools[i])) {
			LOCK_SCOPE(&server->lock);
			attach_expel(client, i);
		}
	}
	expel_spoilers(server);
	{
		LOCK_SCOPE(&server->lock);
		server->drained = true;
		pthread_cond_signal(&server->drain_soon);
	}
	return result;
}

static void deadline(struct timespec *at, unsigned milliseconds)
{
	clock_gettime(CLOCK_MONOTONIC, at);
	at->tv_nsec += (long)milliseconds * 1000000;
	at->tv_sec += at->tv_nsec / 1000000000;
	at->tv_nsec %= 1000000000;
}

/* False: the end. */
static bool wait_to_look(struct attach_server *server, unsigned milliseconds)
{
	struct timespec until;
	LOCK_SCOPE(&server->lock);

	deadline(&until, milliseconds);
	while (!server->stopping && !server->kicked && !server->drained) {
		if (server->wpq_count == 0) {
			pthread_cond_wait(&server->drain_soon, &server->lock);
			deadline(&until, milliseconds);
		} else if (pthread_cond_timedwait(&server->drain_soon, &server->lock, &until) != 0) {
			break;
		}
	}
	server->kicked = false;
	return !server->stopping;
}

/* Other faces of what has been drained: the kernel's pages of it are old. */
static void tell_others(struct attach_server *server)
{
	const struct attach_served *served = &server->served;

	{
		LOCK_SCOPE(&server->lock);
		if (!server->drained)
			return;
		server->drained = false;
	}
	for (unsigned i = 0; served->changed && i < served->regions; i++)
		pools_for_attached(served->pools[i], served->changed, served->context);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void set_awake(const struct attach_server *server, bool awake)
{
	for (unsigned i = 0; i < server->served.regions; i++)
		pools_set_awake(server->served.pools[i], awake);
}

/*
 * Drain for as long as much comes in: who fills a ring need not ask, and finds
 * room. Who flushes little at a time is drained now and then, and asks if he must.
 */
static int drain_awake(struct attach_server *server)
{
	uint64_t told = now_us(), last = told;
	int error = attach_drain(server, NULL);

	set_awake(server, true);
	for (uint64_t now = told; !error && now - last < LINGER_US; now = now_us()) {
		if (published(server) >= LINGER_BYTES) {
			error = attach_drain(server, NULL);
			last = now_us();
		} else {
			/* Each look takes the positions' lines from their writers. */
			for (unsigned i = 0; i < LOOK_PAUSES; i++)
				__builtin_ia32_pause();
		}
		if (now - told > LOOK_SOON_MS * 1000) {
			tell_others(server);
			told = now;
		}
	}
	set_awake(server, false);
	/* Who saw us awake just before this did not ask. */
	if (!error && published(server))
		error = attach_drain(server, NULL);
	return error;
}

static void *drain_thread(void *argument)
{
	struct attach_server *server = argument;
	unsigned interval = LOOK_SOON_MS;
	int last_error = 0;

	while (wait_to_look(server, interval)) {
		int error;

		tell_others(server);
		if (!published(server)) {
			interval = (unsigned)min_u64(2 * interval, LOOK_LATE_MS);
			continue;
		}
		interval = LOOK_SOON_MS;
		error = drain_awake(server);
		if (error && error != last_error)
			log_sink_print(&server->options.log, "attach: cannot drain: %s", strerror(-error));
		last_error = error;
		tell_others(server);
	}
	return NULL;
}

/* ---- Clients ----------------------------------------------------------------------- */

static void give_wpqs_back(struct attached *client, unsigned region)
{
	struct attach_server *server = client->server;
	CLEANUP_FREE struct wpq **wpqs = NULL;
	size_t count;

	{
		LOCK_SCOPE(&server->lock);
		wpqs = steal_pointer(&client->regions[region].wpqs);
		count = client->regions[region].wpq_count;
		client->regions[region].wpq_count = 0;
	}
	if (!count)
		return;
	pools_destroy_wpqs(server->served.pools[region], wpqs, count);
	/* That drained everybody's, and may have found one that no later drain looks at. */
	expel_spoilers(server);
	LOCK_SCOPE(&server->lock);
	server->wpq_count -= count;
}

static void leave(struct attached *client)
{
	struct attach_server *server = client->server;
	struct attached **link;

	/* When the power fails, what its WPQs hold has a part in it. */
	READ_SCOPE(&server->power);
	for (unsigned i = 0; i < server->served.regions; i++)
		give_wpqs_back(client, i);
	LOCK_SCOPE(&server->lock);
	for (link = &server->clients; *link != client; link = &(*link)->next)
		;
	*link = client->next;
}

static void client_free(struct attached *client)
{
	for (unsigned i = 0; client->regions && i < client->server->served.regions; i++)
		wpq_rights_destroy(client->regions[i].rights);
	free(client->regions);
	free(client);
}

static void *client_thread(void *argument)
{
	struct attached *client = argument;
	struct attach_server *server = client->server;
	bool greeted = false;

	while (attach_answer(client)) {
		static const struct timeval forever;

		if (!greeted)
			setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
		greeted = true;
	}
	leave(client);
	close(client->fd);
	close(client->pidfd);
	client_free(client);
	/* Last of all: attach_stop() frees the server when nobody is left. */
	LOCK_SCOPE(&server->lock);
	server->client_count--;
	pthread_cond_broadcast(&server->left);
	return NULL;
}

static const char *admit(struct attached *client)
{
	struct attach_server *server = client->server;
	pthread_t thread;
	LOCK_SCOPE(&server->lock);

	if (server->client_count >= CLIENTS_MAX)
		return "the daemon has too many clients";
	if (listener_thread(STACK_BYTES, client_thread, client, &thread) < 0)
		return "the daemon has no more threads";
	pthread_detach(thread);
	client->next = server->clients;
	server->clients = client;
	server->client_count++;
	return NULL;
}

/* Why not, or NULL. */
static const char *examine(struct attached *client)
{
	const struct timeval patience = { .tv_sec = GREETING_SECONDS };

	if (!listener_admits(&client->server->listener, client->fd, &client->peer))
		return "only the daemon's user, root and --group may";
	if (client->peer.pid > 0)
		client->pidfd = (int)syscall(SYS_pidfd_open, client->peer.pid, 0);
	/* Who maps a pool must end when the power fails. */
	if (client->pidfd < 0 || syscall(SYS_pidfd_send_signal, client->pidfd, 0, NULL, 0) < 0)
		return "the daemon could not end this process";
	if (setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return strerror(errno);
	return NULL;
}

static void take(void *context, int fd)
{
	struct attach_server *server = context;
	struct attached *client = calloc(1, sizeof(*client));
	const char *why;

	if (!client) {
		close(fd);
		return;
	}
	*client = (struct attached){ .server = server, .fd = fd, .pidfd = -1 };
	client->regions = calloc(server->served.regions, sizeof(*client->regions));
	why = client->regions ? examine(client) : "the daemon has no memory";
	if (!why)
		why = admit(client);
	if (!why) {
		server->refusing = false;
		return;
	}
	/* A flood is worth one line. */
	if (!server->refusing)
		log_sink_print(&server->options.log, "attach: pid %d, uid %u: refused: %s",
			       (int)client->peer.pid, client->peer.uid, why);
	server->refusing = true;
	attach_refuse(fd, -EACCES, why);
	if (client->pidfd >= 0)
		close(client->pidfd);
	close(fd);
	client_free(client);
}

static void *accept_thread(void *argument)
{
	struct attach_server *server = argument;

	listener_serve(&server->listener, server->stop_fd, take, server);
	return NULL;
}

/* ---- When the power fails ------------------------------------------------------------- */

static bool uses(const struct attached *client, unsigned region)
{
	return client->regions[region].has_pools || client->regions[region].wpq_count;
}

static bool uses_any(const struct attached *client)
{
	for (unsigned i = 0; i < client->server->served.regions; i++)
		if (uses(client, i))
			return true;
	return false;
}

static bool wait_until_gone(const struct attached *client)
{
	bool gone = process_gone(client->pidfd, GONE_MS);

	if (!gone)
		log_sink_print(&client->server->options.log, "attach: pid %d was killed and does not end",
			       (int)client->peer.pid);
	return gone;
}

bool attach_power_fails(struct attach_server *server)
{
	pthread_rwlock_wrlock(&server->power);
	paths_go_dark(server, NULL);
	/* No client can leave now, so what is found in the list stays. */
	LOCK_SCOPE(&server->lock);
	bool gone = true;
	for (struct attached *client = server->clients; client; client = client->next)
		if (uses_any(client))
			process_kill(client->pidfd);
	for (struct attached *client = server->clients; client; client = client->next)
		if (uses_any(client) && !wait_until_gone(client))
			gone = false;
	return kill_mappers(server, server->views, server->view_count) && gone;
}

void attach_power_returns(struct attach_server *server)
{
	{
		LOCK_SCOPE(&server->lock);
		/* A connection that was handed on to another process is of the older generation too. */
		for (struct attached *client = server->clients; client; client = client->next)
			if (uses_any(client))
				shutdown(client->fd, SHUT_RDWR);
		server->view_count = 0;
	}
	paths_come_back(server);
	pthread_rwlock_unlock(&server->power);
}

/* Put the region's views behind all others, and return where they begin. */
static size_t part_views(struct attach_server *server, unsigned region)
{
	size_t first = server->view_count;

	for (size_t i = 0; i < first;) {
		struct view_memory view = server->views[i];

		if (view.region != region) {
			i++;
			continue;
		}
		server->views[i] = server->views[--first];
		server->views[first] = view;
	}
	return first;
}

void attach_region_lost(struct attach_server *server, unsigned region)
{
	size_t first;

	WRITE_SCOPE(&server->power);
	paths_go_dark(server, server->served.pools[region]);
	LOCK_SCOPE(&server->lock);
	for (struct attached *client = server->clients; client; client = client->next)
		if (uses(client, region))
			attach_expel(client, region);
	for (struct attached *client = server->clients; client; client = client->next)
		if (uses(client, region))
			wait_until_gone(client);
	first = part_views(server, region);
	kill_mappers(server, server->views + first, server->view_count - first);
	server->view_count = first;
}

/* ---- Beginning and end ------------------------------------------------------------------ */

static void locks_init(struct attach_server *server)
{
	pthread_rwlockattr_t writers_first;
	pthread_condattr_t monotonic;

	pthread_rwlockattr_init(&writers_first);
	pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&server->power, &writers_first);
	pthread_rwlockattr_destroy(&writers_first);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&server->drain_soon, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_cond_init(&server->left, NULL);
	pthread_mutex_init(&server->lock, NULL);
	pthread_mutex_init(&server->paths_lock, NULL);
}

static void server_free(struct attach_server *server)
{
	listener_close(&server->listener);
	paths_close(server);
	if (server->stop_fd >= 0)
		close(server->stop_fd);
	pthread_mutex_destroy(&server->paths_lock);
	pthread_mutex_destroy(&server->lock);
	pthread_cond_destroy(&server->left);
	pthread_cond_destroy(&server->drain_soon);
	pthread_rwlock_destroy(&server->power);
	free(server->views);
	free(server->path);
	free(server);
}

static int open_listener(struct attach_server *server, struct message *message)
{
	const struct attach_options *options = &server->options;
	struct listener_options listen = {
		.type = SOCK_SEQPACKET, .has_group = options->has_group, .group = options->group
	};

	if (asprintf(&server->path, "%s" ATTACH_SUFFIX, options->path) < 0) {
		server->path = NULL;
		return message_fail(message, -ENOMEM, "socket %s: out of memory", options->path);
	}
	server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->stop_fd < 0)
		return message_fail(message, -errno, "socket %s: %s", server->path, strerror(errno));
	listen.path = server->path;
	return listener_open(&server->listener, &listen, message);
}

int attach_listen(const struct attach_options *options, struct attach_server **out, struct message *message)
{
	struct attach_server *server = calloc(1, sizeof(*server));
	int error;

	if (!server)
		return message_fail(message, -ENOMEM, "socket %s: out of memory", options->path);
	server->options = *options;
	server->listener.fd = server->stop_fd = server->dark_fd = -1;
	locks_init(server);
	error = open_listener(server, message);
	if (error)
		server_free(server);
	else
		*out = server;
	return error;
}

int attach_start(struct attach_server *server, const struct attach_served *served)
{
	int error;

	server->served = *served;
	error = paths_open(server);
	if (!error)
		error = listener_thread(STACK_BYTES, drain_thread, server, &server->drainer);
	if (error)
		return error;
	error = listener_thread(STACK_BYTES, accept_thread, server, &server->acceptor);
	server->started = error == 0;
	if (error) {
		server->stopping = true;
		pthread_cond_signal(&server->drain_soon);
		pthread_join(server->drainer, NULL);
	}
	return error;
}

static void hang_up(struct attach_server *server)
{
	LOCK_SCOPE(&server->lock);

	for (struct attached *client = server->clients; client; client = client->next)
		shutdown(client->fd, SHUT_RDWR);
	while (server->client_count)
		pthread_cond_wait(&server->left, &server->lock);
	server->stopping = true;
	pthread_cond_signal(&server->drain_soon);
}

void attach_stop(struct attach_server *server)
{
	if (!server)
		return;
	listener_unlink(&server->listener);
	if (server->started) {
		(void)!write(server->stop_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
		pthread_join(server->acceptor, NULL);
		hang_up(server);
		pthread_join(server->drainer, NULL);
	}
	server_free(server);
}
