/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_VERBS_H
#define SRC_VERBS_H

/* What the daemon does for each verb; between verbs.c, place.c, list.c, tree.c and power.c. */

#include "daemon/daemon.h"

/* A request being answered. */
struct job {
	struct daemon *daemon;
	const struct request *request;
	const struct peer *peer;
	struct reply *reply;
	struct json_object *result; /* goes into the final frame; NULL: nothing */
	struct message message;	    /* why it failed */

	/* What it is about (job_place()): of several regions NULL is all of them. */
	struct served_region *region;
	char *path;    /* in the region, as "/a/b"; its root is "" */
	char *shown;   /* as messages call it: "/NAME/a/b" of several regions */
	bool prefixed; /* the path that was asked for began with the region's name */
};

typedef int verb_fn(struct job *job);
verb_fn verb_list, verb_create, verb_destroy, verb_path, verb_powerfail, verb_stat;

/* Set the message from an errno: "PATH: what: way out". Returns the error. */
int job_fail(struct job *job, int error, const char *path);

/* The region asked for; NULL: one of several was not. */
int job_region(struct job *job);
/* The region and the path asked for. A region that has failed is refused. */
int job_place(struct job *job);
/* A path of the region as the daemon's whole tree has it, for the caller to free; NULL: no memory. */
char *job_show(const struct daemon *daemon, const struct served_region *region, const char *path);
/* Of several regions, which one this is of. */
void job_put_region(const struct job *job, const struct served_region *region, struct json_object *object);
/* What the daemon did under the mount's feet: the kernel is to look `name` up anew. */
void job_entry_changed(struct job *job, struct pool *directory, const char *name);

void job_put_uuid(struct json_object *object, const uint8_t uuid[16]);
/* The members that tell a pool's mode in ndctl's words. */
void job_put_mode(struct json_object *object, enum pool_mode mode);

/* The last mark, or "". */
void daemon_last_mark(struct daemon *daemon, char mark[REQUEST_MARK_MAX + 1]);

#endif
