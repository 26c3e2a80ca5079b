/* SPDX-License-Identifier: BSD-3-Clause */
#include "invalidate.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

/*
 * An error means that the kernel does not know the inode any more, or that the
 * mount is gone: nothing is cached either way.
 */
static void invalidate(struct fusefs *fs, fuse_ino_t ino, off_t offset, off_t length)
{
	fuse_lowlevel_notify_inval_inode(fs->session, ino, offset, length);
}

/* All pages of an inode, and what is remembered of them. */
static void invalidate_whole(struct fusefs *fs, fuse_ino_t ino)
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

/* ---- Later -------------------------------------------------------------------- */

void fusefs_invalidate_later(struct fusefs *fs, fuse_ino_t ino, off_t offset, off_t length)
{
	struct stale_pages *stale = malloc(sizeof(*stale));

	if (!stale) {
		log_sink_print(&fs->options.log, "mount %s: no memory to have the kernel drop stale pages",
			       fs->mountpoint);
		return;
	}
	*stale = (struct stale_pages){ .ino = ino, .offset = offset, .length = length };
	pthread_mutex_lock(&fs->stale_lock);
	stale->next = fs->stale;
	fs->stale = stale;
	pthread_mutex_unlock(&fs->stale_lock);
	sem_post(&fs->wake);
}

static struct stale_pages *take_queued(struct fusefs *fs)
{
	LOCK_SCOPE(&fs->stale_lock);

	return steal_pointer(&fs->stale);
}

void fusefs_invalidate_queued(struct fusefs *fs)
{
	struct stale_pages *stale = take_queued(fs), *next;

	for (; stale; stale = next) {
		next = stale->next;
		if (stale->length)
			invalidate(fs, stale->ino, stale->offset, stale->length);
		else
			invalidate_whole(fs, stale->ino);
		free(stale);
	}
}

void fusefs_invalidate_drop(struct fusefs *fs)
{
	struct stale_pages *stale = take_queued(fs), *next;

	for (; stale; stale = next) {
		next = stale->next;
		free(stale);
	}
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
		invalidate_whole(fs, ino);
}

void fusefs_entry_changed(struct fusefs *fs, struct pool *directory, const char *name)
{
	fuse_ino_t ino = find_ino(fs, directory);

	if (!ino)
		return;
	fuse_lowlevel_notify_inval_entry(fs->session, ino, name, strlen(name));
	invalidate(fs, ino, -1, 0);
}
