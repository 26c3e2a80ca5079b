/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_MOUNTPOINT_H
#define FUSE_MOUNTPOINT_H

/* Putting the session on a directory, and taking it away. */

#include "mount_context.h"

/* Mount at options.mountpoint: fills in fs->mountpoint. Errors as fusefs_mount(). */
int fusefs_mountpoint_attach(struct fusefs *fs, struct message *message);
/* Set the kernel's limits for the mount, where that is allowed, and fill in fs->device. */
void fusefs_mountpoint_tune(struct fusefs *fs);
/*
 * Unmount through the kernel while the workers still serve, so that dirty pages
 * are written back. If the mount is in use, it is detached once they are.
 */
void fusefs_mountpoint_detach(struct fusefs *fs);
/*
 * For a mount that has been taken away: break the session's connection, so that fuse_session_unmount() does
 * not unmount what another process mounted at the same place since.
 */
void fusefs_mountpoint_sever(struct fusefs *fs);

#endif
