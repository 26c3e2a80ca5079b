/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_NEGOTIATE_H
#define FUSE_NEGOTIATE_H

/* What the kernel and the mount agree on when they first meet (INIT). */

#include "mount_context.h"

struct fuse_in_header;

/* libfuse's part: what is wanted of what both can do. The handler of INIT. */
void fusefs_op_init(void *userdata, struct fuse_conn_info *connection);

/*
 * The part that libfuse 3.14 does not know. Once the session is mounted:
 * look at what libfuse sends. 0 or -ENOMEM.
 */
int fusefs_negotiate_begin(struct fusefs *fs);
/* To be called with each request before libfuse has it; `in` is followed by its body. */
void fusefs_negotiate_hear(struct fusefs *fs, const struct fuse_in_header *in);

#endif
