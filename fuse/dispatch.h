/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_DISPATCH_H
#define FUSE_DISPATCH_H

/*
 * How a request is served. Each is looked at before libfuse sees it: during an
 * outage some are answered at once, and others are parked.
 */

#include "mount_context.h"

struct fuse_in_header;

/* Serve a request as it was read from the kernel. It is done with the bytes on return. */
void fusefs_dispatch(struct fusefs *fs, const struct fuse_buf *request);

/*
 * Answer a request without libfuse: with a negative errno, or with 0 and a body of
 * `size` bytes. The process that waits for the answer may be gone already.
 */
void fusefs_answer(struct fusefs *fs, const struct fuse_in_header *in, int error, const void *body,
		   size_t size);

/* Serve what was parked, in order. The gate is open again. */
void fusefs_dispatch_parked(struct fusefs *fs);

#endif
