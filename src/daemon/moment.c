/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/moment.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "daemon/daemon.h"
#include "server/control_server.h"

void moment_init(struct daemon_moment *moment)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&moment->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&moment->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

void moment_destroy(struct daemon_moment *moment)
{
	vector_free(&moment->runs);
	pthread_cond_destroy(&moment->changed);
	pthread_mutex_destroy(&moment->lock);
}

static void set_state(struct daemon_moment *moment, enum daemon_moment_state state)
{
	moment->state = state;
	pthread_cond_broadcast(&moment->changed);
}

/* No event is waited for. The lock is held. */
static void set_idle(struct daemon *daemon)
{
	struct daemon_moment *moment = &daemon->moment;

	if (moment->fence && !moment->lists)
		attach_announce_fences(daemon->attach, false);
	moment->fence = 0;
	set_state(moment, DAEMON_MOMENT_IDLE);
}

/*
 * Called by a worker of the mount. Its thread notices a client's end too late: the client may have been
 * cancelled because this event must not be the moment.
 */
static bool is_wanted(void *context)
{
	const struct daemon_moment *moment = context;

	return !reply_has_hung_up(moment->reply);
}

/* The same. */
static void reached(void *context)
{
	struct daemon_moment *moment = context;
	LOCK_SCOPE(&moment->lock);

	set_state(moment, DAEMON_MOMENT_REACHED);
}

static int arm_mount(struct daemon *daemon, const struct moment_wanted *wanted, struct message *message)
{
	const struct fusefs_moment what = {
		.kind = wanted->event == MOMENT_SYNC ? FUSEFS_EVENT_SYNC : FUSEFS_EVENT_CHANGE,
		.number = wanted->number,
		.after = wanted->after,
		.pattern = (char *)wanted->pattern,
		.holds = wanted->holds,
		.is_wanted = is_wanted,
		.reached = reached,
		.context = &daemon->moment,
	};
	int error = daemon->fusefs ? fusefs_moment_arm(daemon->fusefs, &what) : -EINVAL;

	if (error == -EINVAL)
		return message_fail(message, error,
				    "powerfail: the daemon has no mount whose requests could be counted: "
				    "start it with --mount");
	return error ? message_fail(message, error, "powerfail: %s", strerror(-error)) : 0;
}

int moment_arm(struct daemon *daemon, const struct moment_wanted *wanted, struct message *message)
{
	struct daemon_moment *moment = &daemon->moment;
	int error = 0;

	{
		LOCK_SCOPE(&moment->lock);
		while (moment->state == DAEMON_MOMENT_ARMED && reply_has_hung_up(moment->reply))
			pthread_cond_wait(&moment->changed, &moment->lock);
		if (moment->state != DAEMON_MOMENT_IDLE)
			return message_fail(message, -EBUSY,
					    "powerfail: another command waits for its moment: end it first");
		moment->state = DAEMON_MOMENT_ARMED;
		moment->reply = wanted->reply;
		moment->holds = wanted->holds;
		strcpy(moment->mark, wanted->event == MOMENT_MARK ? wanted->mark : "");
		moment->fence = wanted->event == MOMENT_FENCE ? wanted->number : 0;
		moment->after = wanted->after;
		moment->fences = 0;
		moment->fencing = NULL;
		if (moment->fence)
			attach_announce_fences(daemon->attach, true);
	}
	/* Without the lock: a worker may call reached() at once. */
	if (wanted->event == MOMENT_CHANGE || wanted->event == MOMENT_SYNC)
		error = arm_mount(daemon, wanted, message);
	if (error)
		moment_end(daemon);
	return error;
}

bool moment_wait(struct daemon *daemon, unsigned milliseconds)
{
	struct daemon_moment *moment = &daemon->moment;
	const struct timespec until = clock_deadline_ms(milliseconds);
	LOCK_SCOPE(&moment->lock);

	while (moment->state == DAEMON_MOMENT_ARMED)
		if (pthread_cond_timedwait(&moment->changed, &moment->lock, &until))
			break;
	return moment->state == DAEMON_MOMENT_REACHED;
}

bool moment_disarm(struct daemon *daemon)
{
	struct daemon_moment *moment = &daemon->moment;

	/* A mark or fence needs no mount; a request on the mount is decided there. */
	if (daemon->fusefs && !fusefs_moment_disarm(daemon->fusefs))
		return false;
	LOCK_SCOPE(&moment->lock);
	if (moment->state == DAEMON_MOMENT_REACHED)
		return false;
	set_idle(daemon);
	return true;
}

void moment_end(struct daemon *daemon)
{
	LOCK_SCOPE(&daemon->moment.lock);

	set_idle(daemon);
}

bool moment_is_awaited(struct daemon *daemon)
{
	LOCK_SCOPE(&daemon->moment.lock);

	return daemon->moment.state == DAEMON_MOMENT_ARMED && is_wanted(&daemon->moment);
}

uint64_t moment_fences(struct daemon *daemon, pid_t *pid)
{
	LOCK_SCOPE(&daemon->moment.lock);

	*pid = daemon->moment.pid;
	return daemon->moment.fences;
}

/* ---- The list of fences ------------------------------------------------------------ */

