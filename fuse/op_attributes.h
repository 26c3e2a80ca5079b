/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_OP_ATTRIBUTES_H
#define FUSE_OP_ATTRIBUTES_H

/* Handlers of requests on attributes; each replies. */

#include "mount_context.h"

void fusefs_op_getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi);
/* access(2) and chdir(2) by root, where the kernel does not check permissions itself. */
void fusefs_op_access(fuse_req_t request, fuse_ino_t ino, int mask);
void fusefs_op_setattr(fuse_req_t request, fuse_ino_t ino, struct stat *st, int which,
		       struct fuse_file_info *fi);
void fusefs_op_statfs(fuse_req_t request, fuse_ino_t ino);

#endif
