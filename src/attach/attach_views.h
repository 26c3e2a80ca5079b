/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATTACH_VIEWS_H
#define ATTACH_VIEWS_H

/* Which memory files are views that clients were given: what /proc/PID/maps is searched for. */

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/vector.h"
#include "pool/pool.h"
#include "server/peer.h"

struct attach_server;

/* The memory of a view, as /proc names it. */
struct view_memory {
	dev_t dev;
	ino_t ino;
	unsigned region;
	uint32_t id; /* what WPQ records call it */
	uid_t uid;   /* of the client that was given it first */
};

struct attach_views {
	VECTOR_FIELDS(struct view_memory);
	size_t most;		/* so many pools may be attached at once */
	VECTOR(uid_t) reserved; /* a user for each pool that is being attached */
	size_t look_at;		/* with so many of them, those that nobody uses are forgotten; 0: the least */
	pthread_mutex_t adding; /* held while one is added; before attach_server.lock */
};

/* Set the limit of views from those of the process. */
void attach_views_set_limit(struct attach_views *views);
/*
 * A client of the peer's user is about to attach the pool: -EMFILE if it may not have one more view. As with
 * places (server/server.h), a user may have so many as are free beside them, while root and this process's
 * user may have all. At the limit, views that nobody uses any more are given back first. If it succeeds,
 * attach_views_unreserve() must follow, after attach_views_add(). Takes the server's lock.
 */
int attach_views_reserve(struct attach_server *attach, struct pool *pool, const struct peer *peer);
void attach_views_unreserve(struct attach_server *attach, uid_t uid);

/*
 * Remember the view, so that an outage finds the processes that map it. To be called before any client has
 * its descriptor. 0, -ENOMEM (also if there are too many) or a negative errno. Now and then, views are
 * forgotten that belong to no pool any more and that no process maps. Takes the server's lock.
 */
int attach_views_add(struct attach_server *attach, const struct pool *pool,
		     const struct pool_attachment *attachment, uid_t uid);
/* Move the region's views behind all others, and return the index of the first. The lock is held. */
size_t attach_views_partition(struct attach_server *attach, unsigned region);
/* A copy of the list, for the caller to free; NULL without memory. Takes the lock. */
struct view_memory *attach_views_copy(struct attach_server *attach, size_t *count);

/* The number of the pool's region. */
unsigned attach_region_of(const struct attach_server *attach, const struct pool *pool);

#endif
