/* SPDX-License-Identifier: BSD-3-Clause */
#include "invalidate.h"

#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "late_work.h"

/* FUSE_NOTIFY_INC_EPOCH of Linux 6.16, which libfuse 3.14 does not know. */
#define NOTIFY_INC_EPOCH 8

/*
 * An error means that the kernel does not know the inode any more, or that the
 * mount is gone: nothing is cached either way.
 */
static void invalidate(struct fusefs *fs, fuse_ino_t ino, off_t offset, off_t length)
{
	fuse_lowlevel_notify_inval_inode(fs->session, ino, offset, length);
}

void fusefs_invalidate_range(struct fusefs *fs, fuse_ino_t ino, uint64_t from, uint64_t end)
{
	/* To the kernel, length 0 means up to the end. */
	invalidate(fs, ino, (off_t)from, end == UINT64_MAX ? 0 : (off_t)(end - from));
}

void fusefs_invalidate_whole(struct fusefs *fs, fuse_ino_t ino)
{
	uint64_t epoch = fusefs_shadow_begin_drop(&fs->shadows);

	invalidate(fs, ino, 0, 0);
	fusefs_shadow_end_drop(&fs->shadows, fusefs_node(fs, ino), epoch);
}

void fusefs_invalidate_tree(struct fusefs *fs, struct tree *tree)
{
	struct node *node;

	/* A negative offset drops the attributes alone, for an inode that has no pages. */
	for (node = tree->nodes.all; node; node = node->next)
		invalidate(fs, fusefs_node_ino(fs, node), node->regular ? 0 : -1, 0);
	invalidate(fs, fusefs_node_ino(fs, &tree->root), -1, 0);
}

void fusefs_invalidate_all(struct fusefs *fs)
{
	for (unsigned i = 0; i < fs->tree_count; i++)
		fusefs_invalidate_tree(fs, &fs->trees[i]);
}

bool fusefs_all_entries_changed(struct fusefs *fs)
{
	/* A notification: its code is in the place of the error, and it answers no request. */
	const struct fuse_out_header out = { .len = sizeof(out), .error = NOTIFY_INC_EPOCH };

	return write(fuse_session_fd(fs->session), &out, sizeof(out)) == sizeof(out);
}

/* ---- Later -------------------------------------------------------------------- */

struct late_drop {
	struct late_work work;
	fuse_ino_t ino;
	off_t offset;
	off_t length; /* bytes; 0: all pages of the inode */
};

static void drop(struct fusefs *fs, struct late_work *work, bool kernel_answers)
{
	struct late_drop *stale = (struct late_drop *)work;

	if (kernel_answers && stale->length)
		invalidate(fs, stale->ino, stale->offset, stale->length);
	else if (kernel_answers)
		fusefs_invalidate_whole(fs, stale->ino);
	free(stale);
}

void fusefs_invalidate_later(struct fusefs *fs, fuse_ino_t ino, off_t offset, off_t length)
{
	struct late_drop *stale = malloc(sizeof(*stale));

	if (!stale) {
		log_sink_print(&fs->options.log, "mount %s: no memory to have the kernel drop stale pages",
			       fs->mountpoint);
		return;
	}
	*stale = (struct late_drop){
		.work = { .run = drop }, .ino = ino, .offset = offset, .length = length
	};
	fusefs_late_add(fs, &stale->work);
}

/* ---- Changes by others -------------------------------------------------------- */

/* The nodeid that the kernel may know a pool by now; 0: none. */
static fuse_ino_t find_ino(struct fusefs *fs, struct pool *pool)
{
	for (unsigned i = 0; i < fs->tree_count; i++) {
		const struct node *node = fusefs_node_find(&fs->trees[i], pool);

		if (node)
			return fusefs_node_ino(fs, node);
	}
	return 0;
}

void fusefs_pool_changed(struct fusefs *fs, struct pool *pool)
{
	fuse_ino_t ino = find_ino(fs, pool);

	if (ino)
		fusefs_invalidate_whole(fs, ino);
}

void fusefs_invalidate_attributes(struct fusefs *fs, fuse_ino_t ino)
{
	invalidate(fs, ino, -1, 0);
}

void fusefs_pool_times_changed(struct fusefs *fs, struct pool *pool)
{
	fuse_ino_t ino = find_ino(fs, pool);

	if (ino)
		fusefs_invalidate_attributes(fs, ino);
}

void fusefs_entry_changed(struct fusefs *fs, struct pool *directory, const char *name)
{
	fuse_ino_t ino = find_ino(fs, directory);

	if (!ino)
		return;
	fuse_lowlevel_notify_inval_entry(fs->session, ino, name, strlen(name));
	invalidate(fs, ino, -1, 0);
}
