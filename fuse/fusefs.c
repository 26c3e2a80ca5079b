/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "private.h"

/*
 * Asynchronous requests (read-ahead, write-back, direct I/O) in flight; the default of 12 starves deep
 * queues.
 */
#define BACKGROUND_MAX 256

static void want(struct fuse_conn_info *connection, unsigned capability)
{
	connection->want |= connection->capable & capability;
}

static void op_init(void *userdata, struct fuse_conn_info *connection)
{
	/*
	 * Pages are dropped when we say so, not when an mtime moved. Set-user-ID
	 * bits are the kernel's to clear: it knows who may keep them.
	 */
	connection->want &= ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_HANDLE_KILLPRIV |
					FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ |
					FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	want(connection, FUSE_CAP_EXPLICIT_INVAL_DATA);
	want(connection, FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS);
	want(connection, FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_CACHE_SYMLINKS);
	want(connection, FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
	connection->max_write = TRANSFER_MAX;
	connection->max_background = BACKGROUND_MAX;
	connection->congestion_threshold = BACKGROUND_MAX * 3 / 4;
}

/*
 * Not here: flush (nothing waits for a close), locks (the kernel's own do for
 * one mount), extended attributes, access (the kernel checks permissions),
 * copy_file_range (the kernel's fallback is as fast in one machine).
 */
static const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.create = op_create,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
};

static struct fuse_session *session_new(struct fusefs *fs)
{
	struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *session = NULL;

	if (!fuse_opt_add_arg(&arguments, "softpmemd") &&
	    !fuse_opt_add_arg(&arguments, "-ofsname=softpmem,subtype=softpmem,default_permissions") &&
	    (!fs->options.allow_other || !fuse_opt_add_arg(&arguments, "-oallow_other")) &&
	    (!fs->options.read_only || !fuse_opt_add_arg(&arguments, "-oro")))
		session = fuse_session_new(&arguments, &operations, sizeof(operations), fs);
	fuse_opt_free_args(&arguments);
	return session;
}

static void locks_init(struct fusefs *fs)
{
	fusefs_gate_init(&fs->gate);
	pthread_mutex_init(&fs->files_lock, NULL);
	pthread_mutex_init(&fs->outage_lock, NULL);
	pthread_mutex_init(&fs->queue_lock, NULL);
	sem_init(&fs->wake, 0, 0);
}

static int trees_init(struct fusefs *fs, const struct fusefs_region *regions, unsigned count)
{
	fs->trees = calloc(count, sizeof(*fs->trees));
	if (!fs->trees)
		return -ENOMEM;
	fs->root = count == 1 ? &fs->trees[0].root : &fs->top;
	for (; fs->tree_count < count; fs->tree_count++) {
		const struct fusefs_region *region = &regions[fs->tree_count];
		struct tree *tree = &fs->trees[fs->tree_count];

		tree->pools = region->pools;
		tree->name = strdup(region->name);
		if (!tree->name || nodes_init(&tree->nodes)) {
			free(tree->name);
			return -ENOMEM;
		}
		tree->root = (struct node){ .tree = tree, .pool = pool_root(region->pools) };
		tree->ino_base = count == 1 ? 0 : (uint64_t)(fs->tree_count + 1) << FUSEFS_REGION_SHIFT;
	}
	return 0;
}

static void trees_fini(struct fusefs *fs)
{
	for (unsigned i = 0; i < fs->tree_count; i++) {
		nodes_fini(&fs->trees[i].nodes);
		pool_unref(fs->trees[i].root.pool, 1);
		free(fs->trees[i].name);
	}
	free(fs->trees);
}

static struct fusefs *fusefs_new(const struct fusefs_region *regions, unsigned count,
				 const struct fusefs_options *options)
{
	struct fusefs *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return NULL;
	fs->options = *options;
	fs->parked_end = &fs->parked;
	locks_init(fs);
	shadows_init(&fs->shadows);
	clock_gettime(CLOCK_REALTIME, &fs->mounted);
	if (!trees_init(fs, regions, count))
		fs->session = session_new(fs);
	return fs;
}

static void fusefs_free(struct fusefs *fs)
{
	while (fs->files)
		file_close(fs, fs->files);
	parked_drop(fs);
	stale_drop(fs);
	if (fs->session)
		fuse_session_destroy(fs->session);
	trees_fini(fs);
	shadows_fini(&fs->shadows);
	sem_destroy(&fs->wake);
	pthread_mutex_destroy(&fs->queue_lock);
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
		error = mount_attach(fs, message);
	if (error) {
		fusefs_free(fs);
		return error;
	}
	mount_tune(fs);
	*out = fs;
	return 0;
}

int fusefs_serve(struct fusefs *fs)
{
	int error = workers_start(fs);

	while (!error && !atomic_load(&fs->stop) && atomic_load(&fs->workers_running)) {
		sem_wait(&fs->wake);
		stale_now(fs);
	}
	if (atomic_load(&fs->workers_running)) {
		LOCK_SCOPE(&fs->outage_lock);
		mount_detach(fs);
	}
	workers_join(fs);
	return error;
}

dev_t fusefs_device(const struct fusefs *fs)
{
	return fs->device;
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
		mount_sever(fs);
	fuse_session_unmount(fs->session);
	fusefs_free(fs);
}
