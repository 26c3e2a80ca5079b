/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_OP_SEEK_H
#define FUSE_OP_SEEK_H

/* The handler of lseek(2) with SEEK_DATA and SEEK_HOLE; it replies. */

#include "mount_context.h"

void fusefs_op_lseek(fuse_req_t request, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi);

#endif
