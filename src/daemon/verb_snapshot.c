/* SPDX-License-Identifier: BSD-3-Clause */

/* Takes, lists and drops snapshots. */

#include <ctype.h>
#include <errno.h>
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

static int list(struct job *job)
{
	for (size_t i = 0; i < job->daemon->snapshots.count; i++) {
		const struct snapshot *snapshot = &job->daemon->snapshots.items[i];
		struct json_object *item = json_object_new_object();

		if (item) {
			control_put_string(item, "name", snapshot->name);
			job_put_region(job, snapshot->region, item);
			control_put_u64(item, "taken", (uint64_t)snapshot->taken);
			control_put_u64(item, "memory", region_snapshot_bytes(snapshot->bytes));
			control_put_bool(item, "whole", region_snapshot_is_whole(snapshot->bytes));
		}
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
	if (*job->path)
		return message_fail(&job->message, -EINVAL,
				    "snapshot: %s: a snapshot is of a whole region: give its root, /",
				    job->shown);
	strcpy(snapshot.name, request->name);
	snapshot.region = job->region;
	error = pools_snapshot(job->region->pools, &snapshot.bytes);
	if (error)
		return explain(job, error, request->name);
	error = snapshots_add(job->daemon, &snapshot);
	if (error)
		pools_drop_snapshot(job->region->pools, snapshot.bytes);
	return error ? explain(job, error, request->name) : 0;
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
