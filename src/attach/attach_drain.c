/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach/attach_drain.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "attach/attach_context.h"
#include "attach/attach_mappers.h"
#include "common/align.h"
#include "common/cleanup.h"
#include "common/clock.h"

#define STACK_BYTES (256u << 10)
/*
 * Between looks at the rings: while much comes in, while there is something to drain, and after a long time
 * without.
 */
#define LOOK_AT_ONCE_US 250
#define LOOK_SOON_US 10000
#define LOOK_LATE_US 160000
/* Much to find at a look: a quarter of what lets a client ask for a drain, which costs more than a look. */
#define MUCH_BYTES (256u << 10)
/* The drain thread keeps looking without a pause while this much comes in within this time. */
#define BUSY_BYTES (64u << 10)
#define BUSY_US 50
#define LOOK_PAUSES 200

/* ---- Expelling ------------------------------------------------------------------ */

/* Why one of the client's WPQs is dead, as wpq_fault(); 0 if none is. */
static int fault_of(const struct attach_client *client)
{
	for (unsigned r = 0; r < client->attach->served.regions; r++)
		for (size_t i = 0; i < client->regions[r].wpqs.count; i++)
			if (wpq_is_dead(client->regions[r].wpqs.items[i]))
				return wpq_fault(client->regions[r].wpqs.items[i]);
	return 0;
}

static void expel(struct attach_client *client)
{
	client->expelled = true;
	process_kill(client->connection.peer.pidfd);
	shutdown(client->connection.fd, SHUT_RDWR);
}

void attach_expel_malformed(struct attach_server *attach)
{
	LOCK_SCOPE(&attach->lock);

	for (struct attach_client *client = attach->clients; client; client = client->next) {
		const int fault = client->expelled ? 0 : fault_of(client);

		if (!fault)
			continue;
		/* On a DAX file system such a store raises SIGBUS. */
		server_say(&client->connection,
			   fault == -ENOSPC ?
				   "killed: it stored to a hole of a mapped pool, and the region is full" :
				   "killed: its WPQ held a malformed record");
		expel(client);
	}
}

void attach_expel(struct attach_client *client, unsigned region)
{
	if (client->expelled)
		return;
	server_say(&client->connection, "killed: it uses the region %s, whose memory is gone",
		   client->attach->served.names[region]);
	expel(client);
}

/* ---- Draining ------------------------------------------------------------------ */

/*
 * With a client: where it has WPQs, so that it hears of lost media. Else where something is published; media
 * that are lost are left out, for nothing can be done about them.
 */
static bool needs_drain(struct pools *pools, const struct attach_client *client, unsigned region)
{
	if (client)
		return client->regions[region].wpqs.count;
	return !pools_media_lost(pools) && pools_published(pools);
}

/* Bytes that wait in all WPQs. */
static uint64_t published_bytes(const struct attach_server *attach)
{
	const struct attach_served *served = &attach->served;
	uint64_t sum = 0;

	for (unsigned i = 0; i < served->regions; i++)
		if (needs_drain(served->pools[i], NULL, i))
			sum += pools_published(served->pools[i]);
	return sum;
}

int attach_drain(struct attach_server *attach, struct attach_client *client)
{
	const struct attach_served *served = &attach->served;
	int result = 0;

	for (unsigned i = 0; i < served->regions; i++) {
		int error = needs_drain(served->pools[i], client, i) ? pools_drain(served->pools[i]) : 0;

		/* A WPQ is dead, possibly another client's. All others have been drained. */
		if (error && error != -EPROTO && error != -ENOSPC)
			result = error;
		if (error && client && pools_media_lost(served->pools[i])) {
			LOCK_SCOPE(&attach->lock);
			attach_expel(client, i);
		}
	}
	attach_expel_malformed(attach);
	{
		LOCK_SCOPE(&attach->lock);
		attach->drained = true;
		pthread_cond_signal(&attach->drain_soon);
	}
	return result;
}

void attach_drain_kick(struct attach_server *attach)
{
	LOCK_SCOPE(&attach->lock);

	attach->kicked = true;
	pthread_cond_signal(&attach->drain_soon);
}

