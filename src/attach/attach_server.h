/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_ATTACH_H
#define SRC_ATTACH_H

/*
 * The daemon's end of abi/attach_protocol.h: programs that map pools. One thread
 * accepts, one thread a client answers, one drains. A client that breaks the
 * protocol, or puts into its WPQ what cannot be, loses its connection; for the
 * latter it is killed as well, since what it persists from then on is lost.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/attach_protocol.h"
#include "common/log_sink.h"
#include "common/message.h"
#include "pool/pool.h"

struct attach_server;

struct attach_options {
	const char *path; /* of the control socket; ours is beside it */
	bool has_group;
	gid_t group;
	struct log_sink log;
};

/* What is there to be served; must outlive the server. */
struct attach_served {
	struct pools *pools[ATTACH_REGIONS_MAX]; /* a region each */
	const char *names[ATTACH_REGIONS_MAX];	 /* of the regions, for the log */
	unsigned regions;
	dev_t device; /* of the mount; 0: there is none, and pools are had by attach_path() */
	/* What others cache of the pool is old, or soon will be. May be NULL. */
	void (*changed)(void *context, struct pool *pool);
	void *context;
};

int attach_listen(const struct attach_options *options, struct attach_server **out, struct message *message);
int attach_start(struct attach_server *server, const struct attach_served *served);
/* Hang up on all, drain what they published, free. NULL is allowed. Mappings of views become nobody's. */
void attach_stop(struct attach_server *server);

/*
 * Without a mount: a path, for the caller to free, that opens the pool's view as
 * a file. It is the same until the pool is destroyed; while the power is off
 * nothing can be opened by it.
 */
int attach_path(struct attach_server *server, struct pool *pool, char **path);
/* Pools may have been destroyed: what was the path of one leads nowhere from here on. */
void attach_paths_prune(struct attach_server *server);

/* One process that is connected, with all its WPQs taken together. */
struct attach_client {
	pid_t pid;
	uid_t uid;
	char comm[17]; /* its name; "" if it is ending */
	unsigned queues;
	struct domain_counts counts;
	/* Its own words: fences that had nothing to publish, bytes in its rings, how full the fullest is. */
	uint64_t idle_fences, waiting;
	unsigned ring_percent;
};
/* All of them, for the caller to free, as they were before what they have published was drained. */
int attach_clients(struct attach_server *server, struct attach_client **clients, size_t *count);
/* Drain, so that the pools' counts are of all that was fenced before. */
int attach_settle(struct attach_server *server);

/*
 * A region's media are gone for good (pools_media_lost()): kill every process
 * that has a pool of it mapped, whose fences would promise what nobody keeps.
 * The other regions go on.
 */
void attach_region_lost(struct attach_server *server, unsigned region);

/*
 * Around a power failure. From the return of the first to the second nobody
 * attaches, and every process that had mapped a view has been killed. False: some
 * could not be, or have not ended.
 */
bool attach_power_fails(struct attach_server *server);
void attach_power_returns(struct attach_server *server);

#endif
