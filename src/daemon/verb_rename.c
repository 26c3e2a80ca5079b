/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "daemon/verbs.h"
#include "recorder/recorded.h"

struct rename_request {
	const char *region, *path, *to;
	bool replace;
};

static const struct request_field fields[] = {
	REQUEST_FIELD("path", REQUEST_STRING, struct rename_request, path, .required = true),
	REQUEST_FIELD("to", REQUEST_STRING, struct rename_request, to, .required = true),
	REQUEST_FIELD("region", REQUEST_STRING, struct rename_request, region),
	REQUEST_FIELD("replace", REQUEST_BOOL, struct rename_request, replace),
	REQUEST_FIELDS_END,
};

/* A name in a directory; zeroed: none. */
struct place {
	struct served_region *region;
	char *path; /* `name` is a part of it */
	struct pool *parent;
	const char *name;
};

static void place_release(struct place *place)
{
	if (place->parent)
		pool_unref(place->parent, 1);
	free(place->path);
}

static int place_find(struct job *job, const char *region, const char *path, struct place *place)
{
	int error = job_place(job, region, path);

	if (error)
		return error;
	if (!job->region)
		return job_refuse_top(job, path);
	if (!*job->path)
		return message_fail(&job->message, -EBUSY, "%s: the root cannot be renamed", job->shown);
	place->region = job->region;
	place->path = strdup(job->path);
	if (!place->path)
		return job_fail(job, -ENOMEM, job->shown);
	error = job_parent(job, place->path, &place->parent, &place->name);
	return error ? job_fail(job, error, job->shown) : 0;
}

static int move(struct job *job, const struct rename_request *request, const struct place *from,
		const struct place *to)
{
	int error;

	if (from->region != to->region)
		return message_fail(&job->message, -EXDEV,
				    "%.512s: it is in another region: copy the pool there, and destroy this "
				    "one",
				    job->shown);
	error = recorded_rename(job->daemon->recorder, from->parent, from->name, to->parent, to->name,
				request->replace ? 0 : RENAME_NOREPLACE);
	if (error == -EEXIST)
		return message_fail(&job->message, error, "%.512s: %s: --replace replaces it", job->shown,
				    strerror(EEXIST));
	if (error == -EINVAL)
		return message_fail(&job->message, error,
				    "%.512s: %s: a directory cannot be moved into itself", job->shown,
				    strerror(EINVAL));
	if (error)
		return job_fail(job, error, error == -ENOENT ? request->path : job->shown);
	job_entry_changed(job, from->parent, from->name);
	job_entry_changed(job, to->parent, to->name);
	attach_paths_prune(job->daemon->attach);
	return 0;
}

static int run(struct job *job)
{
	const struct rename_request *request = job->request;
	struct place from = { 0 }, to = { 0 };
	int error = place_find(job, request->region, request->path, &from);

	if (!error)
		error = place_find(job, request->region, request->to, &to);
	if (!error)
		error = move(job, request, &from, &to);
	place_release(&from);
	place_release(&to);
	return error;
}

const struct verb verb_rename = {
	.name = "rename",
	.fields = fields,
	.request_bytes = sizeof(struct rename_request),
	.commits = true,
	.run = run,
};
