/* SPDX-License-Identifier: BSD-3-Clause */
#include "request_moment.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "mount_context.h"
#include "request_path.h"

void fusefs_moment_init(struct moment *moment)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&moment->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&moment->released, &attributes);
	pthread_condattr_destroy(&attributes);
}

void fusefs_moment_destroy(struct moment *moment)
{
	free(moment->what.pattern);
	pthread_cond_destroy(&moment->released);
	pthread_mutex_destroy(&moment->lock);
}

/* ---- The request ------------------------------------------------------------------ */

/* A pattern without a slash is for the last part of the path. */
static bool path_matches(const char *pattern, const char *path)
{
	const char *last = strrchr(path, '/');

	if (!*path)
		return false;
	return fnmatch(pattern, !strchr(pattern, '/') && last ? last + 1 : path, 0) == 0;
}

/* Does the request count? If there is a pattern, seen->path is then the path of it that matches. */
static bool counts(struct fusefs *fs, const struct fusefs_moment *what, const struct fuse_in_header *in,
		   struct fusefs_event *seen)
{
	enum fusefs_request_kind kind = fusefs_request_kind(in);

	if (kind != FUSEFS_REQUEST_SYNC && (what->kind == FUSEFS_EVENT_SYNC || kind != FUSEFS_REQUEST_CHANGE))
		return false;
	if (!what->pattern)
		return true;
	fusefs_request_path(fs, in, 0, seen->path, sizeof(seen->path));
	if (path_matches(what->pattern, seen->path))
		return true;
	fusefs_request_path(fs, in, 1, seen->path, sizeof(seen->path));
	return path_matches(what->pattern, seen->path);
}

/* The lock is held, and no outage has begun. */
static void stop(struct fusefs *fs, bool holds)
{
	fs->moment.stopped = true;
	fs->moment.held = fs->moment.kills = holds;
	/* Requests from before the last outage have left long ago, so this does not wait. */
	fusefs_gate_change(&fs->gate, GATE_WRITE_BACK);
}

bool fusefs_moment_meet(struct fusefs *fs, const struct fuse_in_header *in)
{
	struct moment *moment = &fs->moment;
	struct fusefs_moment what;

	if (!atomic_load_explicit(&moment->armed, memory_order_acquire))
		return false;
	pthread_mutex_lock(&moment->lock);
	if (moment->state != MOMENT_ARMED || moment->stopped || moment->suspended ||
	    !counts(fs, &moment->what, in, &moment->seen) || ++moment->seen.number < moment->what.number ||
	    !moment->what.is_wanted(moment->what.context)) {
		pthread_mutex_unlock(&moment->lock);
		return false;
	}
	moment->seen.operation = fusefs_request_name(in);
	if (!moment->what.pattern)
		fusefs_request_path(fs, in, 0, moment->seen.path, sizeof(moment->seen.path));
	moment->state = MOMENT_REACHED;
	atomic_store(&moment->armed, false);
	stop(fs, moment->what.holds);
	what = moment->what;
	pthread_mutex_unlock(&moment->lock);
	/* The caller's token keeps the outage from beginning. */
	what.reached(what.context);
	return !what.after;
}

/*
 * Killing looks at /proc/PID/maps, for which the kernel may wait for a page fault of that process, and so for
 * a request that is held. Then it is answered after this time.
 */
#define HOLD_MS 2000

bool fusefs_moment_hold(struct moment *moment)
{
	LOCK_SCOPE(&moment->lock);
	const struct timespec until = clock_deadline_ms(HOLD_MS);

	while (moment->held)
		if (pthread_cond_timedwait(&moment->released, &moment->lock, &until))
			moment->held = false;
	return moment->kills;
}

/* The lock is held. */
static void release(struct moment *moment)
{
	moment->held = false;
	pthread_cond_broadcast(&moment->released);
}

void fusefs_moment_release(struct fusefs *fs)
{
	LOCK_SCOPE(&fs->moment.lock);

	release(&fs->moment);
}

/* ---- Outages ---------------------------------------------------------------------- */

void fusefs_moment_suspend(struct moment *moment)
{
	LOCK_SCOPE(&moment->lock);

	moment->suspended = true;
	release(moment);
}

void fusefs_moment_continue(struct moment *moment)
{
	LOCK_SCOPE(&moment->lock);

	moment->suspended = false;
	moment->stopped = false;
	moment->kills = false;
	if (moment->state == MOMENT_REACHED)
		moment->state = MOMENT_IDLE;
}

/* ---- For the daemon ---------------------------------------------------------------- */

int fusefs_moment_arm(struct fusefs *fs, const struct fusefs_moment *what)
{
	struct moment *moment = &fs->moment;
	char *pattern = what->pattern ? strdup(what->pattern) : NULL;
	LOCK_SCOPE(&moment->lock);

	if (what->pattern && !pattern)
		return -ENOMEM;
	if (moment->state != MOMENT_IDLE) {
		free(pattern);
		return -EBUSY;
	}
	free(moment->what.pattern);
	moment->what = *what;
	moment->what.pattern = pattern;
	moment->seen = (struct fusefs_event){ .operation = "" };
	moment->state = MOMENT_ARMED;
	atomic_store(&moment->armed, true);
	return 0;
}

bool fusefs_moment_disarm(struct fusefs *fs)
{
	struct moment *moment = &fs->moment;
	LOCK_SCOPE(&moment->lock);

	if (moment->state == MOMENT_REACHED)
		return false;
	moment->state = MOMENT_IDLE;
	atomic_store(&moment->armed, false);
	return true;
}

void fusefs_moment_now(struct fusefs *fs, bool holds)
{
	struct moment *moment = &fs->moment;
	LOCK_SCOPE(&moment->lock);

	/* In an outage the gate is closed already. */
	if (!moment->suspended && !moment->stopped)
		stop(fs, holds);
}

void fusefs_moment_seen(struct fusefs *fs, struct fusefs_event *seen)
{
	LOCK_SCOPE(&fs->moment.lock);

	*seen = fs->moment.seen;
}

bool fusefs_moment_is_stopped(struct fusefs *fs)
{
	LOCK_SCOPE(&fs->moment.lock);

	return fs->moment.stopped;
}
