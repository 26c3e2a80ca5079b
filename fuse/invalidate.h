/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_INVALIDATE_H
#define FUSE_INVALIDATE_H

/*
 * Having the kernel drop what it caches. The kernel writes dirty pages back
 * first, and waits for pages that are being read; so a worker of the mount must
 * not call any of these but fusefs_invalidate_later() and fusefs_invalidate_attributes(),
 * and neither may a thread that holds a lock which a file operation needs.
 */

#include "mount_context.h"

/* Have the thread of fusefs_serve() invalidate pages. `length` 0: all pages of the inode. Any thread. */
void fusefs_invalidate_later(struct fusefs *fs, fuse_ino_t ino, off_t offset, off_t length);
/* Invalidate the pages of a range of bytes. `end` UINT64_MAX: to the end of the file. */
void fusefs_invalidate_range(struct fusefs *fs, fuse_ino_t ino, uint64_t from, uint64_t end);
/* All pages of an inode, its attributes, and what is remembered of its pages (shadow.h). */
void fusefs_invalidate_whole(struct fusefs *fs, fuse_ino_t ino);
/* The kernel asks for the attributes again. Waits for nothing; any thread. */
void fusefs_invalidate_attributes(struct fusefs *fs, fuse_ino_t ino);

/*
 * Invalidate every inode of a tree, or of all trees. While only write-back is
 * served, or nothing on the tree: the nodes must stay as they are.
 */
void fusefs_invalidate_tree(struct fusefs *fs, struct tree *tree);
void fusefs_invalidate_all(struct fusefs *fs);

#endif
