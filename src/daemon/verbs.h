/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DAEMON_VERBS_H
#define DAEMON_VERBS_H

/* The verbs of the control socket, each in a file of its own, and what these files share. */

#include "daemon/daemon.h"
#include "wire/request.h"

struct job;

struct verb {
	const char *name;
	const struct request_field *fields; /* its members, decoded into job->request */
	size_t request_bytes;		    /* of the structure they are decoded into */
	/* Refuse values that are valid one by one but not together: -EINVAL with a message. May be NULL. */
	int (*check)(const void *request, struct message *message);
	bool commits; /* what it did to names, sizes and attributes is durable when it has returned */
	/* 0, or a negative errno with job->message set. */
	int (*run)(struct job *job);
};
extern const struct verb verb_check, verb_create, verb_destroy, verb_events, verb_list, verb_mark,
	verb_path, verb_powerfail, verb_record, verb_rename, verb_resize, verb_restore, verb_snapshot,
	verb_stat, verb_status, verb_stop, verb_sync;

/* A request while it is answered. */
struct job {
	struct daemon *daemon;
	const void *request; /* the verb's structure */
	const struct peer *peer;
	struct reply *reply;
	struct json_object *result; /* for the final frame; NULL: none */
	struct message message;	    /* the reason for a failure */
	bool stops;		    /* the daemon ends after the reply */

	/* What the request is about (job_place()). */
	struct served_region *region; /* NULL: all regions, of several */
	char *path;    /* in the region, as "/a/b"; the root is "" */
	char *shown;   /* the path in messages: with several regions, "/NAME/a/b" */
	bool prefixed; /* the requested path began with the region's name */
};

/*
 * Decode a request: its verb, and the verb's structure for the caller to free. -EINVAL with a message. The
 * structure's strings live as long as `json`.
 */
int verbs_decode(struct json_object *json, const struct verb **verb, void **request, struct message *message);

/* Set the message from an errno: "PATH: reason: what to do". Returns the error. */
int job_fail(struct job *job, int error, const char *path);

/* Find the region by its name; with NULL, the only region, or none of several. */
int job_region(struct job *job, const char *name);
/* 0 if a region works; -EIO with a message if all have failed. */
int job_any_region(struct job *job);
/*
 * Find the region and the path (NULL: the root). -EIO with a message if the region has failed. `name` is the
 * region's; with NULL and several regions, the path begins with it. A verb that concerns two places calls it
 * for one after the other.
 */
int job_place(struct job *job, const char *name, const char *path);
/*
 * The directory of the last name of job->path, with a reference, and that name. `path` is a copy of
 * job->path, which is cut at its slashes.
 */
int job_parent(struct job *job, char *path, struct pool **parent, const char **name);
/* A pool cannot be created or destroyed beside the regions' directories: -EPERM with a message. */
int job_refuse_top(struct job *job, const char *path);
/* A path of the region as messages show it, for the caller to free; NULL without memory. */
char *job_show(const struct daemon *daemon, const struct served_region *region, const char *path);
/* With several regions, add the name of the one that this object is in. */
void job_put_region(const struct job *job, const struct served_region *region, struct json_object *object);
/* A directory's entry changed without the mount: the kernel must look it up again. */
void job_entry_changed(struct job *job, struct pool *directory, const char *name);

void job_put_uuid(struct json_object *object, const uint8_t uuid[16]);
/* The members that ndctl has for a namespace's mode: "mode" and "sector_size". */
void job_put_mode(struct json_object *object, enum pool_mode mode);
/* request_field.parse for a pool's mode. */
int job_parse_mode(const char *text, void *mode);

/*
 * Log what a request of this user did. The lines of a user other than root and the daemon's own are limited:
 * see server/loglimit.h.
 */
void daemon_log_for(struct daemon *daemon, uid_t uid, int priority, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The last mark, or "". */
void daemon_last_mark(struct daemon *daemon, char mark[REQUEST_MARK_MAX + 1]);

#endif
