/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "daemon/verbs.h"
#include "daemon/walk.h"
#include "wire/frame.h"

struct list_request {
	const char *region, *path;
};

static const struct request_field fields[] = {
	REQUEST_FIELD("path", REQUEST_STRING, struct list_request, path),
	REQUEST_FIELD("region", REQUEST_STRING, struct list_request, region),
	REQUEST_FIELDS_END,
};

/* Longer paths are not listed: even with every byte escaped, a path must fit into a frame. */
#define PATH_MAX_LISTED (CONTROL_REPLY_MAX / 8)

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "pool";
	}
}

static int send_pool(struct job *job, const char *path, const struct pool_attributes *attributes)
{
	struct json_object *item = json_object_new_object();
	char perm[8];

	if (!item)
		return -ENOMEM;
	snprintf(perm, sizeof(perm), "%04o", attributes->mode & 07777u);
	control_put_string(item, "path", path);
	job_put_region(job, job->region, item);
	control_put_string(item, "type", type_name(attributes->mode));
	control_put_u64(item, "size", attributes->size);
	control_put_u64(item, "allocated", attributes->allocated);
	job_put_mode(item, attributes->pool_mode);
	control_put_string(item, "metadata", metadata_mode_name(attributes->metadata));
	if (S_ISDIR(attributes->mode))
		control_put_bool(item, "own_metadata", attributes->own_metadata);
	control_put_u64(item, "links", attributes->links);
	control_put_u64(item, "uid", attributes->uid);
	control_put_u64(item, "gid", attributes->gid);
	control_put_string(item, "perm", perm);
	job_put_uuid(item, attributes->uuid);
	return reply_item(job->reply, item);
}

/* One name of the directory on top of the stack. */
static int list_entry(struct job *job, struct visit **stack, const char *parent, const char *name,
		      struct pool *pool)
{
	CLEANUP_FREE char *path = NULL;
	struct pool_attributes attributes;
	int error = pool_get_attributes(pool, &attributes);

	if (error) /* it was destroyed in the meantime */
		return error == -ESTALE || error == -ENOENT ? 0 : error;
	if (strlen(parent) + strlen(name) >= PATH_MAX_LISTED)
		return -ENAMETOOLONG;
	if (asprintf(&path, "%s/%s", parent, name) < 0)
		return -ENOMEM;
	error = send_pool(job, path, &attributes);
	if (error || !S_ISDIR(attributes.mode))
		return error;
	return visit_push(stack, pool, path);
}

/* Paths that are too long to list are left out, and the result is -ENAMETOOLONG. */
static int list_directory(struct job *job, struct visit **stack, uint64_t *listed)
{
	struct visit *visit = visit_take(stack);
	struct batch batch;
	uint64_t cookie = 0;
	int error = 0, left_out = 0;

	while (!error && batch_read(visit->directory, cookie, &batch) > 0) {
		for (int i = 0; i < batch.count && !error; i++) {
			error = list_entry(job, stack, visit->path, batch.entries[i].name,
					   batch.entries[i].pool);
			if (error == -ENAMETOOLONG) {
				left_out = error;
				error = 0;
			}
		}
		*listed += (uint64_t)batch.count;
		cookie = batch.cookie;
		batch_drop(&batch);
	}
	visit_free(visit);
	return error ? error : left_out;
}

static int list_tree(struct job *job, struct pool *root, const char *path)
{
	struct visit *stack = NULL;
	struct pools_info info;
	uint64_t listed = 0;
	int worst = visit_push(&stack, root, path);

	if (worst)
		return worst;
	pools_info(job->region->pools, &info);
	while (stack && (worst == 0 || worst == -ENAMETOOLONG)) {
		int error = list_directory(job, &stack, &listed);

		worst = error ? error : worst;
		reply_progress(job->reply, "listing", listed, info.pools + info.directories);
	}
	while (stack)
		visit_free(visit_take(&stack));
	return worst;
}

/* The paths begin with the region's name if the requested path does. */
static int list_place(struct job *job, struct pool *pool)
{
	const char *path = job->prefixed ? job->shown : job->path;
	struct pool_attributes attributes;
	int error = pool_get_attributes(pool, &attributes);

	if (!error)
		error = S_ISDIR(attributes.mode) ? list_tree(job, pool, path) :
						   send_pool(job, path, &attributes);
	pool_unref(pool, 1);
	return error;
}

static int fail_list(struct job *job, int error)
{
	if (error == -ENAMETOOLONG)
		return message_fail(&job->message, error,
				    "list: paths of more than %u bytes were left out",
				    PATH_MAX_LISTED);
	return error ? job_fail(job, error, "list") : 0;
}

/* One of several regions: its directory and the tree in it. */
static int list_region(struct job *job, struct served_region *region)
{
	CLEANUP_FREE char *shown = job_show(job->daemon, region, "");
	struct pool *root = pool_root(region->pools);
	struct pool_attributes attributes;
	int error = shown ? pool_get_attributes(root, &attributes) : -ENOMEM;

	job->region = region;
	if (!error)
		error = send_pool(job, shown, &attributes);
	if (!error)
		error = list_tree(job, root, shown);
	pool_unref(root, 1);
	job->region = NULL;
	return error;
}

/* Regions that have failed are left out, and the result is a failure. */
static int list_regions(struct job *job)
{
	struct message failed = { "" };
	int worst = 0, lost = 0;

	for (unsigned i = 0; i < job->daemon->region_count && (worst == 0 || worst == -ENAMETOOLONG); i++) {
		struct served_region *region = &job->daemon->regions[i];
		int error = region_failed(region->region) ? 0 : list_region(job, region);

		if (region_failure(region->region, &failed))
			lost = -EIO;
		else
			worst = error ? error : worst;
	}
	if (lost && !worst)
		return message_fail(&job->message, lost, "%s", failed.text);
	return fail_list(job, worst);
}

static int run(struct job *job)
{
	const struct list_request *request = job->request;
	struct pools_info info;
	struct pool *pool;
	int error = job_place(job, request->region, request->path);

	if (error)
		return error;
	if (!job->region)
		return list_regions(job);
	error = pool_lookup_path(job->region->pools, job->path, &pool);
	if (error)
		return job_fail(job, error, job->shown);
	error = list_place(job, pool);
	pools_info(job->region->pools, &info);
	job->result = json_object_new_object();
	if (job->result) {
		control_put_u64(job->result, "generation", info.generation);
		control_put_u64(job->result, "dirty_shutdowns", info.dirty_shutdowns);
	}
	return fail_list(job, error);
}

const struct verb verb_list = {
	.name = "list",
	.fields = fields,
	.request_bytes = sizeof(struct list_request),
	.run = run,
};
