/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "daemon/verbs.h"
#include "wire/frame.h"

/* Counting of lines that were flushed although the media had them. */
enum clean_switch { CLEAN_LEAVE, CLEAN_ON, CLEAN_OFF };

struct stat_request {
	const char *region, *path;
	bool dirty;
	enum clean_switch clean;
};

static int parse_switch(const char *text, void *value)
{
	enum clean_switch *clean = value;

	*clean = strcmp(text, "on") == 0 ? CLEAN_ON : strcmp(text, "off") == 0 ? CLEAN_OFF : CLEAN_LEAVE;
	return *clean == CLEAN_LEAVE ? -EINVAL : 0;
}

static const struct request_field fields[] = {
	REQUEST_FIELD("path", REQUEST_STRING, struct stat_request, path),
	REQUEST_FIELD("region", REQUEST_STRING, struct stat_request, region),
	REQUEST_FIELD("dirty", REQUEST_BOOL, struct stat_request, dirty),
	REQUEST_FIELD("clean", REQUEST_WORD, struct stat_request, clean, .parse = parse_switch),
	REQUEST_FIELDS_END,
};

static void put_counts(struct json_object *item, const struct domain_counts *counts)
{
	control_put_u64(item, "persists", counts->persists);
	control_put_u64(item, "flushes", counts->flushes);
	control_put_u64(item, "fences", counts->fences);
	control_put_u64(item, "bytes", counts->lines * LINE_SIZE);
	control_put_u64(item, "clean_lines", counts->clean_lines);
}

/* ---- Pools --------------------------------------------------------------------- */

struct listing {
	struct job *job;
	const struct served_region *region; /* of these pools */
	const char *below; /* only what this path in the region names or contains; "": everything */
	bool dirty;	   /* also count lines that are not durable */
	int error;
};

static bool is_below(const char *path, const char *below)
{
	size_t length = strlen(below);

	return strncmp(path, below, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* The paths begin with the region's name if the requested path does. */
static char *show(const struct listing *listing, const char *path)
{
	const struct job *job = listing->job;

	if (!*path || (job->region && !job->prefixed))
		return strdup(path);
	return job_show(job->daemon, listing->region, path);
}

static int send_pool(struct listing *listing, struct pool *pool, const char *path)
{
	CLEANUP_FREE char *shown = show(listing, path);
	struct json_object *item;
	struct pool_attributes attributes;
	struct domain_counts counts;
	uint64_t lines = 0;
	int error = pool_get_attributes(pool, &attributes);

	if (!error)
		error = pool_counts(pool, &counts);
	if (!error && listing->dirty)
		error = pool_volatile_lines(pool, &lines);
	if (error)
		return error;
	item = shown ? json_object_new_object() : NULL;
	if (!item)
		return -ENOMEM;
	control_put_string(item, "kind", "pool");
	control_put_string(item, "path", shown);
	job_put_region(listing->job, listing->region, item);
	control_put_u64(item, "size", attributes.size);
	control_put_bool(item, "attached", pool_is_attached(pool));
	put_counts(item, &counts);
	if (listing->dirty)
		control_put_u64(item, "volatile_lines", lines);
	return reply_item(listing->job->reply, item);
}

static void send_if_below(void *context, struct pool *pool)
{
	struct listing *listing = context;
	char path[4096 + 1];
	int error = pool_path(pool, path, sizeof(path));

	if (error)
		path[0] = '\0';
	if (*listing->below && !is_below(path, listing->below))
		return;
	error = send_pool(listing, pool, path);
	/* It was destroyed in the meantime. */
	if (error && error != -ESTALE && error != -ENOENT)
		listing->error = error;
}

/* The requested pool, or those of the requested directory that have been attached. */
static int send_named(struct listing *listing)
{
	struct pool_attributes attributes;
	struct pool *pool;
	int error = pool_lookup_path(listing->region->pools, listing->below, &pool);

	if (error)
		return error;
	error = pool_get_attributes(pool, &attributes);
	if (!error && !S_ISDIR(attributes.mode))
		error = send_pool(listing, pool, listing->below);
	else if (!error)
		pools_for_once_attached(listing->region->pools, send_if_below, listing);
	pool_unref(pool, 1);
	return error ? error : listing->error;
}

/* Regions that have failed are left out, unless one is asked for. */
static int send_pools(struct job *job)
{
	const struct stat_request *request = job->request;
	int error = 0;

	for (unsigned i = 0; i < job->daemon->region_count && !error; i++) {
		const struct served_region *region = &job->daemon->regions[i];
		struct listing listing = {
			.job = job, .region = region, .below = "", .dirty = request->dirty
		};

		if (job->region == region)
			listing.below = job->path;
		if (job->region ? job->region == region : !region_failed(region->region))
			error = send_named(&listing);
	}
	return error;
}

/* ---- Clients ------------------------------------------------------------------- */

static void send_client(struct job *job, const struct attach_client_info *client)
{
	struct json_object *item = json_object_new_object();

	if (item) {
		control_put_string(item, "kind", "client");
		control_put_u64(item, "pid", (uint64_t)client->pid);
		control_put_u64(item, "uid", client->uid);
		control_put_string(item, "comm", client->comm);
		control_put_u64(item, "queues", client->queues);
		put_counts(item, &client->counts);
		control_put_u64(item, "idle_fences", client->idle_fences);
		control_put_u64(item, "waiting", client->waiting);
		control_put_u64(item, "ring_percent", client->ring_percent);
	}
	reply_item(job->reply, item);
}

static int send_clients(struct job *job)
{
	CLEANUP_FREE struct attach_client_info *clients = NULL;
	size_t count;
	int error = attach_clients(job->daemon->attach, &clients, &count);

	for (size_t i = 0; !error && i < count; i++)
		send_client(job, &clients[i]);
	return error;
}

/* ---- The verb --------------------------------------------------------------------- */

static void set_clean(struct daemon *daemon, enum clean_switch clean)
{
	if (clean == CLEAN_LEAVE)
		return;
	atomic_store(&daemon->counts_clean, clean == CLEAN_ON);
	for (unsigned i = 0; i < daemon->region_count; i++)
		pools_count_clean(daemon->regions[i].pools, clean == CLEAN_ON);
}

static int run(struct job *job)
{
	const struct stat_request *request = job->request;
	int error = job_place(job, request->region, request->path);

	if (error)
		return error;
	set_clean(job->daemon, request->clean);
	error = send_clients(job);
	if (!error)
		error = attach_settle(job->daemon->attach);
	if (!error)
		error = send_pools(job);
	if (error)
		return job_fail(job, error, request->path && job->region ? job->shown : "stat");
	job->result = json_object_new_object();
	if (!job->result)
		return job_fail(job, -ENOMEM, "stat");
	control_put_u64(job->result, "time_ms", clock_ms());
	if (job->region)
		control_put_u64(job->result, "generation", pools_generation(job->region->pools));
	control_put_bool(job->result, "counts_clean", atomic_load(&job->daemon->counts_clean));
	return 0;
}

const struct verb verb_stat = {
	.name = "stat",
	.fields = fields,
	.request_bytes = sizeof(struct stat_request),
	.run = run,
};
