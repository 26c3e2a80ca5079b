/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The root of a mount of several regions: a directory of the daemon's own, in
 * which each region has one. It is as it was when it was mounted, for good.
 */

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/align.h"
#include "private.h"

bool top_refuses(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_SETATTR:
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

void top_attributes(const struct fusefs *fs, struct stat *st)
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

void top_lookup(fuse_req_t request, const char *name)
{
	struct fusefs *fs = fs_of(request);

	for (unsigned i = 0; i < fs->tree_count; i++) {
		struct tree *tree = &fs->trees[i];

		if (strcmp(tree->name, name) != 0)
			continue;
		pool_ref(tree->root.pool, 1);
		reply_entry(request, tree, tree->root.pool);
		return;
	}
	reply_absent(request);
}

/* All that is there: df(1) of any directory asks at the mount point. */
void top_statfs(const struct fusefs *fs, struct statvfs *st)
{
	for (unsigned i = 0; i < fs->tree_count; i++)
		if (!tree_is_lost(&fs->trees[i]))
			statfs_add(st, fs->trees[i].pools);
}
