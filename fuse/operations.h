/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_OPERATIONS_H
#define FUSE_OPERATIONS_H

/* Which requests the mount serves, and their handlers. */

#include "mount_context.h"

extern const struct fuse_lowlevel_ops fusefs_operations;

#endif
