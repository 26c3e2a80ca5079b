/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "daemon/verbs.h"
#include "recorder/recorded.h"
#include "recorder/recorder.h"

struct create_request {
	const char *region, *path;
	const char *metadata; /* NULL: that of the parent */
	uint64_t size, perm;
	enum pool_mode pool_mode;
	bool directory, parents;
	bool change; /* the metadata mode of a directory that exists */
};

static const struct request_field fields[] = {
	REQUEST_FIELD("path", REQUEST_STRING, struct create_request, path, .required = true),
	REQUEST_FIELD("region", REQUEST_STRING, struct create_request, region),
	REQUEST_FIELD("size", REQUEST_U64, struct create_request, size),
	REQUEST_FIELD("perm", REQUEST_U64, struct create_request, perm, .required = true),
	REQUEST_FIELD("mode", REQUEST_WORD, struct create_request, pool_mode, .parse = job_parse_mode),
	REQUEST_FIELD("metadata", REQUEST_STRING, struct create_request, metadata),
	REQUEST_FIELD("directory", REQUEST_BOOL, struct create_request, directory),
	REQUEST_FIELD("change", REQUEST_BOOL, struct create_request, change),
	REQUEST_FIELD("parents", REQUEST_BOOL, struct create_request, parents),
	REQUEST_FIELDS_END,
};

static int check(const void *request, struct message *message)
{
	const struct create_request *create = request;
	enum metadata_mode mode;

	if (create->perm > 07777)
		return message_fail(message, -EINVAL, "create: permissions are octal digits up to 7777");
	if (create->directory && create->size)
		return message_fail(message, -EINVAL, "create: a directory has no size: leave the size out");
	if (create->metadata && metadata_mode_parse(create->metadata, &mode) < 0)
		return message_fail(message, -EINVAL,
				    "create: metadata '%s': give durable, ordered or strict",
				    create->metadata);
	if (create->metadata && !create->directory)
		return message_fail(message, -EINVAL,
				    "create: a pool has the metadata mode of its directory: give it to that");
	if (create->change && !create->metadata)
		return message_fail(message, -EINVAL, "create: change: give the metadata mode");
	return 0;
}

/* Parent directories that were created, to be removed again if the pool cannot be created. */
struct made {
	struct pool *parent;
	const char *name;
	struct made *next;
};

static int create_in(struct job *job, struct pool *directory, const char *name, struct pool_new *new,
		     struct pool **out)
{
	int error;

	new->uid = job->peer->uid;
	new->gid = job->peer->gid;
	error = recorded_create(job->daemon->recorder, directory, name, new, out);
	if (!error)
		job_entry_changed(job, directory, name);
	return error;
}

static int make_parent(struct job *job, struct pool *directory, const char *name, struct pool **out,
		       struct made **made)
{
	struct pool_new new = { .mode = S_IFDIR | 0755 };
	struct made *mine = malloc(sizeof(*mine));
	int error = mine ? create_in(job, directory, name, &new, out) : -ENOMEM;

	if (error) {
		free(mine);
		return error == -EEXIST ? pool_lookup(directory, name, out) : error;
	}
	pool_ref(directory, 1);
	*mine = (struct made){ .parent = directory, .name = name, .next = *made };
	*made = mine;
	return 0;
}

static void made_free(struct job *job, struct made *made, bool undo)
{
	while (made) {
		struct made *next = made->next;

		if (undo && recorded_rmdir(job->daemon->recorder, made->parent, made->name) == 0)
			job_entry_changed(job, made->parent, made->name);
		pool_unref(made->parent, 1);
		free(made);
		made = next;
	}
}

/* As job_parent(), but create missing directories, and put them on the list *made. */
static int make_parents(struct job *job, char *path, struct pool **out, const char **name,
			struct made **made)
{
	struct pool *directory = pool_root(job->region->pools), *next;
	char *at = path + 1, *slash;

	while ((slash = strchr(at, '/'))) {
		int error;

		*slash = '\0';
		error = pool_lookup(directory, at, &next);
		if (error == -ENOENT)
			error = make_parent(job, directory, at, &next, made);
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

static int change(struct job *job, enum metadata_mode mode)
{
	struct pool *directory;
	int error = pool_lookup_path(job->region->pools, job->path, &directory);

	if (error)
		return job_fail(job, error, job->shown);
	error = pool_set_metadata(directory, mode);
	pool_unref(directory, 1);
	return error ? job_fail(job, error, job->shown) : 0;
}

static int run(struct job *job)
{
	const struct create_request *request = job->request;
	struct pool_new new = {
		.mode = (request->directory ? S_IFDIR : S_IFREG) | (mode_t)request->perm,
		.pool_mode = request->pool_mode,
		.size = request->size,
		.has_metadata = request->metadata != NULL,
	};
	struct made *made = NULL;
	struct pool *parent, *pool;
	const char *name;
	CLEANUP_FREE char *path = NULL;
	int error = job_place(job, request->region, request->path);

	if (error)
		return error;
	/* check() has parsed it before. */
	if (new.has_metadata)
		metadata_mode_parse(request->metadata, &new.metadata);
	if (!job->region)
		return job_refuse_top(job, request->path);
	if (!*job->path && !request->change)
		return job_fail(job, -EEXIST, job->shown);
	if (new.has_metadata && recorder_is_on(job->daemon->recorder))
		return message_fail(&job->message, -EBUSY,
				    "%.512s: a trace has the metadata modes that directories have when it "
				    "begins, and a recording is on: create it before, or when that has ended",
				    job->shown);
	if (request->change)
		return change(job, new.metadata);
	path = strdup(job->path);
	if (!path)
		return job_fail(job, -ENOMEM, job->shown);
	error = request->parents ? make_parents(job, path, &parent, &name, &made) :
				   job_parent(job, path, &parent, &name);
	if (error) {
		made_free(job, made, true);
		if (error == -ENOENT)
			return message_fail(&job->message, error,
					    "%.512s: its directory does not exist: --parents creates it",
					    job->shown);
		return job_fail(job, error, job->shown);
	}
	error = create_in(job, parent, name, &new, &pool);
	pool_unref(parent, 1);
	made_free(job, made, error != 0);
	if (error)
		return job_fail(job, error, job->shown);
	pool_unref(pool, 1);
	return 0;
}

const struct verb verb_create = {
	.name = "create",
	.fields = fields,
	.request_bytes = sizeof(struct create_request),
	.check = check,
	.commits = true,
	.run = run,
};
