/* SPDX-License-Identifier: BSD-3-Clause */

/* Which region a request is about, and where in it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "wire/frame.h"
#include "daemon/served.h"
#include "daemon/verbs.h"

/* "a//b/" as "/a/b", the root as ""; -EINVAL for "." and "..": pools are named from the root only. */
static int normalize(const char *path, char **out)
{
	char *result = malloc(strlen(path) + 2), *to = result;

	if (!result)
		return -ENOMEM;
	while (*path) {
		size_t length = strcspn(path, "/");

		if ((length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.')) {
			free(result);
			return -EINVAL;
		}
		if (length) {
			*to++ = '/';
			memcpy(to, path, length);
			to += length;
		}
		path += length + (path[length] == '/');
	}
	*to = '\0';
	*out = result;
	return 0;
}

int job_region(struct job *job)
{
	struct daemon *daemon = job->daemon;
	const char *name = job->request->region;

	job->region = daemon->region_count == 1 && !name ? &daemon->regions[0] : NULL;
	if (!name)
		return 0;
	job->region = served_find(daemon, name);
	if (job->region)
		return 0;
	return message_fail(&job->message, -ENOENT,
			    "region %.64s: the daemon serves none of that name: 'softpmem list -R' shows "
			    "those it does",
			    name);
}

/* "/NAME/path": the region of that name, and "/path". */
static int split(struct job *job)
{
	char *name = job->path + 1;
	size_t length = strcspn(name, "/");
	CLEANUP_FREE char *first = strndup(name, length);

	if (!first)
		return job_fail(job, -ENOMEM, job->request->path);
	job->region = served_find(job->daemon, first);
	if (!job->region)
		return message_fail(&job->message, -ENOENT,
				    "/%.512s: the daemon serves several regions, and none of that name: "
				    "write /REGION/PATH, or give --region: 'softpmem list -R' shows them",
				    first);
	job->prefixed = true;
	memmove(job->path, name + length, strlen(name + length) + 1);
	return 0;
}

int job_place(struct job *job)
{
	const char *asked = job->request->path ? job->request->path : "/";
	int error = job_region(job);

	if (error)
		return error;
	error = normalize(asked, &job->path);
	if (error == -EINVAL)
		return message_fail(&job->message, error,
				    "%.512s: a pool's path goes from the root, without . and ..", asked);
	if (error)
		return job_fail(job, error, asked);
	if (!job->region && *job->path)
		error = split(job);
	if (error || !job->region)
		return error;
	job->shown = job_show(job->daemon, job->region, job->path);
	if (!job->shown)
		return job_fail(job, -ENOMEM, asked);
	return region_failure(job->region->region, &job->message);
}

char *job_show(const struct daemon *daemon, const struct served_region *region, const char *path)
{
	char *shown;

	if (daemon->region_count == 1)
		return strdup(*path ? path : "/");
	return asprintf(&shown, "/%s%s", region->name, path) < 0 ? NULL : shown;
}

void job_put_region(const struct job *job, const struct served_region *region, struct json_object *object)
{
	if (job->daemon->region_count > 1)
		control_put_string(object, "region", region->name);
}

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
				    "%.512s: it is no pool: without a mount only pools have a path", path);
	if (!error && attributes.size == 0)
		return message_fail(&job->message, -EINVAL,
				    "%.512s: it is empty, and without a mount nothing can make it larger: "
				    "destroy it and create it with --size",
				    path);
	if (!error)
		error = attach_path(job->daemon->attach, pool, full);
	return error ? job_fail(job, error, path) : 0;
}

int verb_path(struct job *job)
{
	CLEANUP_FREE char *full = NULL;
	struct pool *pool;
	int error = job_place(job);

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
				     "/: it is no pool: without a mount only pools have a path");
	}
	if (error)
		return error;
	job->result = json_object_new_object();
	if (!job->result)
		return job_fail(job, -ENOMEM, job->request->path);
	control_put_string(job->result, "path", full);
	return 0;
}
