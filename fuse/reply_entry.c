/* SPDX-License-Identifier: BSD-3-Clause */
#include "reply_entry.h"

#include <errno.h>
#include <stdlib.h>

#include "common/align.h"

void fusefs_attributes_to_stat(const struct tree *tree, const struct pool_attributes *attributes,
			       struct stat *st)
{
	*st = (struct stat){
		.st_ino = tree->ino_base | attributes->ino,
		.st_mode = attributes->mode,
		.st_nlink = attributes->links,
		.st_uid = attributes->uid,
		.st_gid = attributes->gid,
		.st_size = (off_t)attributes->size,
		.st_blocks = (blkcnt_t)(attributes->allocated / 512),
		.st_blksize = PAGE_BYTES,
		.st_atim = attributes->atime,
		.st_mtim = attributes->mtime,
		.st_ctim = attributes->ctime,
	};
}

bool fusefs_has_no_blocks(const struct pool_attributes *attributes)
{
	return S_ISREG(attributes->mode) && attributes->size && !attributes->allocated;
}

double fusefs_attributes_timeout(const struct pool_attributes *attributes)
{
	return fusefs_has_no_blocks(attributes) ? 0 : FUSEFS_CACHE_TIMEOUT;
}

int fusefs_entry_fill(struct fusefs *fs, struct tree *tree, struct pool *pool, struct fuse_entry_param *entry)
{
	struct pool_attributes attributes;
	struct node *node = NULL;
	int error = pool_get_attributes(pool, &attributes);

	if (!error) {
		node = fusefs_node_take(tree, pool, S_ISREG(attributes.mode));
		if (!node)
			error = -ENOMEM;
	}
	if (error) {
		pool_unref(pool, 1);
		return error;
	}
	*entry = (struct fuse_entry_param){
		.ino = fusefs_node_ino(fs, node),
		/* A nodeid is used again, a pool's number is not: the pair names one inode. */
		.generation = attributes.ino,
		.attr_timeout = fusefs_attributes_timeout(&attributes),
		.entry_timeout = FUSEFS_CACHE_TIMEOUT,
	};
	fusefs_attributes_to_stat(tree, &attributes, &entry->attr);
	return 0;
}

void fusefs_reply_entry(fuse_req_t request, struct tree *tree, struct pool *pool)
{
	struct fusefs *fs = fusefs_of(request);
	struct fuse_entry_param entry;
	int error = fusefs_entry_fill(fs, tree, pool, &entry);

	if (error)
		fuse_reply_err(request, -error);
	else if (fuse_reply_entry(request, &entry))
		fusefs_entry_forget(fs, entry.ino, 1);
}

void fusefs_reply_absent(fuse_req_t request)
{
	const struct fuse_entry_param entry = { .entry_timeout = FUSEFS_CACHE_TIMEOUT };

	fuse_reply_entry(request, &entry);
}

void fusefs_entry_forget(struct fusefs *fs, fuse_ino_t ino, uint64_t lookups)
{
	struct node *node = fusefs_node(fs, ino);

	if (fusefs_node_is_root(node) || fusefs_tree_is_lost(node->tree) ||
	    !fusefs_node_forget(node, lookups))
		return;
	/* Before the address can be another node's. */
	fusefs_shadow_forget(&fs->shadows, node);
	fusefs_node_free(node);
}
