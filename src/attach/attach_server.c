/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach/attach_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/attach_answer.h"
#include "attach/attach_context.h"
#include "attach/attach_drain.h"
#include "attach/attach_message.h"
#include "attach/attach_trace.h"
#include "common/cleanup.h"
#include "common/clock.h"

#define STACK_BYTES (256u << 10)
#define CLIENTS_MAX 1024
/* A client that connects and does not greet is hung up on after this. */
#define GREETING_MS 5000

/* ---- Clients ----------------------------------------------------------------------- */

static struct attach_client *attach_client_of(struct server_client *connection)
{
	return (struct attach_client *)connection;
}

static int begin(struct server_client *connection, struct message *message)
{
	struct attach_client *client = attach_client_of(connection);
	struct attach_server *attach = server_context(connection);

	/* A process that maps a pool must be ended when the power fails. */
	if (connection->peer.pidfd < 0 ||
	    syscall(SYS_pidfd_send_signal, connection->peer.pidfd, 0, NULL, 0) < 0)
		return message_fail(message, -EACCES, "the daemon could not end this process");
	client->attach = attach;
	client->greet_until = clock_ms() + GREETING_MS;
	client->regions = calloc(attach->served.regions, sizeof(*client->regions));
	if (!client->regions)
		return message_fail(message, -ENOMEM, "the daemon has no memory");
	LOCK_SCOPE(&attach->lock);
	client->next = attach->clients;
	attach->clients = client;
	attach->client_count++;
	return 0;
}

static bool serve(struct server_client *connection)
{
	return attach_answer(attach_client_of(connection));
}

static void destroy_wpqs(struct attach_client *client, unsigned region)
{
	struct attach_server *attach = client->attach;
	CLEANUP_VECTOR struct attach_wpqs wpqs = { 0 };

	{
		LOCK_SCOPE(&attach->lock);
		wpqs = client->regions[region].wpqs;
		client->regions[region].wpqs = (struct attach_wpqs){ 0 };
	}
	if (!wpqs.count)
		return;
	pools_destroy_wpqs(attach->served.pools[region], wpqs.items, wpqs.count);
	/* That drained every client's WPQs, and may have found a dead one that no later drain looks at. */
	attach_expel_malformed(attach);
	LOCK_SCOPE(&attach->lock);
	attach->wpq_count -= wpqs.count;
}

static void leave(struct attach_client *client)
{
	struct attach_server *attach = client->attach;
	struct attach_client **link;

	/* Not during an outage: that decides over what the client's WPQs hold. */
	READ_SCOPE(&attach->power);
	for (unsigned i = 0; i < attach->served.regions; i++)
		destroy_wpqs(client, i);
	LOCK_SCOPE(&attach->lock);
	for (link = &attach->clients; *link != client; link = &(*link)->next)
		;
	*link = client->next;
	attach->client_count--;
}

static void end(struct server_client *connection)
{
	struct attach_client *client = attach_client_of(connection);

	attach_trace_end(client);
	if (client->attach->served.fence)
		client->attach->served.fence(client->attach->served.context, ATTACH_FENCE_GONE, client, 0);
	leave(client);
	for (unsigned i = 0; i < client->attach->served.regions; i++)
		wpq_rights_destroy(client->regions[i].rights);
	free(client->regions);
}

static void refuse(struct server_client *connection, int error, const char *why)
{
	struct attach_reply reply;

	attach_reply_begin(&reply);
	reply.error = error;
	snprintf(reply.message, sizeof(reply.message), "%s", why);
	attach_reply_send(connection->fd, &reply, NULL, 0);
}

void attach_announce_fences(struct attach_server *attach, bool announce)
{
	for (unsigned i = 0; i < attach->served.regions; i++)
		pools_announce_fences(attach->served.pools[i], announce);
}

void attach_await_ended(struct attach_server *attach)
{
	server_await_leaving(attach->server);
}

/* ---- Beginning and end ------------------------------------------------------------------ */

static void locks_init(struct attach_server *attach)
{
	pthread_rwlockattr_t writers_first;
	pthread_condattr_t monotonic;

	pthread_rwlockattr_init(&writers_first);
	pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&attach->power, &writers_first);
	pthread_rwlockattr_destroy(&writers_first);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&attach->drain_soon, &monotonic);
	pthread_cond_init(&attach->holes.soon, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&attach->lock, NULL);
	pthread_mutex_init(&attach->views.adding, NULL);
	pthread_mutex_init(&attach->paths.lock, NULL);
}

static int listen_at(struct attach_server *attach, struct message *message)
{
	static const struct server_ops ops = {
		.client_bytes = sizeof(struct attach_client),
		.begin = begin,
		.serve = serve,
		.end = end,
		.refuse = refuse,
	};
	struct server_options options = {
		.name = "attach",
		.type = SOCK_SEQPACKET,
		.has_group = attach->options.has_group,
		.group = attach->options.group,
		.clients = CLIENTS_MAX,
		.stack_bytes = STACK_BYTES,
		.ops = &ops,
		.context = attach,
		.log = attach->options.log,
	};

	if (asprintf(&attach->path, "%s" ATTACH_SUFFIX, attach->options.path) < 0) {
		attach->path = NULL;
		return message_fail(message, -ENOMEM, "socket %s: out of memory", attach->options.path);
	}
	options.path = attach->path;
	return server_listen(&options, &attach->server, message);
}

int attach_listen(const struct attach_options *options, struct attach_server **out, struct message *message)
{
	struct attach_server *attach = calloc(1, sizeof(*attach));
	int error;

	if (!attach)
		return message_fail(message, -ENOMEM, "socket %s: out of memory", options->path);
	attach->options = *options;
	attach->paths.blocked_fd = -1;
	locks_init(attach);
	error = listen_at(attach, message);
	if (error)
		attach_stop(attach);
	else
		*out = attach;
	return error;
}

int attach_start(struct attach_server *attach, const struct attach_served *served)
{
	int error;

	attach->served = *served;
	attach_views_set_limit(&attach->views);
	error = attach_paths_open(attach);
	if (!error)
		error = attach_drain_start(attach);
	if (!error)
		error = attach_holes_start(attach);
	return error ? error : server_start(attach->server);
}

void attach_stop(struct attach_server *attach)
{
	if (!attach)
		return;
	server_stop(attach->server);
	attach_holes_stop(attach);
	attach_drain_stop(attach);
	attach_paths_close(attach);
	pthread_mutex_destroy(&attach->paths.lock);
	pthread_mutex_destroy(&attach->lock);
	pthread_cond_destroy(&attach->holes.soon);
	pthread_cond_destroy(&attach->drain_soon);
	pthread_rwlock_destroy(&attach->power);
	vector_free(&attach->views.reserved);
	vector_free(&attach->views);
	free(attach->path);
	free(attach);
}
