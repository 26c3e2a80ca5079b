/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/snapshots.h"

#include <stdlib.h>
#include <string.h>

struct snapshot *snapshots_find(struct daemon *daemon, const char *name)
{
	for (size_t i = 0; i < daemon->snapshots.count; i++)
		if (strcmp(daemon->snapshots.items[i].name, name) == 0)
			return &daemon->snapshots.items[i];
	return NULL;
}

int snapshots_add(struct daemon *daemon, const struct snapshot *snapshot)
{
	return vector_append(&daemon->snapshots, *snapshot);
}

void snapshots_remove(struct daemon *daemon, struct snapshot *snapshot)
{
	const size_t last = daemon->snapshots.count - 1;

	if (snapshot->contents)
		pool_contents_drop(snapshot->region->pools, snapshot->contents);
	else
		pools_drop_snapshot(snapshot->region->pools, snapshot->bytes);
	free(snapshot->path);
	*snapshot = daemon->snapshots.items[last];
	daemon->snapshots.count = last;
}

void snapshots_remove_all(struct daemon *daemon)
{
	while (daemon->snapshots.count)
		snapshots_remove(daemon, &daemon->snapshots.items[0]);
	vector_free(&daemon->snapshots);
}