void moment_list_fences(struct daemon *daemon)
{
	struct daemon_moment *moment = &daemon->moment;
	LOCK_SCOPE(&moment->lock);

	vector_free(&moment->runs);
	moment->lists = true;
	moment->listed = 0;
	attach_announce_fences(daemon->attach, true);
}

/* The lock is held. */
static void stop_listing(struct daemon *daemon)
{
	struct daemon_moment *moment = &daemon->moment;

	if (moment->lists && !moment->fence)
		attach_announce_fences(daemon->attach, false);
	moment->lists = false;
}

bool moment_take_fences(struct daemon *daemon, struct moment_fence_runs *runs)
{
	struct daemon_moment *moment = &daemon->moment;
	LOCK_SCOPE(&moment->lock);

	stop_listing(daemon);
	*runs = moment->runs;
	moment->runs = (struct moment_fence_runs){ 0 };
	return moment->listed == MOMENT_FENCES_LISTED;
}

static void list_fence(struct daemon *daemon)
{
	struct daemon_moment *moment = &daemon->moment;
	struct moment_fence_runs *runs = &moment->runs;
	const struct moment_fence_run run = {
		.operations = daemon->fusefs ? fusefs_events_listed(daemon->fusefs) : 0,
		.fences = 1,
	};
	struct moment_fence_run *last = runs->count ? &runs->items[runs->count - 1] : NULL;

	if (last && last->operations == run.operations)
		last->fences++;
	else
		(void)!vector_append(runs, run);
	if (++moment->listed == MOMENT_FENCES_LISTED)
		stop_listing(daemon);
}

/* ---- Meeting the event ------------------------------------------------------------ */

/* The moment is now, unless its client has hung up. The lock is held. */
static void stop_now(struct daemon *daemon)
{
	struct daemon_moment *moment = &daemon->moment;

	moment->fencing = NULL;
	if (!is_wanted(moment)) {
		pthread_cond_broadcast(&moment->changed);
		return;
	}
	if (daemon->fusefs)
		fusefs_moment_now(daemon->fusefs, moment->holds);
	set_state(moment, DAEMON_MOMENT_REACHED);
}

/* The same. */
static void wait_until_over(struct daemon_moment *moment)
{
	while (moment->state == DAEMON_MOMENT_REACHED)
		pthread_cond_wait(&moment->changed, &moment->lock);
}

/* It is published, or its client has gone or hangs: then it may be. */
static void fence_is_over(struct daemon *daemon)
{
	struct daemon_moment *moment = &daemon->moment;

	if (moment->fences == moment->fence) {
		stop_now(daemon);
	} else {
		moment->fencing = NULL;
		pthread_cond_broadcast(&moment->changed);
	}
}

static bool is_fencing(const struct daemon_moment *moment)
{
	return moment->state == DAEMON_MOMENT_ARMED && moment->fencing;
}

/* The longest time from the reply to a client until it has published. No other fence begins meanwhile. */
#define PUBLISH_MS 2000u

/* Wait until no fence is between its beginning and its publication. */
static void wait_for_publication(struct daemon *daemon)
{
	struct daemon_moment *moment = &daemon->moment;

	while (is_fencing(moment)) {
		const uint64_t fences = moment->fences;
		const struct timespec until = clock_deadline_ms(PUBLISH_MS);
		int late = 0;

		while (is_fencing(moment) && moment->fences == fences && !late)
			late = pthread_cond_timedwait(&moment->changed, &moment->lock, &until);
		if (late && is_fencing(moment) && moment->fences == fences)
			fence_is_over(daemon);
	}
}

/*
 * Fences are let through one by one, so that all earlier ones have published when the moment comes, and none
 * of the later.
 */
static void fence_begins(struct daemon *daemon, const void *client, pid_t pid)
{
	struct daemon_moment *moment = &daemon->moment;

	if (moment->lists)
		list_fence(daemon);
	wait_for_publication(daemon);
	wait_until_over(moment);
	if (moment->state != DAEMON_MOMENT_ARMED || !moment->fence)
		return;
	moment->pid = pid;
	if (++moment->fences == moment->fence && !moment->after) {
		stop_now(daemon);
		wait_until_over(moment);
	} else {
		moment->fencing = client;
	}
}

void moment_meet_fence(struct daemon *daemon, enum attach_fence_event event, const void *client, pid_t pid)
{
	struct daemon_moment *moment = &daemon->moment;
	LOCK_SCOPE(&moment->lock);

	if (event == ATTACH_FENCE_BEGINS) {
		fence_begins(daemon, client, pid);
		return;
	}
	if (is_fencing(moment) && moment->fencing == client)
		fence_is_over(daemon);
	/* A client that has gone has nothing to wait for. */
	if (event == ATTACH_FENCE_PUBLISHED)
		wait_until_over(moment);
}

void moment_meet_mark(struct daemon *daemon, const char *text)
{
	struct daemon_moment *moment = &daemon->moment;
	LOCK_SCOPE(&moment->lock);

	if (moment->state != DAEMON_MOMENT_ARMED || !*moment->mark || strcmp(moment->mark, text) != 0)
		return;
	stop_now(daemon);
	wait_until_over(moment);
}
