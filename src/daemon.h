/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_DAEMON_H
#define SRC_DAEMON_H

/* The daemon's one context. */

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "attach.h"
#include "fusefs.h"
#include "log.h"
#include "pool/pool.h"
#include "region/region.h"
#include "request.h"
#include "server.h"

struct daemon_options {
	const char *region;
	const char *mount; /* NULL: none */
	char *socket;
	const char *label;
	const char *group; /* NULL: none */
	enum domain_kind domain;
	bool has_domain;     /* else the platform's word, where it has one */
	enum pool_mode mode; /* INHERIT: none was given */
	unsigned threads;    /* 0: the mount chooses */
	bool allow_other;
	bool read_only;
	bool background;
	bool verbose;
};

struct daemon {
	struct daemon_options options;
	struct log log;
	char *chosen_region; /* what --region auto came to; NULL if it was named */
	bool media_lost_told;
	char *mountpoint; /* absolute; NULL without a mount */
	struct region *region;
	struct pools *pools;
	struct fusefs *fusefs; /* NULL without a mount */
	struct server *server;
	struct attach_server *attach;

	_Atomic bool counts_clean; /* see domain_count_clean() */

	/* The last mark; "" before the first. */
	pthread_mutex_t mark_lock;
	char mark[REQUEST_MARK_MAX + 1]; /* guarded by mark_lock */

	pthread_t serving; /* the mount's thread */
	int ended_fd;	   /* an eventfd: readable once the mount has ended */
};

/* Fill in from the command line. Returns -1 to go on, else the exit status. */
int daemon_parse_options(int argc, char **argv, struct daemon_options *options);

/* Answer a request; `context` is the struct daemon (server_options.handle). */
void verbs_handle(void *context, const struct request *request, const struct peer *peer, struct reply *reply);

#endif
