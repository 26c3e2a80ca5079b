/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_OP_DATA_H
#define FUSE_OP_DATA_H

/* Handlers of requests on the bytes of open files; each replies. */

#include "mount_context.h"

void fusefs_op_read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void fusefs_op_write(fuse_req_t request, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
		     struct fuse_file_info *fi);
void fusefs_op_fsync(fuse_req_t request, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void fusefs_op_fallocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length,
			 struct fuse_file_info *fi);

#endif
