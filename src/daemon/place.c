/* SPDX-License-Identifier: BSD-3-Clause */

/* Finds the region that a request concerns, and the path in it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "wire/frame.h"
#include "daemon/served.h"
#include "daemon/verbs.h"

/*
 * Normalize a path: "a//b/" becomes "/a/b", the root "". -EINVAL for "." and "..": paths begin at the
 * root.
 */
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

int job_region(struct job *job, const char *name)
{
	struct daemon *daemon = job->daemon;

	job->region = daemon->region_count == 1 && !name ? &daemon->regions[0] : NULL;
	if (!name)
		return 0;
	job->region = served_find(daemon, name);
	if (job->region)
		return 0;
	return message_fail(&job->message, -ENOENT,
			    "region %.64s: the daemon does not serve a region of that name: 'softpmem list "
			    "-R' shows those that it serves",
			    name);
}

int job_any_region(struct job *job)
{
	int error = 0;

	for (unsigned i = 0; i < job->daemon->region_count; i++) {
		error = region_failure(job->daemon->regions[i].region, &job->message);
		if (!error)
			break;
	}
	return error;
}

/* Split "/NAME/path" into the region of that name and "/path". */
static int split(struct job *job)
{
	char *name = job->path + 1;
	size_t length = strcspn(name, "/");
	CLEANUP_FREE char *first = strndup(name, length);

	if (!first)
		return job_fail(job, -ENOMEM, job->path);
	job->region = served_find(job->daemon, first);
	if (!job->region)
		return message_fail(&job->message, -ENOENT,
				    "/%.512s: the daemon serves several regions, but none of that name: "
				    "write /REGION/PATH, or give --region: 'softpmem list -R' shows them",
				    first);
	job->prefixed = true;
	memmove(job->path, name + length, strlen(name + length) + 1);
	return 0;
}

int job_place(struct job *job, const char *name, const char *path)
{
	const char *asked = path ? path : "/";
	int error = job_region(job, name);

	if (error)
		return error;
	free(steal_pointer(&job->path));
	free(steal_pointer(&job->shown));
	error = normalize(asked, &job->path);
	if (error == -EINVAL)
		return message_fail(&job->message, error,
				    "%.512s: a path begins at the root and contains no . or ..", asked);
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
	control_put_string(object, "region", region->name);
}

int job_refuse_top(struct job *job, const char *path)
{
	return message_fail(&job->message, -EPERM,
			    "%.512s: only the directories of the regions are here: write /REGION/PATH, or "
			    "give --region",
			    path);
}

int job_parent(struct job *job, char *path, struct pool **out, const char **name)
{
	struct pool *directory = pool_root(job->region->pools), *next;
	char *at = path + 1, *slash;

	while ((slash = strchr(at, '/'))) {
		int error;

		*slash = '\0';
		error = pool_lookup(directory, at, &next);
		pool_unref(directory, 1);
		if (error)
			return error;
		directory = next;
		at = slash + 1;
	}
	*out = directory;
	*name = at;
	return 0;
}
