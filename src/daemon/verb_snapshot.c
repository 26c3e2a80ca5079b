/* SPDX-License-Identifier: BSD-3-Clause */

/* Takes, lists and drops snapshots. */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "daemon/snapshots.h"
#include "daemon/verbs.h"
#include "wire/frame.h"

struct snapshot_request {
	const char *name, *path, *region;
	bool drop; /* the one of this name */
};

static const struct request_field fields[] = {
	REQUEST_FIELD("name", REQUEST_STRING, struct snapshot_request, name),
	REQUEST_FIELD("path", REQUEST_STRING, struct snapshot_request, path),
	REQUEST_FIELD("region", REQUEST_STRING, struct snapshot_request, region),
	REQUEST_FIELD("drop", REQUEST_BOOL, struct snapshot_request, drop),
	REQUEST_FIELDS_END,
};

static bool is_printable(const char *name)
{
	for (; *name; name++)
		if (iscntrl((unsigned char)*name))
			return false;
	return true;
}

static int check(const void *decoded, struct message *message)
{
	const struct snapshot_request *request = decoded;
	const char *name = request->name;

	if (!name)
		return request->drop || request->path ?
			       message_fail(message, -EINVAL, "snapshot: a name is required") : 0;
	if (!*name || strlen(name) > SNAPSHOT_NAME_MAX || !is_printable(name))
		return message_fail(message, -EINVAL,
				    "snapshot: a name has 1 to %d bytes, and no control characters",
				    SNAPSHOT_NAME_MAX);
	return 0;
}

static void put(struct job *job, const struct snapshot *snapshot, struct json_object *item)
{
	const struct pool_contents *contents = snapshot->contents;

	control_put_string(item, "name", snapshot->name);
	job_put_region(job, snapshot->region, item);
	control_put_string(item, "path", contents ? snapshot->path : "/");
	control_put_u64(item, "taken", (uint64_t)snapshot->taken);
	control_put_u64(item, "memory", contents ? pool_contents_bytes(contents) :
						   region_snapshot_bytes(snapshot->bytes));
	control_put_bool(item, "whole", contents ? pool_contents_are_whole(contents) :
						   region_snapshot_is_whole(snapshot->bytes));
}

static int list(struct job *job)
{
	for (size_t i = 0; i < job->daemon->snapshots.count; i++) {
		const struct snapshot *snapshot = &job->daemon->snapshots.items[i];
		struct json_object *item = json_object_new_object();

		if (item)
			put(job, snapshot, item);
		reply_item(job->reply, item);
	}
	return 0;
}

static int drop(struct job *job, const char *name)
{
	struct snapshot *snapshot = snapshots_find(job->daemon, name);

	if (!snapshot)
		return message_fail(&job->message, -ENOENT,
				    "snapshot %s: there is none: 'softpmem snapshot' lists them", name);
	snapshots_remove(job->daemon, snapshot);
	return 0;
}

static int explain(struct job *job, int error, const char *name)
{
	if (error == -ENOSPC)
		return message_fail(&job->message, error,
				    "snapshot %s: a region has at most %u snapshots: drop one with --drop",
				    name, REGION_SNAPSHOTS_MAX);
	return message_fail(&job->message, error, "snapshot %s: %s", name, strerror(-error));
}

static int take_region(struct job *job, struct snapshot *snapshot)
{
	return pools_snapshot(job->region->pools, &snapshot->bytes);
}

/* The path is the one of now; a rename does not part the pool from its snapshot. */
static int take_pool(struct job *job, struct snapshot *snapshot)
{
	struct pool *pool;
	int error = pool_lookup_path(job->region->pools, job->path, &pool);

	if (error)
		return error;
	snapshot->path = strdup(job->shown);
	error = snapshot->path ? pool_contents_keep(pool, &snapshot->contents) : -ENOMEM;
	pool_unref(pool, 1);
	if (error)
		free(snapshot->path);
	return error;
}

static int explain_pool(struct job *job, int error, const char *name)
{
	if (error == -EISDIR || error == -EINVAL)
		return message_fail(&job->message, -EINVAL,
				    "snapshot: %.512s: a snapshot is of a pool, or of a whole region: give a "
				    "pool, or the root, /",
				    job->shown);
	if (error == -ENOENT || error == -ENOTDIR || error == -ESTALE)
		return job_fail(job, error, job->shown);
	return explain(job, error, name);
}

static int take(struct job *job, const struct snapshot_request *request)
{
	struct snapshot snapshot = { .taken = time(NULL) };
	int error;

	if (snapshots_find(job->daemon, request->name))
		return message_fail(&job->message, -EEXIST,
				    "snapshot %s: it exists: drop it first (--drop), or choose another name",
				    request->name);
	error = job_place(job, request->region, request->path ? request->path : "/");
	if (error)
		return error;
	if (!job->region)
		return job_refuse_top(job, request->path ? request->path : "/");
	strcpy(snapshot.name, request->name);
	snapshot.region = job->region;
	error = vector_reserve(&job->daemon->snapshots, 1) == 0 ? 0 : -ENOMEM;
	if (!error)
		error = *job->path ? take_pool(job, &snapshot) : take_region(job, &snapshot);
	if (error)
		return *job->path ? explain_pool(job, error, request->name) :
				    explain(job, error, request->name);
	snapshots_add(job->daemon, &snapshot);
	return 0;
}

static int run(struct job *job)
{
	const struct snapshot_request *request = job->request;
	LOCK_SCOPE(&job->daemon->outage_lock);

	if (!request->name)
		return list(job);
	return request->drop ? drop(job, request->name) : take(job, request);
}

const struct verb verb_snapshot = {
	.name = "snapshot",
	.fields = fields,
	.request_bytes = sizeof(struct snapshot_request),
	.check = check,
	.run = run,
};
