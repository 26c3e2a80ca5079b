/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "daemon/verbs.h"

/* Stores of clients that became durable have changed the times of their pools. */
static void times_changed(void *context, struct pool *pool)
{
	fusefs_pool_times_changed(context, pool);
}

/* All regions are synced even after an error; the first one is returned. */
static int run(struct job *job)
{
	int result = 0;

	for (unsigned i = 0; i < job->daemon->region_count; i++) {
		const struct served_region *region = &job->daemon->regions[i];
		int error = pools_media_lost(region->pools) ? 0 : pools_sync(region->pools);

		if (job->daemon->fusefs)
			pools_for_attached(region->pools, times_changed, job->daemon->fusefs);
		if (!error || result)
			continue;
		result = message_fail(&job->message, error, "sync: region %s: %s", region->name,
				      strerror(-error));
	}
	return result;
}

static const struct request_field fields[] = { REQUEST_FIELDS_END };

const struct verb verb_sync = { .name = "sync", .fields = fields, .run = run };
