/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_OP_DIRECTORY_H
#define FUSE_OP_DIRECTORY_H

/* Handlers of requests on open directories; each replies. */

#include "mount_context.h"

void fusefs_op_opendir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi);
void fusefs_op_readdir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi);
void fusefs_op_readdirplus(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
			   struct fuse_file_info *fi);
void fusefs_op_releasedir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi);
void fusefs_op_fsyncdir(fuse_req_t request, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

#endif
