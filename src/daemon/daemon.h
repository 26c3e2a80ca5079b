/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_DAEMON_H
#define SRC_DAEMON_H

/* The daemon's one context. */

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "attach/attach_server.h"
#include "common/vector.h"
#include "fusefs.h"
#include "daemon/log.h"
#include "daemon/moment.h"
#include "pool/pool.h"
#include "region/region.h"
#include "wire/request.h"
#include "server/control_server.h"
#include "server/loglimit.h"

#define REGIONS_MAX ATTACH_REGIONS_MAX
/* The spec of a region that the daemon is to find itself. */
#define REGION_AUTO "auto"

struct region_option {
	const char *spec;
	const char *label; /* for formatting; NULL: none */
};

struct daemon_options {
	struct region_option regions[REGIONS_MAX];
	unsigned region_count;
	const char *mount; /* NULL: none */
	char *socket;
	const char *group; /* NULL: none */
	enum persistence_domain domain;
	bool has_domain;     /* if not given, the platform decides, where it reports a domain */
	enum pool_mode mode; /* INHERIT: not given */
	enum metadata_mode metadata;
	bool auto_da_alloc;
	unsigned threads;    /* 0: the default of the mount */
	bool allow_other;
	bool read_only;
	bool nonempty;
	bool background;
	bool verbose;
};

/* A region and its pools. Constant once the daemon is ready. */
struct served_region {
	unsigned number; /* index among those of the daemon */
	const char *spec; /* as it was given, or the one that was found for auto */
	char *chosen;	  /* the one that was found; NULL if the spec was given */
	char label[POOL_LABEL_MAX + 1];
	/*
	 * Its name, for the directory on a mount with several regions and for --region: the label, or
	 * regionN.
	 */
	char name[POOL_LABEL_MAX + 1];
	enum persistence_domain domain;
	struct region *region;
	struct pools *pools;
	bool lost_told;	   /* used by the watching thread only */
	unsigned bad_told; /* the same: the number of bad places that were logged */
};

struct snapshot;

struct daemon {
	struct daemon_options options;
	struct log log;
	char *mountpoint; /* absolute; NULL without a mount */
	bool may_all;	  /* process_may_all() when it started */
	struct served_region regions[REGIONS_MAX];
	unsigned region_count;
	struct fusefs *fusefs; /* NULL without a mount */
	struct control_options control;
	struct server *server; /* of the control socket */
	struct attach_server *attach;
	struct recorder *recorder;

	pthread_mutex_t loglimit_lock;
	struct loglimit loglimit; /* of marks and power failures; guarded by loglimit_lock */

	_Atomic bool counts_clean; /* see domain_count_clean() */

	/* The last mark; "" before the first. */
	pthread_mutex_t mark_lock;
	char mark[REQUEST_MARK_MAX + 1]; /* guarded by mark_lock */

	pthread_mutex_t recording_lock;
	pthread_cond_t recording_changed;
	/* Guarded by recording_lock: of the request that records, until its recording is over; NULL: none. */
	const struct reply *recording;
	uint64_t recordings; /* the same: how many are over */

	struct daemon_moment moment; /* its lock comes before those of the mount and of the domains */

	VECTOR(struct snapshot) snapshots; /* guarded by outage_lock */
	pthread_mutex_t outage_lock; /* serializes outages and losses of regions; the first of all locks */

	pthread_t serving; /* the mount's thread */
	int ended_fd;	   /* an eventfd: readable once the mount has ended */
};

/* Fill in the options from the command line. Returns -1 to continue, else the exit status. */
int daemon_parse_options(int argc, char **argv, struct daemon_options *options);

/*
 * The text, of up to REQUEST_MARK_MAX bytes, is the last mark from here on, and in the log. Returns after the
 * outage, if one is at this mark. Thread-safe.
 */
void daemon_set_mark(struct daemon *daemon, uid_t uid, const char *text);
/* Answer a request; `context` is the struct daemon (control_options.handle). */
void verbs_handle(void *context, struct json_object *request, const struct peer *peer, struct reply *reply);

#endif
