/* SPDX-License-Identifier: BSD-3-Clause */
#include "regions_root.h"

#include <linux/fuse.h>
#include <string.h>
#include <unistd.h>

#include "common/align.h"
#include "reply_entry.h"

bool fusefs_regions_root_refuses(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_SETATTR:
	case FUSE_SETXATTR:
	case FUSE_REMOVEXATTR:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_CREATE:
	case FUSE_LINK:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
		return true;
	default:
		return false;
	}
}

void fusefs_regions_root_attributes(const struct fusefs *fs, struct stat *st)
{
	*st = (struct stat){
		.st_ino = FUSE_ROOT_ID,
		.st_mode = S_IFDIR | 0555,
		.st_nlink = 2 + fs->tree_count,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_blksize = PAGE_BYTES,
		.st_atim = fs->mounted,
		.st_mtim = fs->mounted,
		.st_ctim = fs->mounted,
	};
}

void fusefs_regions_root_lookup(fuse_req_t request, const char *name)
{
	struct fusefs *fs = fusefs_of(request);

	for (unsigned i = 0; i < fs->tree_count; i++) {
		struct tree *tree = &fs->trees[i];

		if (strcmp(tree->name, name) != 0)
			continue;
		pool_ref(tree->root.pool, 1);
		fusefs_reply_entry(request, tree, tree->root.pool);
		return;
	}
	fusefs_reply_absent(request);
}
