/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_REPLY_ENTRY_H
#define FUSE_REPLY_ENTRY_H

/* Replies that tell the kernel of an inode, and the lookups that it counts for them. */

#include "mount_context.h"

void fusefs_attributes_to_stat(const struct tree *tree, const struct pool_attributes *attributes,
			       struct stat *st);
/* Fill in a reply and count the lookup. The reference to the pool is used up, on an error too. */
int fusefs_entry_fill(struct fusefs *fs, struct tree *tree, struct pool *pool,
		      struct fuse_entry_param *entry);
/* Fill in and send; an error is replied. */
void fusefs_reply_entry(fuse_req_t request, struct tree *tree, struct pool *pool);
/*
 * No such name, and the kernel may remember that: "is there a journal?" then
 * costs nothing. It forgets it when the name is created through the mount, or by
 * fusefs_entry_changed().
 */
void fusefs_reply_absent(fuse_req_t request);
/*
 * The kernel forgets lookups of an inode, or never got the reply that counted
 * them. In a tree whose media are lost nothing is forgotten: its nodes stay as
 * they are until the mount goes.
 */
void fusefs_entry_forget(struct fusefs *fs, fuse_ino_t ino, uint64_t lookups);

#endif
