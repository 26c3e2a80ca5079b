/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_REPLY_ENTRY_H
#define FUSE_REPLY_ENTRY_H

/* Replies that give the kernel an inode. Each counts as a lookup, which the kernel forgets one day. */

#include "mount_context.h"

void fusefs_attributes_to_stat(const struct tree *tree, const struct pool_attributes *attributes,
			       struct stat *st);
/*
 * A file without blocks: what programs stored to it through mappings may be in the kernel's cache alone, and
 * a program that finds no blocks, as tar(1), does not look for data. The kernel asks for its attributes each
 * time.
 */
bool fusefs_has_no_blocks(const struct pool_attributes *attributes);
/* For how many seconds the kernel may cache these attributes. */
double fusefs_attributes_timeout(const struct pool_attributes *attributes);
/* Fill in a reply and count the lookup. Takes over the reference to the pool, also on an error. */
int fusefs_entry_fill(struct fusefs *fs, struct tree *tree, struct pool *pool,
		      struct fuse_entry_param *entry);
/* Fill in a reply and send it, or send the error. Takes over the reference to the pool. */
void fusefs_reply_entry(fuse_req_t request, struct tree *tree, struct pool *pool);
/*
 * Reply that there is no such name, and let the kernel cache that. Engines look
 * for a journal at every start of a transaction. The kernel drops what it cached
 * when the name is created through the mount, or by fusefs_entry_changed().
 */
void fusefs_reply_absent(fuse_req_t request);
/*
 * Take back lookups of an inode: the kernel forgets them, or did not get the
 * reply that counted them. The nodes of a tree whose media are lost stay as they
 * are until the mount goes.
 */
void fusefs_entry_forget(struct fusefs *fs, fuse_ino_t ino, uint64_t lookups);

#endif
