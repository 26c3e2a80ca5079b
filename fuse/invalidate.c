/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "private.h"

/*
 * Failure means the kernel does not know the inode any more, or nobody is there: nothing is cached either
 * way.
 */
static void invalidate(struct fusefs *fs, fuse_ino_t ino, off_t offset, off_t length)
{
	fuse_lowlevel_notify_inval_inode(fs->session, ino, offset, length);
}

/* All pages of it, and what we remember of them. */
static void invalidate_whole(struct fusefs *fs, fuse_ino_t ino)
{
	uint64_t epoch = shadow_begin_drop(fs);

	invalidate(fs, ino, 0, 0);
	shadow_end_drop(fs, node_of(fs, ino), epoch);
}

void invalidate_tree(struct fusefs *fs, struct tree *tree)
{
	struct node *node;

	/*
	 * Requests that change the list are parked, or refused. Of what has no pages, the attributes (a
	 * negative offset).
	 */
	for (node = tree->nodes.all; node; node = node->next)
		invalidate(fs, node_ino(fs, node), node->regular ? 0 : -1, 0);
	invalidate(fs, node_ino(fs, &tree->root), -1, 0);
}

void invalidate_all(struct fusefs *fs)
{
	for (unsigned i = 0; i < fs->tree_count; i++)
		invalidate_tree(fs, &fs->trees[i]);
}

void stale_later(struct fusefs *fs, fuse_ino_t ino, off_t offset, off_t length)
{
	struct stale *stale = malloc(sizeof(*stale));

	if (!stale) {
		log_sink_print(&fs->options.log,
			       "mount %s: no memory to have the kernel drop a page that was not written",
			       fs->mountpoint);
		return;
	}
	*stale = (struct stale){ .ino = ino, .offset = offset, .length = length };
	pthread_mutex_lock(&fs->queue_lock);
	stale->next = fs->stale;
	fs->stale = stale;
	pthread_mutex_unlock(&fs->queue_lock);
	sem_post(&fs->wake);
}

static struct stale *stale_take(struct fusefs *fs)
{
	LOCK_SCOPE(&fs->queue_lock);

	return steal_pointer(&fs->stale);
}

void stale_now(struct fusefs *fs)
{
	struct stale *stale = stale_take(fs), *next;

	for (; stale; stale = next) {
		next = stale->next;
		if (stale->length)
			invalidate(fs, stale->ino, stale->offset, stale->length);
		else
			invalidate_whole(fs, stale->ino);
		free(stale);
	}
}

void stale_drop(struct fusefs *fs)
{
	struct stale *stale = stale_take(fs), *next;

	for (; stale; stale = next) {
		next = stale->next;
		free(stale);
	}
}

void fusefs_pool_changed(struct fusefs *fs, struct pool *pool)
{
	fuse_ino_t ino = node_find(fs, pool);

	if (ino)
		invalidate_whole(fs, ino);
}

void fusefs_entry_changed(struct fusefs *fs, struct pool *directory, const char *name)
{
	fuse_ino_t ino = node_find(fs, directory);

	if (!ino)
		return;
	fuse_lowlevel_notify_inval_entry(fs->session, ino, name, strlen(name));
	invalidate(fs, ino, -1, 0);
}
