/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach/attach_holes.h"

#include <signal.h>
#include <time.h>

#include "attach/attach_context.h"
#include "attach/attach_mappers.h"
#include "common/align.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "pool/holes.h"

#define STACK_BYTES (256u << 10)
/* A program's threads touch at most so many pages in a millisecond: 4 GB/s. */
#define PAGES_A_MS 1024u
#define LOOK_SOON_MS 5u
#define LOOK_LATE_MS 100u
/* A program that handles SIGBUS has this long to unmap the pool. */
#define PATIENCE_MS 100u

/* The memory files of the view, for the caller to free. */
static struct view_memory *files_of(struct attach_server *attach, unsigned region, uint32_t view,
				    size_t *count)
{
	size_t all, kept = 0;
	struct view_memory *views = attach_views_copy(attach, &all);

	for (size_t i = 0; views && i < all; i++)
		if (views[i].region == region && views[i].id == view)
			views[kept++] = views[i];
	*count = kept;
	return views;
}

struct pids {
	VECTOR_FIELDS(pid_t);
};

/* The connected processes that have pools of the region: to find all others takes much longer. */
static void list_clients(struct attach_server *attach, unsigned region, struct pids *pids)
{
	LOCK_SCOPE(&attach->lock);

	for (const struct attach_client *client = attach->clients; client; client = client->next)
		if (client->regions[region].has_pools && client->connection.peer.pid)
			(void)!vector_append(pids, client->connection.peer.pid);
}

static void tell(struct attach_server *attach, const struct pools_holes *holes, int signal, size_t processes)
{
	unsigned suppressed;
	char path[512];

	/* Whoever causes them: all processes together. */
	if (!loglimit_allows(&attach->holes.loglimit, 0, clock_ms(), &suppressed))
		return;
	if (pool_path(holes->over, path, sizeof(path)) < 0)
		*path = '\0';
	log_sink_print(&attach->options.log,
		       "attach: SIG%s to %zu processes that map the pool %s: they %s more of its holes than "
		       "%s",
		       sigabbrev_np(signal), processes, path, holes->over_stored ? "stored to" : "read",
		       holes->over_stored ? "the region has space for" : "the daemon has memory for");
}

/* Too much of the pool was touched. */
static void end_stores(struct attach_server *attach, unsigned region, const struct pools_holes *holes)
{
	struct attach_holes *state = &attach->holes;
	CLEANUP_FREE struct view_memory *views = NULL;
	CLEANUP_VECTOR struct pids clients = { 0 };
	const uint64_t now = clock_ms();
	size_t count, processes;
	int signal = 0;
	uint32_t view;

	if (!pool_attached_view(holes->over, &view))
		return;
	views = files_of(attach, region, view, &count);
	if (!views)
		return;
	if (!state->signalled || state->region != region || state->view != view)
		signal = SIGBUS;
	else if (now - state->signalled >= PATIENCE_MS)
		signal = SIGKILL;
	list_clients(attach, region, &clients);
	processes = mappers_signal(views, count, clients.items, clients.count, signal);
	if (!processes) {
		pool_discard_holes(holes->over, holes->keep);
		state->signalled = 0;
		return;
	}
	if (signal)
		tell(attach, holes, signal, processes);
	if (signal != SIGBUS)
		return;
	state->region = region;
	state->view = view;
	state->signalled = now;
}

/* How many pages may become touched until the next look. */
static uint64_t look(struct attach_server *attach)
{
	uint64_t left = UINT64_MAX;

	/* Not during an outage, which ends these processes anyway. */
	READ_SCOPE(&attach->power);
	for (unsigned i = 0; i < attach->served.regions; i++) {
		struct pools *pools = attach->served.pools[i];
		struct pools_holes holes;

		if (pools_media_lost(pools))
			continue;
		pools_count_holes(pools, &holes);
		left = min_u64(left, holes.left);
		if (!holes.over)
			continue;
		end_stores(attach, i, &holes);
		pool_unref(holes.over, 1);
		left = 0;
	}
	return left;
}

/*
 * The time until the next look, after one that took `took` ms: by what is left, and not more of a processor
 * than a third, or a thirtieth while nothing is touched.
 */
static uint64_t next_wait(uint64_t left, bool idle, uint64_t took)
{
	const uint64_t wait = max_u64(LOOK_SOON_MS, min_u64(left / PAGES_A_MS, LOOK_LATE_MS));

	return max_u64(wait, (idle ? 30 : 2) * took);
}

/* While no view was given to a client, nothing is looked at. False: the server stops. */
static bool wait_for_look(struct attach_server *attach, uint64_t milliseconds)
{
	LOCK_SCOPE(&attach->lock);
	const struct timespec until = clock_deadline_ms(milliseconds);

	while (!attach->stopping)
		if (!attach->views.count)
			pthread_cond_wait(&attach->holes.soon, &attach->lock);
		else if (pthread_cond_timedwait(&attach->holes.soon, &attach->lock, &until) != 0)
			break;
	return !attach->stopping;
}

static void *watch(void *argument)
{
	struct attach_server *attach = argument;
	uint64_t wait = LOOK_LATE_MS, before = 0;

	while (wait_for_look(attach, wait)) {
		const uint64_t begun = clock_ms(), left = look(attach);

		wait = next_wait(left, left && left == before, clock_ms() - begun);
		before = left;
	}
	return NULL;
}

int attach_holes_start(struct attach_server *attach)
{
	int error = server_thread(STACK_BYTES, watch, attach, &attach->holes.watcher);

	attach->holes.watching = error == 0;
	return error;
}

void attach_holes_stop(struct attach_server *attach)
{
	if (!attach->holes.watching)
		return;
	{
		LOCK_SCOPE(&attach->lock);
		attach->stopping = true;
		pthread_cond_signal(&attach->holes.soon);
	}
	pthread_join(attach->holes.watcher, NULL);
	attach->holes.watching = false;
}
