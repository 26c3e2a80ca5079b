/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "daemon/verbs.h"

/* Stores of clients that became durable have changed the times of their pools. */
static void times_changed(void *context, struct pool *pool)
{
	fusefs_pool_times_changed(context, pool);
}

/* What was stored in a region that has failed is not durable, and never will be. */
static int sync_region(struct job *job, const struct served_region *region, struct message *message)
{
	int error = pools_media_lost(region->pools) ? 0 : pools_sync(region->pools);

	if (job->daemon->fusefs)
		pools_for_attached(region->pools, times_changed, job->daemon->fusefs);
	if (region_failed(region->region))
		return region_failure(region->region, message);
	return error ? message_fail(message, error, "sync: region %s: %s", region->name, strerror(-error)) :
		       0;
}

/* All regions are synced even after an error; the first one is returned. */
static int run(struct job *job)
{
	int result = 0;

	for (unsigned i = 0; i < job->daemon->region_count; i++) {
		struct message why;
		int error = sync_region(job, &job->daemon->regions[i], &why);

		if (!error || result)
			continue;
		job->message = why;
		result = error;
	}
	return result;
}

static const struct request_field fields[] = { REQUEST_FIELDS_END };

const struct verb verb_sync = { .name = "sync", .fields = fields, .run = run };
