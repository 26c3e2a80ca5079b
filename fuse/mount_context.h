/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_MOUNT_CONTEXT_H
#define FUSE_MOUNT_CONTEXT_H

/*
 * The state of a mount. Private to fuse/. The headers that are included here do
 * not use struct fusefs; code that needs several parts of it includes this one.
 */

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <time.h>

#include "fusefs.h"
#include "late_work.h"
#include "node.h"
#include "parking.h"
#include "request_events.h"
#include "request_gate.h"
#include "request_moment.h"
#include "shadow.h"
#include "turn.h"

struct open_directory;
struct open_file;
struct worker;

struct fusefs {
	struct tree *trees; /* a region each */
	unsigned tree_count;
	struct fusefs_options options;
	char *mountpoint; /* absolute */
	struct fuse_session *session;
	struct node *root;	  /* the root of the only tree, or `regions_root` */
	struct node regions_root; /* of a mount of several regions (regions_root.h) */
	struct timespec mounted;
	struct shadows shadows;

	pthread_mutex_t files_lock;
	struct open_file *files; /* guarded by files_lock */
	LIST_HEAD(, open_directory) directories; /* guarded by files_lock */

	struct request_gate gate;
	struct parking parking;
	struct moment moment;
	struct request_events events;
	/* Held from fusefs_park() to fusefs_resume(), or while the mount is taken away. */
	pthread_mutex_t outage_lock;

	struct late_queue late;

	/*
	 * The INIT request, and the flags that are added to libfuse's answer to it (negotiate.h). No other
	 * request is served before that answer.
	 */
	uint64_t init_request;
	uint32_t init_flags, init_flags2;
	bool clears_set_id; /* the kernel leaves it to us (set_id_bits.h) */

	struct worker *workers;
	unsigned worker_count;
	struct turn turn; /* of the workers, to wait for requests */
	bool may_lead;	  /* there is a processor for the program while a leader waits awake */
	/* How many more of the last requests came soon than not. Workers may lose a count of each other. */
	atomic_uint soon;
	atomic_uint_fast64_t served_at; /* when the last request was served: nanoseconds of CLOCK_MONOTONIC */
	atomic_uint workers_running;
	sem_t wake; /* of fusefs_serve(): look at stop, late and workers_running */
	atomic_bool stop;
	dev_t device;	      /* of the mount; 0 if unknown */
	atomic_bool detached; /* the mount has been taken away; nothing is left to unmount */
};

/*
 * For how many seconds the kernel may cache names and attributes. Long, because
 * the daemon tells the kernel of every change that is not made through the mount.
 */
#define FUSEFS_CACHE_TIMEOUT 86400.0
/* The most bytes of data that a request carries: what the kernel's default limit of 256 pages allows. */
#define FUSEFS_TRANSFER_MAX (1u << 20)

/*
 * A mount that is attached to nothing yet. NULL: no memory. If its session is NULL there was no memory for
 * that, and the mount can only be given to fusefs_free().
 */
struct fusefs *fusefs_new(const struct fusefs_region *regions, unsigned count,
			  const struct fusefs_options *options);
/* Close what clients left open, and free. No request is served. */
void fusefs_free(struct fusefs *fs);

static inline struct fusefs *fusefs_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

static inline struct recorder *fusefs_recorder(fuse_req_t request)
{
	return fusefs_of(request)->options.recorder;
}

static inline struct node *fusefs_node(struct fusefs *fs, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? fs->root : (struct node *)(uintptr_t)ino;
}

/* The node that a request is about. */
static inline struct node *fusefs_node_of(fuse_req_t request, fuse_ino_t ino)
{
	return fusefs_node(fusefs_of(request), ino);
}

static inline fuse_ino_t fusefs_node_ino(const struct fusefs *fs, const struct node *node)
{
	return node == fs->root ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)node;
}

#endif
