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
};

static const struct request_field fields[] = {
	REQUEST_FIELD("name", REQUEST_STRING, struct restore_request, name, .required = true),
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

static int run(struct job *job)
{
	const struct restore_request *request = job->request;
	const struct snapshot *snapshot;
	int error;
	LOCK_SCOPE(&job->daemon->outage_lock);

	snapshot = snapshots_find(job->daemon, request->name);
	if (!snapshot)
		return message_fail(&job->message, -ENOENT,
				    "restore: there is no snapshot %.64s: 'softpmem snapshot' lists them",
				    request->name);
	error = refuse_if_used(job);
	if (error)
		return error;
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
