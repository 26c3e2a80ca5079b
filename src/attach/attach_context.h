/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATTACH_CONTEXT_H
#define ATTACH_CONTEXT_H

/* The attach server's state, shared by the files of this folder. Each has the functions of its subject in a
   header of its own. */

#include <pthread.h>

#include "attach/attach_holes.h"
#include "attach/attach_paths.h"
#include "attach/attach_server.h"
#include "attach/attach_views.h"
#include "common/vector.h"
#include "domain/wpq.h"
#include "recorder/recorder_clients.h"
#include "server/server.h"

/* What a client has of one region. */
struct attach_client_region {
	bool has_pools;
	struct attach_wpqs {
		VECTOR_FIELDS(struct wpq *);
	} wpqs;
	struct wpq_rights *rights; /* of all its WPQs; NULL before the first pool or WPQ */
};

/* A connected process. */
struct attach_client {
	struct server_client connection;
	struct attach_server *attach;
	uint64_t greet_until; /* clock_ms(); its own thread's */
	bool greeted;	      /* its own thread's */
	struct recorder_process recorded; /* its own thread's */
	/* Guarded by attach->lock. */
	bool expelled; /* it was killed, and that was logged */
	struct attach_client_region *regions; /* as many as are served */
	struct attach_client *next;
};

struct attach_server {
	struct attach_options options;
	char *path;
	struct server *server;
	struct attach_served served;
	bool draining; /* the thread `drainer` was started */
	pthread_t drainer;

	/* Shared while a request is answered, exclusive during an outage. Taken before `lock`. */
	pthread_rwlock_t power;

	pthread_mutex_t lock;
	pthread_cond_t drain_soon; /* `kicked`, `drained` or `stopping` is set, or there is a first WPQ */
	/* Guarded by lock. */
	bool kicked;   /* a client asked for a drain */
	bool drained;  /* pools changed, and those that cache their bytes were not told yet */
	bool stopping; /* the drain thread and the one that looks at holes are to end */
	struct attach_client *clients;
	size_t client_count, wpq_count;
	struct attach_views views; /* those given to clients since the last outage */

	struct attach_paths paths;
	struct attach_holes holes;
};

#endif
