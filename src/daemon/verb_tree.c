/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "wire/frame.h"
#include "daemon/verbs.h"
#include "daemon/walk.h"

/* ---- create --------------------------------------------------------------------- */

/* Directories made on the way, to be taken away again if the way leads nowhere. */
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
	error = pool_create(directory, name, new, out);
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

static void forget_made(struct job *job, struct made *made, bool undo)
{
	while (made) {
		struct made *next = made->next;

		if (undo && pool_rmdir(made->parent, made->name) == 0)
			job_entry_changed(job, made->parent, made->name);
		pool_unref(made->parent, 1);
		free(made);
		made = next;
	}
}

/* The directory that is to hold the last name of `path`, which is cut at its slashes; *name is that name. */
static int find_parent(struct job *job, char *path, bool make, struct pool **out, const char **name,
		       struct made **made)
{
	struct pool *directory = pool_root(job->region->pools), *next;
	char *at = path + 1, *slash;

	while ((slash = strchr(at, '/'))) {
		int error;

		*slash = '\0';
		error = pool_lookup(directory, at, &next);
		if (error == -ENOENT && make)
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

static int refuse_top(struct job *job)
{
	return message_fail(&job->message, -EPERM,
			    "%.512s: here are the regions' directories, and nothing else: write "
			    "/REGION/PATH, or give --region",
			    job->request->path);
}

int verb_create(struct job *job)
{
	const struct request *request = job->request;
	struct pool_new new = {
		.mode = (request->directory ? S_IFDIR : S_IFREG) | (mode_t)request->perm,
		.pool_mode = request->mode,
		.size = request->size,
	};
	struct made *made = NULL;
	struct pool *parent, *pool;
	const char *name;
	CLEANUP_FREE char *path = NULL;
	int error = job_place(job);

	if (error)
		return error;
	if (!job->region)
		return refuse_top(job);
	if (!*job->path)
		return job_fail(job, -EEXIST, job->shown);
	path = strdup(job->path);
	if (!path)
		return job_fail(job, -ENOMEM, job->shown);
	error = find_parent(job, path, request->parents, &parent, &name, &made);
	if (error) {
		forget_made(job, made, true);
		if (error == -ENOENT)
			return message_fail(&job->message, error,
					    "%.512s: the directory it is to be in does not exist: "
					    "--parents makes it",
					    job->shown);
		return job_fail(job, error, job->shown);
	}
	error = create_in(job, parent, name, &new, &pool);
	pool_unref(parent, 1);
	forget_made(job, made, error != 0);
	if (error)
		return job_fail(job, error, job->shown);
	pool_unref(pool, 1);
	return 0;
}

/* ---- destroy --------------------------------------------------------------------- */

static int remove_name(struct job *job, struct pool *directory, const char *name, struct pool *pool,
		       bool is_directory)
{
	int error = is_directory ? pool_rmdir(directory, name) : pool_unlink(directory, name);

	if (error)
		return error;
	job_entry_changed(job, directory, name);
	/* It may have other names, whose link count the kernel knows. */
	if (!is_directory && job->daemon->fusefs)
		fusefs_pool_changed(job->daemon->fusefs, pool);
	return 0;
}

/*
 * Remove what is no directory from a batch of names; the directories are pushed
 * on the stack, to come back to the parent when they are empty.
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
		/* Gone already: somebody else was faster. */
		if (error == -ENOENT || error == -ESTALE)
			error = 0;
		++*removed;
	}
	batch_drop(batch);
	return error;
}

/* A directory found empty: remove it from its parent, which is found anew, for it may have been moved. */
static int remove_empty(struct job *job, struct visit *visit)
{
	struct pool *parent = pool_parent(visit->directory);
	int error = remove_name(job, parent, visit->path, visit->directory, true);

	pool_unref(parent, 1);
	return error;
}

/* What comes into a directory while it is being emptied is removed too. */
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
			/* ENOTEMPTY: something came in meanwhile. Look again. */
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

int verb_destroy(struct job *job)
{
	const struct request *request = job->request;
	CLEANUP_FREE char *path = NULL;
	struct pool *parent, *pool;
	struct pool_attributes attributes;
	const char *name;
	int error = job_place(job);

	if (error)
		return error;
	if (!job->region)
		return refuse_top(job);
	if (!*job->path)
		return message_fail(&job->message, -EBUSY,
				    "%s: the root cannot be destroyed: softpmem format makes a "
				    "region anew",
				    job->shown);
	path = strdup(job->path);
	if (!path)
		return job_fail(job, -ENOMEM, job->shown);
	error = find_parent(job, path, false, &parent, &name, NULL);
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
	attach_paths_prune(job->daemon->attach);
	return error ? job_fail(job, error, job->shown) : 0;
}
