/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "daemon/outage.h"
#include "daemon/snapshots.h"
#include "daemon/verbs.h"
#include "recorder/recorder.h"

struct restore_request {
	const char *name;
	const char *region, *path; /* what it is of, to be sure */
};

static const struct request_field fields[] = {
	REQUEST_FIELD("name", REQUEST_STRING, struct restore_request, name, .required = true),
	REQUEST_FIELD("path", REQUEST_STRING, struct restore_request, path),
	REQUEST_FIELD("region", REQUEST_STRING, struct restore_request, region),
	REQUEST_FIELDS_END,
};

/* The process that maps a pool is not killed for a restore: its user may not know of it. */
static int refuse_if_used(struct job *job)
{
	CLEANUP_FREE struct attach_client_info *clients = NULL;
	size_t count;
	int error = attach_clients(job->daemon->attach, &clients, &count);

	if (error)
		return job_fail(job, error, "restore");
	for (size_t i = 0; i < count; i++)
		if (clients[i].maps || clients[i].queues)
			return message_fail(&job->message, -EBUSY,
					    "restore: process %d (%s) has pools mapped: end it first",
					    (int)clients[i].pid, clients[i].comm);
	if (recorder_is_on(job->daemon->recorder))
		return message_fail(&job->message, -EBUSY,
				    "restore: a recording is going on: end it with softpmem record --stop");
	return 0;
}

static int explain(struct job *job, const char *name, int error)
{
	if (error == -ENOMEM)
		return message_fail(&job->message, error,
				    "restore %s: the snapshot is not whole: there was no memory to keep what "
				    "changed: nothing was restored",
				    name);
	return message_fail(&job->message, error, "restore %s: %s: see the daemon's log", name,
			    strerror(-error));
}

static int explain_pool(struct job *job, const struct snapshot *snapshot, int error)
{
	switch (error) {
	case -ENOENT:
	case -ESTALE:
		return message_fail(&job->message, -ENOENT,
				    "restore %s: the pool that it is of, %.512s, is not there any more: a "
				    "snapshot of the region brings it back, or drop this one",
				    snapshot->name, snapshot->path);
	case -EBUSY:
		return message_fail(&job->message, error,
				    "restore %s: %.512s: the pool is open: close it first", snapshot->name,
				    snapshot->path);
	case -ENOSPC:
		return message_fail(&job->message, error,
				    "restore %s: %.512s: the region has no space for the blocks that have "
				    "changed: nothing was restored: remove something first",
				    snapshot->name, snapshot->path);
	default:
		return explain(job, snapshot->name, error);
	}
}

static int restore_pool(struct job *job, const struct snapshot *snapshot, uint64_t attachments)
{
	struct pool *pool;
	int error = pool_contents_find(snapshot->region->pools, snapshot->contents, &pool);

	if (error)
		return explain_pool(job, snapshot, error);
	error = pool_contents_restore(pool, snapshot->contents, attachments);
	if (!error && job->daemon->fusefs)
		fusefs_pool_changed(job->daemon->fusefs, pool);
	pool_unref(pool, 1);
	return error ? explain_pool(job, snapshot, error) : 0;
}

/* Is the snapshot of what the request says? */
static int check_place(struct job *job, const struct snapshot *snapshot)
{
	const struct restore_request *request = job->request;
	struct pool *given = NULL, *own = NULL;
	bool same;
	int error;

	if (!request->path)
		return 0;
	error = job_place(job, request->region, request->path);
	if (error)
		return error;
	same = job->region == snapshot->region && !*job->path == !snapshot->contents;
	if (same && snapshot->contents) {
		error = pool_lookup_path(job->region->pools, job->path, &given);
		if (error)
			return job_fail(job, error, job->shown);
		if (pool_contents_find(job->region->pools, snapshot->contents, &own) == 0)
			pool_unref(own, 1);
		pool_unref(given, 1);
		same = given == own;
	}
	if (same)
		return 0;
	return message_fail(&job->message, -EINVAL, "restore %s: it is a snapshot of %.512s, not of %.512s",
			    snapshot->name, snapshot->contents ? snapshot->path : "a region", job->shown);
}

static int run(struct job *job)
{
	const struct restore_request *request = job->request;
	const struct snapshot *snapshot;
	uint64_t attachments;
	int error;
	LOCK_SCOPE(&job->daemon->outage_lock);

	snapshot = snapshots_find(job->daemon, request->name);
	if (!snapshot)
		return message_fail(&job->message, -ENOENT,
				    "restore: there is no snapshot %.64s: 'softpmem snapshot' lists them",
				    request->name);
	error = check_place(job, snapshot);
	if (error)
		return error;
	attachments = pools_attachments(snapshot->region->pools);
	error = refuse_if_used(job);
	if (error)
		return error;
	if (snapshot->contents)
		return restore_pool(job, snapshot, attachments);
	error = outage_restore(job->daemon, snapshot->region, snapshot->bytes);
	if (error)
		return explain(job, snapshot->name, error);
	daemon_log_for(job->daemon, job->peer->uid, LOG_NOTICE, "region %s: restored snapshot %s",
		       snapshot->region->name, snapshot->name);
	return 0;
}

const struct verb verb_restore = {
	.name = "restore",
	.fields = fields,
	.request_bytes = sizeof(struct restore_request),
	.run = run,
};
