/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/verbs.h"
#include "recorder/recorded.h"

struct resize_request {
	const char *region, *path;
	struct request_number size;
};

static const struct request_field fields[] = {
	REQUEST_FIELD("path", REQUEST_STRING, struct resize_request, path, .required = true),
	REQUEST_FIELD("size", REQUEST_NUMBER, struct resize_request, size, .required = true),
	REQUEST_FIELD("region", REQUEST_STRING, struct resize_request, region),
	REQUEST_FIELDS_END,
};

/* What is added is reserved, as by `softpmem create`. */
static int resize(struct recorder *recorder, struct pool *pool, uint64_t size)
{
	struct pool_attributes attributes;
	struct pool_handle *handle;
	int error = pool_get_attributes(pool, &attributes);

	if (error)
		return error;
	if (!S_ISREG(attributes.mode))
		return S_ISDIR(attributes.mode) ? -EISDIR : -EINVAL;
	if (size <= attributes.size)
		return recorded_truncate(recorder, pool, NULL, size);
	error = pool_open(pool, &handle);
	if (error)
		return error;
	error = recorded_fallocate(recorder, handle, 0, attributes.size, size - attributes.size);
	pool_close(handle);
	return error;
}

static int run(struct job *job)
{
	const struct resize_request *request = job->request;
	struct pool *pool;
	int error = job_place(job, request->region, request->path);

	if (error)
		return error;
	if (!job->region)
		return job_refuse_top(job, request->path);
	error = pool_lookup_path(job->region->pools, job->path, &pool);
	if (error)
		return job_fail(job, error, job->shown);
	error = resize(job->daemon->recorder, pool, request->size.value);
	if (!error && job->daemon->fusefs)
		fusefs_pool_changed(job->daemon->fusefs, pool);
	pool_unref(pool, 1);
	return error ? job_fail(job, error, job->shown) : 0;
}

const struct verb verb_resize = {
	.name = "resize",
	.fields = fields,
	.request_bytes = sizeof(struct resize_request),
	.commits = true,
	.run = run,
};
