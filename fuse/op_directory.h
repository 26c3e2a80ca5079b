/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_OP_DIRECTORY_H
#define FUSE_OP_DIRECTORY_H

/* Handlers of requests on open directories; each replies. */

#include "mount_context.h"

/* What fi->fh of a directory points to. */
struct open_directory {
	/*
	 * The last name that a listing shows, as pool_last_cookie() was when the listing began. A listing
	 * begins at opendir(3) and at rewinddir(3), which asks for offset 0 once more.
	 */
	_Atomic uint64_t last;
	uint64_t generation; /* of the region when it was opened; 0 for the root of several regions */
	LIST_ENTRY(open_directory) link; /* in fusefs.directories */
};

/* Remove it from the mount's list and free it. */
void fusefs_directory_close(struct fusefs *fs, struct open_directory *directory);

void fusefs_op_opendir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi);
void fusefs_op_readdir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi);
void fusefs_op_readdirplus(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
			   struct fuse_file_info *fi);
void fusefs_op_releasedir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi);
void fusefs_op_fsyncdir(fuse_req_t request, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

#endif
