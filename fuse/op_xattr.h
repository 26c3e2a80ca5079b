/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_OP_XATTR_H
#define FUSE_OP_XATTR_H

/* Requests that read or change extended attributes. The kernel has checked the permissions. */

#include "mount_context.h"

void fusefs_op_setxattr(fuse_req_t request, fuse_ino_t ino, const char *name, const char *value, size_t size,
			int flags);
void fusefs_op_getxattr(fuse_req_t request, fuse_ino_t ino, const char *name, size_t size);
void fusefs_op_listxattr(fuse_req_t request, fuse_ino_t ino, size_t size);
void fusefs_op_removexattr(fuse_req_t request, fuse_ino_t ino, const char *name);

#endif
