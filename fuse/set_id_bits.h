/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_SET_ID_BITS_H
#define FUSE_SET_ID_BITS_H

/* The set-user-ID and set-group-ID bits, and the capabilities, of a file that is changed. */

#include "mount_context.h"

struct fuse_in_header;

/*
 * With FUSE_HANDLE_KILLPRIV_V2 the kernel leaves the clearing to us, and says in each request whether its
 * client lacks CAP_FSETID. Without it the kernel asks for security.capability before every write, which would
 * double the cost of small writes as soon as we answer requests for extended attributes.
 */

/*
 * Note what the kernel says about the request that this thread is about to serve, and whose length was not
 * checked. FALLOCATE, and kernels before 5.12, say nothing: then clients of user 0 are taken to have
 * CAP_FSETID.
 */
void fusefs_set_id_note_request(const struct fusefs *fs, const struct fuse_in_header *in);
/* Does the kernel want the bits cleared by the noted request, a SETATTR? */
bool fusefs_set_id_must_go(void);

/*
 * Do what a change of a file's bytes, size or owner by the request's client does: remove capabilities; and
 * unless the client has CAP_FSETID, clear set-user-ID, and set-group-ID if the file is executable for its
 * group or the client is not in the group. 0, or a negative errno of pool_set_attributes().
 */
int fusefs_drop_set_id_bits(fuse_req_t request, struct pool *pool);

#endif
