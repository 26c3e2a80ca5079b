/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_NEWER_REQUESTS_H
#define FUSE_NEWER_REQUESTS_H

/*
 * Requests that libfuse 3.14 does not know: FUSE_TMPFILE (Linux 6.1) for
 * O_TMPFILE, and FUSE_STATX (Linux 6.6) for the time of a file's birth.
 */

#include "mount_context.h"

struct fuse_in_header;

/* FUSE_STATX of <linux/fuse.h>, since version 7.39. */
#define FUSEFS_STATX 52u

/*
 * The name in a FUSE_CREATE request that was a FUSE_TMPFILE request. Both have the same content, and the
 * kernel sends no FUSE_CREATE with this name.
 */
#define FUSEFS_NO_NAME "/"

/* Make a FUSE_TMPFILE request a FUSE_CREATE request, and leave others as they are. */
void fusefs_newer_translate(struct fuse_in_header *in);
/* Answer the request if it is a FUSE_STATX request; false if it is another one. */
bool fusefs_newer_answer(struct fusefs *fs, const struct fuse_in_header *in);

#endif
