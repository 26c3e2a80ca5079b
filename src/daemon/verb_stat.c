/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "wire/frame.h"
#include "domain/wpq.h"
#include "daemon/verbs.h"

static void put_counts(struct json_object *item, const struct domain_counts *counts)
{
	control_put_u64(item, "persists", counts->persists);
	control_put_u64(item, "flushes", counts->flushes);
	control_put_u64(item, "fences", counts->fences);
	control_put_u64(item, "bytes", counts->lines * LINE_SIZE);
	control_put_u64(item, "clean_lines", counts->clean_lines);
}

/* ---- Pools --------------------------------------------------------------------- */

struct telling {
	struct job *job;
	const struct served_region *region; /* whose pools these are */
	const char *below; /* "/db" in it: that, or what is in it; "": all */
	int error;
};

static bool is_below(const char *path, const char *below)
{
	size_t length = strlen(below);

	return strncmp(path, below, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* As the path was asked for: with the region's name before it, or without. */
static char *show(const struct telling *telling, const char *path)
{
	const struct job *job = telling->job;

	if (!*path || (job->region && !job->prefixed))
		return strdup(path);
	return job_show(job->daemon, telling->region, path);
}

static int tell_pool(struct telling *telling, struct pool *pool, const char *path)
{
	CLEANUP_FREE char *shown = show(telling, path);
	struct json_object *item;
	struct pool_attributes attributes;
	struct domain_counts counts;
	uint64_t lines = 0;
	int error = pool_get_attributes(pool, &attributes);

	if (!error)
		error = pool_counts(pool, &counts);
	if (!error && telling->job->request->dirty)
		error = pool_volatile_lines(pool, &lines);
	if (error)
		return error;
	item = shown ? json_object_new_object() : NULL;
	if (!item)
		return -ENOMEM;
	control_put_string(item, "kind", "pool");
	control_put_string(item, "path", shown);
	job_put_region(telling->job, telling->region, item);
	control_put_u64(item, "size", attributes.size);
	control_put_bool(item, "attached", pool_is_attached(pool));
	put_counts(item, &counts);
	if (telling->job->request->dirty)
		control_put_u64(item, "volatile_lines", lines);
	return reply_item(telling->job->reply, item);
}

static void tell_if_below(void *context, struct pool *pool)
{
	struct telling *telling = context;
	char path[4096 + 1];
	int error = pool_path(pool, path, sizeof(path));

	if (error)
		path[0] = '\0';
	if (*telling->below && !is_below(path, telling->below))
		return;
	error = tell_pool(telling, pool, path);
	/* Destroyed meanwhile. */
	if (error && error != -ESTALE && error != -ENOENT)
		telling->error = error;
}

/* The one that was asked for, used or not, or those in the directory. */
static int tell_named(struct telling *telling)
{
	struct pool_attributes attributes;
	struct pool *pool;
	int error = pool_lookup_path(telling->region->pools, telling->below, &pool);

	if (error)
		return error;
	error = pool_get_attributes(pool, &attributes);
	if (!error && !S_ISDIR(attributes.mode))
		error = tell_pool(telling, pool, telling->below);
	else if (!error)
		pools_for_once_attached(telling->region->pools, tell_if_below, telling);
	pool_unref(pool, 1);
	return error ? error : telling->error;
}

/* Those that have failed have nothing to tell. */
static int tell_pools(struct job *job)
{
	int error = 0;

	for (unsigned i = 0; i < job->daemon->region_count && !error; i++) {
		const struct served_region *region = &job->daemon->regions[i];
		struct telling telling = { .job = job, .region = region, .below = "" };

		if (job->region == region)
			telling.below = job->path;
		if (job->region ? job->region == region : !region_failed(region->region))
			error = tell_named(&telling);
	}
	return error;
}

/* ---- Clients ------------------------------------------------------------------- */

static void tell_client(struct job *job, const struct attach_client_info *client)
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

static int tell_clients(struct job *job)
{
	CLEANUP_FREE struct attach_client_info *clients = NULL;
	size_t count;
	int error = attach_clients(job->daemon->attach, &clients, &count);

	for (size_t i = 0; !error && i < count; i++)
		tell_client(job, &clients[i]);
	return error;
}

/* ---- The verb --------------------------------------------------------------------- */

static void set_clean(struct daemon *daemon, enum request_switch clean)
{
	if (clean == SWITCH_LEAVE)
		return;
	atomic_store(&daemon->counts_clean, clean == SWITCH_ON);
	for (unsigned i = 0; i < daemon->region_count; i++)
		pools_count_clean(daemon->regions[i].pools, clean == SWITCH_ON);
}

int verb_stat(struct job *job)
{
	int error = job_place(job);

	if (error)
		return error;
	set_clean(job->daemon, job->request->clean);
	error = tell_clients(job);
	if (!error)
		error = attach_settle(job->daemon->attach);
	if (!error)
		error = tell_pools(job);
	if (error)
		return job_fail(job, error, job->request->path && job->region ? job->shown : "stat");
	job->result = json_object_new_object();
	if (!job->result)
		return job_fail(job, -ENOMEM, "stat");
	control_put_u64(job->result, "time_ms", server_now());
	if (job->region)
		control_put_u64(job->result, "generation", pools_generation(job->region->pools));
	control_put_bool(job->result, "counts_clean", atomic_load(&job->daemon->counts_clean));
	return 0;
}
