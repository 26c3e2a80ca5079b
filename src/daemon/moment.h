/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_MOMENT_H
#define SRC_MOMENT_H

/*
 * Waiting for the exact moment of an outage: a request on the mount, a mark, or a fence of a program. Each
 * moment belongs to one request of the control socket, whose thread waits for it and then runs the outage.
 * Any thread.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "attach/attach_server.h"
#include "common/message.h"
#include "common/vector.h"
#include "wire/request.h"

struct daemon;
struct fusefs_event;
struct reply;

enum moment_event { MOMENT_NOW, MOMENT_CHANGE, MOMENT_SYNC, MOMENT_MARK, MOMENT_FENCE };

struct moment_wanted {
	enum moment_event event;
	bool after;	     /* of a change, sync or fence */
	uint64_t number;     /* the same; from 1 */
	const char *pattern; /* of a change or sync; NULL: all paths */
	const char *mark;    /* of MOMENT_MARK */
	bool holds;	     /* the mount answers nothing from the moment on, until fusefs_moment_release() */
	const struct reply *reply; /* of the request: no outage comes once its client has hung up */
};

/* Fences between two operations of the mount. */
struct moment_fence_run {
	uint64_t operations; /* of the list of fusefs_events_start() that came before */
	uint64_t fences;
};
struct moment_fence_runs {
	VECTOR_FIELDS(struct moment_fence_run);
};

enum daemon_moment_state { DAEMON_MOMENT_IDLE, DAEMON_MOMENT_ARMED, DAEMON_MOMENT_REACHED };

/* Part of struct daemon; private to moment.c. */
struct daemon_moment {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum daemon_moment_state state;	 /* guarded by lock, as what follows */
	/* Of the request that waits. Also read by a worker of the mount between arming and disarming it. */
	const struct reply *reply;
	bool holds;
	char mark[REQUEST_MARK_MAX + 1]; /* that is waited for; "" if another event is */
	/* Of MOMENT_FENCE. */
	uint64_t fence;	     /* the number of the fence that is waited for; 0 if another event is */
	bool after;	     /* the outage comes when it is published */
	uint64_t fences;     /* that began since it was armed */
	const void *fencing; /* the client whose fence has begun and is not published; NULL: none has */
	pid_t pid;	     /* of the last fence that counted */
	/* All fences are listed, beside or without a moment. */
	bool lists;
	uint64_t listed;
	struct moment_fence_runs runs;
};

void moment_init(struct daemon_moment *moment);
void moment_destroy(struct daemon_moment *moment);

/*
 * Wait from here on for the event. If the client of another request that waits has hung up, return only after
 * that one's moment_disarm(). 0; -EBUSY (another request waits for one), -EINVAL (there is no mount) or
 * -ENOMEM, with a message.
 */
int moment_arm(struct daemon *daemon, const struct moment_wanted *wanted, struct message *message);
/* True once it is reached, else false after so many milliseconds. If it is reached, an outage must follow. */
bool moment_wait(struct daemon *daemon, unsigned milliseconds);
/* Wait no longer. False: it was reached, and an outage must follow. */
bool moment_disarm(struct daemon *daemon);
/* The outage is over. */
void moment_end(struct daemon *daemon);

/* Does a request wait for its moment, and its client for the request? */
bool moment_is_awaited(struct daemon *daemon);

/* How many fences have begun since the moment was armed, and the process of the last one. */
uint64_t moment_fences(struct daemon *daemon, pid_t *pid);

/*
 * List the fences of programs beside the operations of the mount, from here on. A list that is kept begins
 * again. Each fence that is listed costs the program the time of a message and its answer, so after
 * MOMENT_FENCES_LISTED of them no more are.
 */
#define MOMENT_FENCES_LISTED 65536u
void moment_list_fences(struct daemon *daemon);
/* End the list, which is the caller's, for vector_free(); empty if none was started. True: it is full. */
bool moment_take_fences(struct daemon *daemon, struct moment_fence_runs *runs);

/* As attach_served.fence. */
void moment_meet_fence(struct daemon *daemon, enum attach_fence_event event, const void *client, pid_t pid);

/* A mark was set. Returns after the outage, if one is at this mark. */
void moment_meet_mark(struct daemon *daemon, const char *text);

#endif