/* ---- The drain thread ------------------------------------------------------------ */

/* False: the server stops. */
static bool wait_to_look(struct attach_server *attach, unsigned microseconds)
{
	LOCK_SCOPE(&attach->lock);
	struct timespec until = clock_deadline_us(microseconds);

	while (!attach->stopping && !attach->kicked && !attach->drained) {
		if (attach->wpq_count == 0) {
			pthread_cond_wait(&attach->drain_soon, &attach->lock);
			until = clock_deadline_us(microseconds);
		} else if (pthread_cond_timedwait(&attach->drain_soon, &attach->lock, &until) != 0) {
			break;
		}
	}
	attach->kicked = false;
	return !attach->stopping;
}

/* After a drain, bytes of pools that others cache are stale: the mount's kernel caches. */
static void report_changes(struct attach_server *attach)
{
	const struct attach_served *served = &attach->served;

	{
		LOCK_SCOPE(&attach->lock);
		if (!attach->drained)
			return;
		attach->drained = false;
	}
	for (unsigned i = 0; served->changed && i < served->regions; i++)
		pools_for_attached(served->pools[i], served->changed, served->context);
}

static void set_awake(const struct attach_server *attach, bool awake)
{
	for (unsigned i = 0; i < attach->served.regions; i++)
		pools_set_awake(attach->served.pools[i], awake);
}

/*
 * Drain without a pause while this much comes in. A client that fills its rings then finds room without
 * asking. A client that flushes little is drained now and then, and asks when its ring is full.
 */
static int drain_awake(struct attach_server *attach)
{
	uint64_t reported = clock_us(), last = reported;
	int error = attach_drain(attach, NULL);

	set_awake(attach, true);
	for (uint64_t now = reported; !error && now - last < BUSY_US; now = clock_us()) {
		if (published_bytes(attach) >= BUSY_BYTES) {
			error = attach_drain(attach, NULL);
			last = clock_us();
		} else {
			/* Each look takes the cache lines of the positions away from the clients. */
			for (unsigned i = 0; i < LOOK_PAUSES; i++)
				__builtin_ia32_pause();
		}
		if (now - reported > LOOK_SOON_US) {
			report_changes(attach);
			reported = now;
		}
	}
	set_awake(attach, false);
	/* A client that saw this thread awake just before did not ask for a drain. */
	if (!error && published_bytes(attach))
		error = attach_drain(attach, NULL);
	return error;
}

/* Until the next look, if this one, after `interval`, found this many bytes. */
static unsigned next_interval(unsigned interval, uint64_t found)
{
	if (found == 0)
		return (unsigned)min_u64(2 * (uint64_t)interval, LOOK_LATE_US);
	interval = (unsigned)min_u64(interval, LOOK_SOON_US);
	if (found >= MUCH_BYTES)
		return (unsigned)max_u64(interval / 2, LOOK_AT_ONCE_US);
	return found < MUCH_BYTES / 4 ? (unsigned)min_u64(2 * interval, LOOK_SOON_US) : interval;
}

static void *drain_thread(void *argument)
{
	struct attach_server *attach = argument;
	unsigned interval = LOOK_SOON_US;
	int last_error = 0;

	while (wait_to_look(attach, interval)) {
		uint64_t found;
		int error;

		report_changes(attach);
		found = published_bytes(attach);
		interval = next_interval(interval, found);
		if (found == 0)
			continue;
		error = drain_awake(attach);
		if (error && error != last_error)
			log_sink_print(&attach->options.log, "attach: cannot drain: %s", strerror(-error));
		last_error = error;
		report_changes(attach);
	}
	return NULL;
}

int attach_drain_start(struct attach_server *attach)
{
	int error = server_thread(STACK_BYTES, drain_thread, attach, &attach->drainer);

	attach->draining = error == 0;
	return error;
}

void attach_drain_stop(struct attach_server *attach)
{
	if (!attach->draining)
		return;
	{
		LOCK_SCOPE(&attach->lock);
		attach->stopping = true;
		pthread_cond_signal(&attach->drain_soon);
	}
	pthread_join(attach->drainer, NULL);
	attach->draining = false;
}
