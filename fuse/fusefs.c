/* SPDX-License-Identifier: BSD-3-Clause */
#include "fusefs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "mountpoint.h"
#include "op_directory.h"
#include "op_open.h"
#include "operations.h"
#include "workers.h"

static struct fuse_session *session_new(struct fusefs *fs)
{
	struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *session = NULL;

	if (!fuse_opt_add_arg(&arguments, "softpmemd") &&
	    !fuse_opt_add_arg(&arguments, "-ofsname=softpmem,subtype=softpmem") &&
	    (!fs->options.check_permissions || !fuse_opt_add_arg(&arguments, "-odefault_permissions")) &&
	    (!fs->options.allow_other || !fuse_opt_add_arg(&arguments, "-oallow_other")) &&
	    (!fs->options.read_only || !fuse_opt_add_arg(&arguments, "-oro")))
		session = fuse_session_new(&arguments, &fusefs_operations, sizeof(fusefs_operations), fs);
	fuse_opt_free_args(&arguments);
	return session;
}

static void parts_init(struct fusefs *fs)
{
	fusefs_gate_init(&fs->gate);
	pthread_mutex_init(&fs->files_lock, NULL);
	pthread_mutex_init(&fs->outage_lock, NULL);
	fusefs_late_init(&fs->late);
	fusefs_parking_init(&fs->parking);
	fusefs_moment_init(&fs->moment);
	fusefs_events_init(&fs->events);
	fusefs_shadows_init(&fs->shadows);
	sem_init(&fs->wake, 0, 0);
}

static int trees_init(struct fusefs *fs, const struct fusefs_region *regions, unsigned count)
{
	fs->trees = calloc(count, sizeof(*fs->trees));
	if (!fs->trees)
		return -ENOMEM;
	fs->root = count == 1 ? &fs->trees[0].root : &fs->regions_root;
	for (; fs->tree_count < count; fs->tree_count++) {
		const struct fusefs_region *region = &regions[fs->tree_count];
		struct tree *tree = &fs->trees[fs->tree_count];

		tree->pools = region->pools;
		tree->name = strdup(region->name);
		if (!tree->name || fusefs_nodes_init(&tree->nodes)) {
			free(tree->name);
			return -ENOMEM;
		}
		tree->root = (struct node){ .tree = tree, .pool = pool_root(region->pools) };
		tree->ino_base = count == 1 ? 0 : (uint64_t)(fs->tree_count + 1) << FUSEFS_REGION_SHIFT;
	}
	return 0;
}

static void trees_destroy(struct fusefs *fs)
{
	for (unsigned i = 0; i < fs->tree_count; i++) {
		fusefs_nodes_destroy(&fs->trees[i].nodes);
		pool_unref(fs->trees[i].root.pool, 1);
		free(fs->trees[i].name);
	}
	free(fs->trees);
}

struct fusefs *fusefs_new(const struct fusefs_region *regions, unsigned count,
			  const struct fusefs_options *options)
{
	struct fusefs *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return NULL;
	fs->options = *options;
	fs->shadows.recorder = options->recorder;
	parts_init(fs);
	clock_gettime(CLOCK_REALTIME, &fs->mounted);
	if (!trees_init(fs, regions, count))
		fs->session = session_new(fs);
	return fs;
}

void fusefs_free(struct fusefs *fs)
{
	while (fs->files)
		fusefs_file_close(fs, fs->files);
	while (!LIST_EMPTY(&fs->directories))
		fusefs_directory_close(fs, LIST_FIRST(&fs->directories));
	if (fs->session)
		fuse_session_destroy(fs->session);
	trees_destroy(fs);
	fusefs_shadows_destroy(&fs->shadows);
	fusefs_moment_destroy(&fs->moment);
	fusefs_events_destroy(&fs->events);
	fusefs_parking_destroy(&fs->parking);
	sem_destroy(&fs->wake);
	fusefs_late_destroy(&fs->late);
	pthread_mutex_destroy(&fs->outage_lock);
	pthread_mutex_destroy(&fs->files_lock);
	fusefs_gate_destroy(&fs->gate);
	free(fs->mountpoint);
	free(fs);
}

int fusefs_mount(const struct fusefs_region *regions, unsigned count, const struct fusefs_options *options,
		 struct fusefs **out, struct message *message)
{
	struct fusefs *fs = fusefs_new(regions, count, options);
	int error;

	if (!fs)
		return message_fail(message, -ENOMEM, "%s: no memory to mount", options->mountpoint);
	if (!fs->session)
		error = message_fail(message, -ENOMEM, "%s: cannot set up a FUSE session",
				     options->mountpoint);
	else
		error = fusefs_mountpoint_attach(fs, message);
	if (error) {
		fusefs_free(fs);
		return error;
	}
	fusefs_mountpoint_tune(fs);
	*out = fs;
	return 0;
}

int fusefs_serve(struct fusefs *fs)
{
	int error = fusefs_workers_start(fs);

	while (!error && !atomic_load(&fs->stop) && atomic_load(&fs->workers_running)) {
		sem_wait(&fs->wake);
		fusefs_late_run(fs);
	}
	fusefs_late_close(fs);
	if (atomic_load(&fs->workers_running)) {
		LOCK_SCOPE(&fs->outage_lock);
		fusefs_mountpoint_detach(fs);
	}
	fusefs_workers_join(fs);
	return error;
}

dev_t fusefs_device(const struct fusefs *fs)
{
	return fs->device;
}

void fusefs_settle(struct fusefs *fs)
{
	fusefs_gate_flush(&fs->gate);
}

void fusefs_stop(struct fusefs *fs)
{
	atomic_store(&fs->stop, true);
	sem_post(&fs->wake);
}

void fusefs_unmount(struct fusefs *fs)
{
	if (!fs)
		return;
	if (atomic_load(&fs->detached))
		fusefs_mountpoint_sever(fs);
	fuse_session_unmount(fs->session);
	fusefs_free(fs);
}
