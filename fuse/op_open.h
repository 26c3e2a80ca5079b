/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_OP_OPEN_H
#define FUSE_OP_OPEN_H

/* Open files, and the handlers that open and release them. */

#include "mount_context.h"

/* What fi->fh points to. */
struct open_file {
	struct pool_handle *handle;
	struct node *stored_to; /* the file's node if pages can be stored to through this, else NULL */
	bool direct; /* the kernel caches nothing that is read and written through it */
	struct open_file *prev, *next; /* in fusefs.files */
};

static inline struct open_file *fusefs_file_of(const struct fuse_file_info *fi)
{
	return (struct open_file *)(uintptr_t)fi->fh;
}

static inline struct pool_handle *fusefs_handle_of(const struct fuse_file_info *fi)
{
	return fusefs_file_of(fi)->handle;
}

/* Open the node's pool as fi says, and fill fi in. With O_TRUNC the pool is empty afterwards. */
int fusefs_file_open(fuse_req_t request, struct node *node, struct fuse_file_info *fi);
void fusefs_file_close(struct fusefs *fs, struct open_file *file);

void fusefs_op_open(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi);
void fusefs_op_flush(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi);
void fusefs_op_release(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi);

#endif
