/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_DISPATCH_H
#define FUSE_DISPATCH_H

/*
 * How a request is served. Each is looked at before libfuse sees it: during an
 * outage some are answered at once, and others are parked.
 */

#include "mount_context.h"

/* Serve a request as it was read from the kernel. It is done with the bytes on return. */
void fusefs_dispatch(struct fusefs *fs, const struct fuse_buf *request);

/* Serve what was parked, in order. The gate is open again. */
void fusefs_dispatch_parked(struct fusefs *fs);

#endif
