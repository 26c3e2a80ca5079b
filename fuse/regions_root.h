/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_REGIONS_ROOT_H
#define FUSE_REGIONS_ROOT_H

/*
 * The root of a mount of several regions: a directory of the daemon's own, which
 * holds a directory for each region and never changes.
 */

#include <sys/statvfs.h>

#include "mount_context.h"

static inline bool fusefs_is_regions_root(const struct fusefs *fs, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID && !fs->root->tree;
}

/* Requests that change it (fusefs_changes_entry()) are refused with -EPERM. */
void fusefs_regions_root_attributes(const struct fusefs *fs, struct stat *st);
void fusefs_regions_root_lookup(fuse_req_t request, const char *name);

#endif
