/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_OP_NAMES_H
#define FUSE_OP_NAMES_H

/* Handlers of requests on names; each replies. */

#include "mount_context.h"

void fusefs_op_lookup(fuse_req_t request, fuse_ino_t parent, const char *name);
void fusefs_op_forget(fuse_req_t request, fuse_ino_t ino, uint64_t lookups);
void fusefs_op_forget_multi(fuse_req_t request, size_t count, struct fuse_forget_data *forgets);
void fusefs_op_readlink(fuse_req_t request, fuse_ino_t ino);
void fusefs_op_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void fusefs_op_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode);
void fusefs_op_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name);
void fusefs_op_link(fuse_req_t request, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void fusefs_op_unlink(fuse_req_t request, fuse_ino_t parent, const char *name);
void fusefs_op_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name);
void fusefs_op_rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned flags);
void fusefs_op_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi);

#endif
