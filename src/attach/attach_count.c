/* SPDX-License-Identifier: BSD-3-Clause */

/* What is to be told of the clients. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/attach_private.h"
#include "common/cleanup.h"

static void read_comm(const struct attached *client, char comm[17])
{
	CLEANUP_FD int fd = -1;
	char path[32];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)client->peer.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? 0 : read(fd, comm, 16);
	/* The number may be another process's by now. */
	if (length < 0 || process_gone(client->pidfd, 0))
		length = 0;
	comm[length] = '\0';
	comm[strcspn(comm, "\n")] = '\0';
}

static void add_queue(struct attach_client *client, struct wpq *wpq)
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

static void look_at(const struct attached *client, struct attach_client *out)
{
	*out = (struct attach_client){ .pid = client->peer.pid, .uid = client->peer.uid };
	read_comm(client, out->comm);
	for (unsigned r = 0; r < client->server->served.regions; r++)
		for (size_t i = 0; i < client->regions[r].wpq_count; i++)
			add_queue(out, client->regions[r].wpqs[i]);
}

int attach_clients(struct attach_server *server, struct attach_client **clients, size_t *count)
{
	size_t room;

	LOCK_SCOPE(&server->lock);
	*count = 0;
	room = server->client_count;
	*clients = calloc(room ? room : 1, sizeof(**clients));
	if (!*clients)
		return -ENOMEM;
	for (struct attached *client = server->clients; client && *count < room; client = client->next)
		look_at(client, &(*clients)[(*count)++]);
	return 0;
}

int attach_settle(struct attach_server *server)
{
	READ_SCOPE(&server->power);
	return attach_drain(server, NULL);
}
