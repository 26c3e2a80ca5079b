/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_NEGOTIATE_H
#define FUSE_NEGOTIATE_H

/* What the kernel and the mount agree on in the first request (INIT). */

#include "mount_context.h"

struct fuse_in_header;

/* The handler of INIT: choose among the capabilities that both the kernel and libfuse have. */
void fusefs_op_init(void *userdata, struct fuse_conn_info *connection);

/*
 * Pass what libfuse sends through a function of our own, which adds the flags that
 * libfuse 3.14 does not know. Once, after the session was mounted. 0 or -ENOMEM.
 */
int fusefs_negotiate_begin(struct fusefs *fs);
/* To be called with each request before it is given to libfuse. The request's body follows `in`. */
void fusefs_negotiate_note_request(struct fusefs *fs, const struct fuse_in_header *in);

#endif
