/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "daemon/verbs.h"
#include "recorder/recorded.h"
#include "daemon/walk.h"

struct destroy_request {
	const char *region, *path;
	bool recursive;
};

static const struct request_field fields[] = {
	REQUEST_FIELD("path", REQUEST_STRING, struct destroy_request, path, .required = true),
	REQUEST_FIELD("region", REQUEST_STRING, struct destroy_request, region),
	REQUEST_FIELD("recursive", REQUEST_BOOL, struct destroy_request, recursive),
	REQUEST_FIELDS_END,
};

static int remove_name(struct job *job, struct pool *directory, const char *name, struct pool *pool,
		       bool is_directory)
{
	int error = is_directory ? recorded_rmdir(job->daemon->recorder, directory, name) :
				   recorded_unlink(job->daemon->recorder, directory, name);

	if (error)
		return error;
	job_entry_changed(job, directory, name);
	/* The pool may have other names, whose link count the kernel caches. */
	if (!is_directory && job->daemon->fusefs)
		fusefs_pool_changed(job->daemon->fusefs, pool);
	return 0;
}

/*
 * Remove the names of a batch, except for directories: these are pushed on the stack, and removed from
 * their parents when they are empty.
 */
static int remove_batch(struct job *job, struct visit **stack, struct batch *batch, uint64_t *removed)
{
	struct visit *visit = *stack;
	int error = 0;

	for (int i = 0; i < batch->count && !error; i++) {
		const char *name = batch->entries[i].name;
		struct pool *pool = batch->entries[i].pool;
		struct pool_attributes attributes;

		error = pool_get_attributes(pool, &attributes);
		if (!error && S_ISDIR(attributes.mode))
			error = visit_push(stack, pool, name);
		else if (!error)
			error = remove_name(job, visit->directory, name, pool, false);
		/* It was removed in the meantime. */
		if (error == -ENOENT || error == -ESTALE)
			error = 0;
		++*removed;
	}
	batch_drop(batch);
	return error;
}

/* Remove an empty directory from its parent. It may have been moved since it was found. */
static int remove_empty(struct job *job, struct visit *visit)
{
	struct pool *parent = pool_parent(visit->directory);
	int error = remove_name(job, parent, visit->path, visit->directory, true);

	pool_unref(parent, 1);
	return error;
}

/* Names that are created in the tree in the meantime are removed too. */
static int remove_tree(struct job *job, struct pool *root, const char *name)
{
	struct visit *stack = NULL;
	uint64_t removed = 0;
	int error = visit_push(&stack, root, name);

	while (stack && !error) {
		struct batch batch;
		int count = batch_read(stack->directory, 0, &batch);

		if (count > 0) {
			error = remove_batch(job, &stack, &batch, &removed);
		} else {
			error = count == 0 ? remove_empty(job, stack) : count;
			/* -ENOTEMPTY: something was created in it in the meantime. Read it again. */
			if (error != -ENOTEMPTY)
				visit_free(visit_take(&stack));
			if (error == -ENOTEMPTY || error == -ENOENT || error == -ESTALE)
				error = 0;
		}
		reply_progress(job->reply, "destroying", removed, 0);
	}
	while (stack)
		visit_free(visit_take(&stack));
	return error;
}

static int run(struct job *job)
{
	const struct destroy_request *request = job->request;
	CLEANUP_FREE char *path = NULL;
	struct pool *parent, *pool;
	struct pool_attributes attributes;
	const char *name;
	int error = job_place(job, request->region, request->path);

	if (error)
		return error;
	if (!job->region)
		return job_refuse_top(job, request->path);
	if (!*job->path)
		return message_fail(&job->message, -EBUSY,
				    "%s: the root cannot be destroyed: 'softpmem format --force' empties a "
				    "region",
				    job->shown);
	path = strdup(job->path);
	if (!path)
		return job_fail(job, -ENOMEM, job->shown);
	error = job_parent(job, path, &parent, &name);
	if (error)
		return job_fail(job, error, job->shown);
	error = pool_lookup(parent, name, &pool);
	if (!error) {
		error = pool_get_attributes(pool, &attributes);
		if (!error && S_ISDIR(attributes.mode) && request->recursive)
			error = remove_tree(job, pool, name);
		else if (!error)
			error = remove_name(job, parent, name, pool, S_ISDIR(attributes.mode));
		pool_unref(pool, 1);
	}
	pool_unref(parent, 1);
	/* A pool is gone when the removal of its name is committed. */
	pools_commit(job->region->pools);
	attach_paths_prune(job->daemon->attach);
	return error ? job_fail(job, error, job->shown) : 0;
}

const struct verb verb_destroy = {
	.name = "destroy",
	.fields = fields,
	.request_bytes = sizeof(struct destroy_request),
	.run = run,
};
