/* SPDX-License-Identifier: BSD-3-Clause */

/* Counters of the clients, for `softpmem stat`. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/attach_context.h"
#include "attach/attach_drain.h"
#include "attach/attach_mappers.h"
#include "common/cleanup.h"

static void read_comm(const struct peer *peer, char comm[17])
{
	CLEANUP_FD int fd = -1;
	char path[32];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)peer->pid);
	fd = peer_is_alive(peer) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	length = fd < 0 ? 0 : read(fd, comm, 16);
	if (length < 0 || !peer_is_alive(peer))
		length = 0;
	comm[length] = '\0';
	comm[strcspn(comm, "\n")] = '\0';
}

static void add_queue(struct attach_client_info *client, struct wpq *wpq)
{
	struct wpq_usage usage;

	wpq_usage(wpq, &usage);
	client->queues++;
	client->counts.flushes += usage.counts.flushes;
	client->counts.persists += usage.counts.persists;
	client->counts.fences += usage.counts.fences;
	client->counts.lines += usage.counts.lines;
	client->counts.clean_lines += usage.counts.clean_lines;
	client->idle_fences += usage.idle_fences;
	for (unsigned lane = 0; lane < WPQ_LANES; lane++) {
		unsigned percent =
			(unsigned)((100 * usage.waiting[lane] + usage.lane_size / 2) / usage.lane_size);

		client->waiting += usage.waiting[lane];
		client->ring_percent = percent > client->ring_percent ? percent : client->ring_percent;
	}
}

static void fill_info(const struct attach_client *client, struct attach_client_info *out)
{
	const struct peer *peer = &client->connection.peer;

	*out = (struct attach_client_info){ .pid = peer->pid, .uid = peer->uid };
	read_comm(peer, out->comm);
	for (unsigned r = 0; r < client->attach->served.regions; r++) {
		out->maps |= client->regions[r].has_pools;
		for (size_t i = 0; i < client->regions[r].wpqs.count; i++)
			add_queue(out, client->regions[r].wpqs.items[i]);
	}
}

int attach_clients(struct attach_server *attach, struct attach_client_info **clients, size_t *count)
{
	size_t room;

	LOCK_SCOPE(&attach->lock);
	*count = 0;
	room = attach->client_count;
	*clients = calloc(room ? room : 1, sizeof(**clients));
	if (!*clients)
		return -ENOMEM;
	for (struct attach_client *client = attach->clients; client && *count < room; client = client->next)
		fill_info(client, &(*clients)[(*count)++]);
	return 0;
}

int attach_settle(struct attach_server *attach)
{
	READ_SCOPE(&attach->power);
	return attach_drain(attach, NULL);
}
