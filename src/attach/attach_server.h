/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATTACH_SERVER_H
#define ATTACH_SERVER_H

/*
 * The daemon's end of abi/attach_protocol.h: processes that map pools. One thread accepts, one thread a
 * client answers, one drains. A client that breaks the protocol loses its connection. A client that puts a
 * malformed record into its WPQ is killed as well, since what it persists from then on would be lost.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/attach_protocol.h"
#include "common/log_sink.h"
#include "common/message.h"
#include "pool/pool.h"
#include "recorder/recorder.h"

struct attach_server;

/* Of a fence that clients announce while attach_announce_fences() is on. */
enum attach_fence_event {
	ATTACH_FENCE_BEGINS,	/* nothing of it is published yet */
	ATTACH_FENCE_PUBLISHED, /* all of it is */
	ATTACH_FENCE_GONE	/* the client has hung up; it may have announced a fence */
};

struct attach_options {
	const char *path; /* of the control socket; the attach socket's is this and ATTACH_SUFFIX */
	bool has_group;
	gid_t group;
	struct log_sink log;
};

/* What is served. Must outlive the server. */
struct attach_served {
	struct pools *pools[ATTACH_REGIONS_MAX]; /* a region each */
	const char *names[ATTACH_REGIONS_MAX];	 /* of the regions, for the log */
	unsigned regions;
	dev_t device; /* of the mount; 0: there is none, and pools are opened by attach_path() */
	struct recorder *recorder; /* of these pools */
	/* Cached bytes of the pool are stale, or will be soon. Called from any thread. May be NULL. */
	void (*changed)(void *context, struct pool *pool);
	/*
	 * A client has sent a mark: 1 to 255 bytes, and a NUL. May wait until an outage is over. Called from
	 * any thread. May be NULL.
	 */
	void (*marked)(void *context, uid_t uid, const char *text);
	/*
	 * A client tells of a fence, or has gone. May wait until an outage is over. `client` identifies the
	 * client while it is there. Called from any thread. May be NULL.
	 */
	void (*fence)(void *context, enum attach_fence_event event, const void *client, pid_t pid);
	void *context;
};

/* Make the socket. Ends with attach_stop(). -EADDRINUSE: a daemon listens there. */
int attach_listen(const struct attach_options *options, struct attach_server **out, struct message *message);
/* Serve clients from here on. 0 or a negative errno. */
int attach_start(struct attach_server *attach, const struct attach_served *served);
/*
 * Hang up on all clients, drain what they published, and free. NULL is allowed. What clients still have
 * mapped is no pool's any more.
 */
void attach_stop(struct attach_server *attach);

/*
 * Without a mount: a path, for the caller to free, by which the memory of the pool's view can be opened. The
 * pool keeps it until it is destroyed. During an outage nothing can be opened by it. -EMFILE: too many pools
 * have one.
 */
int attach_path(struct attach_server *attach, struct pool *pool, char **path);
/* After pools may have been destroyed: nothing can be opened by their paths from here on. */
void attach_paths_prune(struct attach_server *attach);

/* Let clients announce each fence that has something to publish, or let them cease. Any thread. */
void attach_announce_fences(struct attach_server *attach, bool announce);

/* One connected process, with all its WPQs taken together. */
struct attach_client_info {
	pid_t pid;
	uid_t uid;
	char comm[17]; /* its name; "" if it has ended */
	unsigned queues;
	bool maps; /* it was given the memory of a pool */
	struct domain_counts counts;
	/* As the process itself says, unchecked. */
	uint64_t idle_fences;  /* fences that had nothing to publish */
	uint64_t waiting;      /* bytes in its rings */
	unsigned ring_percent; /* how full the fullest is */
};
/* All clients, for the caller to free. What they have published is not drained before. */
int attach_clients(struct attach_server *attach, struct attach_client_info **clients, size_t *count);
/* Drain, so that the pools' counters include all that was fenced before. */
int attach_settle(struct attach_server *attach);

/*
 * Wait until every process that has ended is no client any more, and its exit is recorded. Not with a lock
 * that an answer to a client takes.
 */
void attach_await_ended(struct attach_server *attach);

/*
 * A region's media are lost (pools_media_lost()): kill every process that maps a pool of it, since its
 * fences would promise what is not kept. The other regions go on.
 */
void attach_region_lost(struct attach_server *attach, unsigned region);

/*
 * Around an outage. From the return of the first call to the second no client is served, and every process
 * that had mapped a view has been killed. False: some could not be killed, or have not ended.
 */
bool attach_power_fails(struct attach_server *attach);
void attach_power_returns(struct attach_server *attach);

#endif
