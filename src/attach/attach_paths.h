/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATTACH_PATHS_H
#define ATTACH_PATHS_H

/*
 * Pools without a mount. A pool's path is /proc/PID/fd/N of this process. The number N belongs to the pool
 * from the first request for its path on, and refers to the memory of the pool's current view. The kernel
 * lets a process open it if it may inspect this process: one of the same user, or of root.
 */

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/vector.h"
#include "pool/pool.h"

struct attach_server;

/* A number that belongs to a pool. Private to attach_paths.c. */
struct attach_path {
	int fd;		       /* the number; it refers to the view's memory, or to blocked_fd's socket */
	struct pool *pool;     /* a reference; NULL once the pool was destroyed */
	ino_t ino;	       /* of the view's memory; 0: the path is disabled */
	uint64_t destroyed_as; /* if it was destroyed: how many were before it, and it */
};

struct attach_paths {
	dev_t memory_device; /* st_dev of views' memory; 0: there is a mount, and no pool has such a path */
	int blocked_fd;	     /* a socket: /proc/PID/fd/N of one cannot be opened */
	pthread_mutex_t lock; /* taken before attach->lock and before what pools lock */
	/* Guarded by lock. */
	VECTOR_FIELDS(struct attach_path);
	uint64_t destroyed; /* how many paths have lost their pool */
};

int attach_paths_open(struct attach_server *attach);
void attach_paths_close(struct attach_server *attach);

/*
 * The pool, with a reference, whose view's memory has the inode number. -EIO: none has it now; the
 * descriptor is of an older generation.
 */
int attach_paths_find(struct attach_server *attach, ino_t ino, struct pool **pool);

/*
 * Nothing can be opened by the paths of these pools (NULL: of all pools) until attach_paths_enable(). The
 * caller holds attach->power exclusively.
 */
void attach_paths_disable(struct attach_server *attach, const struct pools *pools);
/* A path whose pool cannot be attached now stays disabled until the path is asked for again. */
void attach_paths_enable(struct attach_server *attach);

#endif
