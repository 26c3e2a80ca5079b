/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_PARK_H
#define FUSE_PARK_H

#include "mount_context.h"

/* Serve nothing but write-back from now on. Returns when all earlier requests have been answered. */
void fusefs_park_requests(struct fusefs *fs);

#endif
