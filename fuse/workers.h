/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_WORKERS_H
#define FUSE_WORKERS_H

/* The threads that read requests from the kernel and serve them. */

#include "mount_context.h"

/* 0 if there is one thread at least, or a negative errno. */
int fusefs_workers_start(struct fusefs *fs);
/* Cancel those that wait for a request, let the others end theirs, and wait for all. */
void fusefs_workers_join(struct fusefs *fs);

#endif
