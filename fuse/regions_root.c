/* SPDX-License-Identifier: BSD-3-Clause */
#include "regions_root.h"

#include <string.h>
#include <unistd.h>

#include "common/align.h"
#include "reply_entry.h"

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
