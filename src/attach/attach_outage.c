/* SPDX-License-Identifier: BSD-3-Clause */

/* The clients' part in an outage, and in the loss of one region. */

#include <sys/socket.h>

#include "attach/attach_context.h"
#include "attach/attach_drain.h"
#include "attach/attach_mappers.h"
#include "common/cleanup.h"

#define END_MS 5000

static bool uses(const struct attach_client *client, unsigned region)
{
	return client->regions[region].has_pools || client->regions[region].wpqs.count;
}

static bool uses_any(const struct attach_client *client)
{
	for (unsigned i = 0; i < client->attach->served.regions; i++)
		if (uses(client, i))
			return true;
	return false;
}

static bool wait_for_end(struct attach_client *client)
{
	bool ended = process_ends(client->connection.peer.pidfd, END_MS);

	if (!ended)
		server_say(&client->connection, "it was killed and does not end");
	return ended;
}

bool attach_power_fails(struct attach_server *attach)
{
	bool ended = true;

	pthread_rwlock_wrlock(&attach->power);
	attach_paths_disable(attach, NULL);
	/* A client that leaves needs the lock `power`, so the list does not change. */
	LOCK_SCOPE(&attach->lock);
	for (struct attach_client *client = attach->clients; client; client = client->next)
		if (uses_any(client))
			process_kill(client->connection.peer.pidfd);
	for (struct attach_client *client = attach->clients; client; client = client->next)
		if (uses_any(client) && !wait_for_end(client))
			ended = false;
	return mappers_kill(&attach->options.log, attach->views.items, attach->views.count) && ended;
}

void attach_power_returns(struct attach_server *attach)
{
	{
		LOCK_SCOPE(&attach->lock);
		/* Another process may have the connection: it is of the old generation too. */
		for (struct attach_client *client = attach->clients; client; client = client->next)
			if (uses_any(client))
				shutdown(client->connection.fd, SHUT_RDWR);
		attach->views.count = 0;
	}
	attach_paths_enable(attach);
	pthread_rwlock_unlock(&attach->power);
}

void attach_region_lost(struct attach_server *attach, unsigned region)
{
	struct attach_views *views = &attach->views;
	size_t first;

	WRITE_SCOPE(&attach->power);
	attach_paths_disable(attach, attach->served.pools[region]);
	LOCK_SCOPE(&attach->lock);
	for (struct attach_client *client = attach->clients; client; client = client->next)
		if (uses(client, region))
			attach_expel(client, region);
	for (struct attach_client *client = attach->clients; client; client = client->next)
		if (uses(client, region))
			wait_for_end(client);
	first = attach_views_partition(attach, region);
	if (first < views->count)
		mappers_kill(&attach->options.log, &views->items[first], views->count - first);
	views->count = first;
}
