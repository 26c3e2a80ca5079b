/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_REQUEST_PATH_H
#define FUSE_REQUEST_PATH_H

/* What a request does and to which file, for people. */

#include <stdbool.h>
#include <stddef.h>

#include "mount_context.h"

struct fuse_in_header;

enum fusefs_request_kind {
	FUSEFS_REQUEST_OTHER,  /* it changes nothing, or is the kernel's own write-back */
	FUSEFS_REQUEST_CHANGE, /* it changes bytes, a size, a name or attributes */
	FUSEFS_REQUEST_SYNC    /* fsync or fdatasync of a file or directory */
};

/* Does a request of this kind (FUSE_MKDIR, ...) change a name or attributes? */
bool fusefs_changes_entry(uint32_t opcode);

enum fusefs_request_kind fusefs_request_kind(const struct fuse_in_header *in);

/* The system call that it stands for, such as "write" or "rename". Static. */
const char *fusefs_request_name(const struct fuse_in_header *in);

/*
 * The path on the mount of the file that the request concerns, from the mount's root. Of a name that is made
 * or removed it is the path of that name. `index` 1 is the second path of a rename. "" if the file has no
 * name, and if there is no such path. Takes locks of the pools.
 */
void fusefs_request_path(struct fusefs *fs, const struct fuse_in_header *in, unsigned index, char *path,
			 size_t size);

#endif
