/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "daemon/verbs.h"
#include "wire/frame.h"

struct path_request {
	const char *region, *path;
};

static const struct request_field fields[] = {
	REQUEST_FIELD("path", REQUEST_STRING, struct path_request, path, .required = true),
	REQUEST_FIELD("region", REQUEST_STRING, struct path_request, region),
	REQUEST_FIELDS_END,
};

static int path_on_mount(struct job *job, const char *path, char **full)
{
	if (asprintf(full, "%s%s", job->daemon->mountpoint, path) >= 0)
		return 0;
	*full = NULL;
	return job_fail(job, -ENOMEM, path);
}

static int path_of_view(struct job *job, struct pool *pool, char **full)
{
	const char *path = job->shown;
	struct pool_attributes attributes;
	int error = pool_get_attributes(pool, &attributes);

	if (!error && !S_ISREG(attributes.mode))
		return message_fail(&job->message, -EINVAL,
				    "%.512s: it is not a pool: without a mount only pools can be opened",
				    path);
	if (!error && attributes.size == 0)
		return message_fail(&job->message, -EINVAL,
				    "%.512s: it is empty, and without a mount its size cannot change: "
				    "destroy it and create it with --size",
				    path);
	if (!error)
		error = attach_path(job->daemon->attach, pool, full);
	return error ? job_fail(job, error, path) : 0;
}

static int run(struct job *job)
{
	const struct path_request *request = job->request;
	CLEANUP_FREE char *full = NULL;
	struct pool *pool;
	int error = job_place(job, request->region, request->path);

	if (error)
		return error;
	if (job->region) {
		const char *path = job->daemon->region_count > 1 ? job->shown : job->path;

		error = pool_lookup_path(job->region->pools, job->path, &pool);
		if (error)
			return job_fail(job, error, job->shown);
		error = job->daemon->mountpoint ? path_on_mount(job, path, &full)
						: path_of_view(job, pool, &full);
		pool_unref(pool, 1);
	} else if (job->daemon->mountpoint) {
		error = path_on_mount(job, "", &full);
	} else {
		error = message_fail(&job->message, -EINVAL,
				     "/: it is not a pool: without a mount only pools can be opened");
	}
	if (error)
		return error;
	job->result = json_object_new_object();
	if (!job->result)
		return job_fail(job, -ENOMEM, request->path);
	control_put_string(job->result, "path", full);
	return 0;
}

const struct verb verb_path = {
	.name = "path",
	.fields = fields,
	.request_bytes = sizeof(struct path_request),
	.run = run,
};
