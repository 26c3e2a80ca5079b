/* SPDX-License-Identifier: BSD-3-Clause */
#include "workers.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/align.h"
#include "common/clock.h"
#include "common/processors.h"
#include "dispatch.h"

/* Headers of the largest request come before its data. */
#define REQUEST_MAX (FUSEFS_TRANSFER_MAX + PAGE_BYTES)

/*
 * A request comes soon if it comes in a time in which a thread that sleeps would hardly be woken. If requests
 * wait already when they are asked for, there is work for all workers.
 */
#define SOON_NS 50000u
#define AT_ONCE_NS 3000u
/* A worker takes the lead if so many more of the last requests came soon than not. */
#define SOON_MANY 8u
#define SOON_MOST 32u

struct worker {
	struct fusefs *fs;
	pthread_t thread;
	unsigned char *buffer;
	struct fuse_buf request;
	uint64_t lead; /* its lead; 0: it does not lead */
};

/* Read one request: its size, or 0 at the end of the mount. The thread may be cancelled while it waits. */
static size_t receive(struct fusefs *fs, void *buffer, size_t size)
{
	ssize_t got;
	int state;

	do {
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
		got = read(fuse_session_fd(fs->session), buffer, size);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
		/* ENOENT: the request was withdrawn before it was read. */
	} while (got < 0 && (errno == ENOENT || errno == EINTR || errno == EAGAIN));
	if (got < 0 && errno == ENODEV)
		atomic_store(&fs->detached, true);
	else if (got < 0)
		log_sink_print(&fs->options.log, "mount %s: reading a request: %s", fs->mountpoint,
			       strerror(errno));
	return got < 0 ? 0 : (size_t)got;
}

static bool request_waits(const struct fusefs *fs)
{
	struct pollfd device = { .fd = fuse_session_fd(fs->session), .events = POLLIN };

	return poll(&device, 1, 0) != 0;
}

/* A request has been read: will the next ones come soon? Late ones tell more, since to stay awake costs. */
static void expect(struct fusefs *fs, uint64_t now)
{
	unsigned soon = atomic_load(&fs->soon);
	uint64_t waited = now - min_u64(now, atomic_load(&fs->served_at));

	if (waited >= SOON_NS)
		soon -= (unsigned)min_u64(soon, 4);
	else if (waited < AT_ONCE_NS)
		soon -= (unsigned)min_u64(soon, 1);
	else if (soon < SOON_MOST)
		soon++;
	atomic_store(&fs->soon, soon);
}

/*
 * A program that makes one request after the other makes the next one in less time than it takes to wake a
 * thread. So a leader sleeps only if none came soon.
 */
static size_t wait_for_request(struct worker *worker)
{
	struct fusefs *fs = worker->fs;
	uint64_t until = atomic_load(&fs->served_at) + SOON_NS;
	size_t size;

	if (worker->lead)
		while (!request_waits(fs) && clock_ns() < until)
			;
	size = receive(fs, worker->request.mem, REQUEST_MAX);
	expect(fs, clock_ns());
	return size;
}

static void take_turns(struct worker *worker)
{
	struct turn *turn = &worker->fs->turn;
	bool soon = atomic_load(&worker->fs->soon) >= SOON_MANY;

	atomic_store(&worker->fs->served_at, clock_ns());
	if (worker->lead)
		worker->lead = turn_done(turn, worker->lead);
	if (worker->lead && !soon) {
		turn_leave(turn, worker->lead);
		worker->lead = 0;
	} else if (!worker->lead && soon && worker->fs->may_lead) {
		worker->lead = turn_take(turn);
	}
	if (!worker->lead)
		turn_stand_by(turn);
}

static void serve(struct worker *worker)
{
	struct turn *turn = &worker->fs->turn;

	while ((worker->request.size = wait_for_request(worker))) {
		if (worker->lead)
			worker->lead = turn_got(turn, worker->lead);
		fusefs_dispatch(worker->fs, &worker->request);
		take_turns(worker);
	}
	turn_end(turn);
}

static void worker_ends(void *context)
{
	struct fusefs *fs = context;

	atomic_fetch_sub(&fs->workers_running, 1);
	sem_post(&fs->wake);
}

static void *worker_run(void *context)
{
	struct worker *worker = context;
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_cleanup_push(worker_ends, worker->fs);
	serve(worker);
	pthread_cleanup_pop(1);
	return NULL;
}

static unsigned workers_wanted(const struct fusefs *fs)
{
	if (fs->options.threads)
		return fs->options.threads;
	/* At least two: one may wait for a lock of the pools while the other is needed for write-back. */
	return (unsigned)max_u64(2, min_u64(processors_usable(), 16));
}

static int worker_start(struct fusefs *fs, unsigned number)
{
	struct worker *worker = &fs->workers[number];
	char name[16];
	int error;

	worker->fs = fs;
	error = posix_memalign((void **)&worker->buffer, PAGE_BYTES, REQUEST_MAX + PAGE_BYTES);
	if (error)
		return -error;
	/* The data of a WRITE starts on a page, where copying is fastest. */
	worker->request.mem = worker->buffer + PAGE_BYTES - sizeof(struct fuse_in_header) -
			      sizeof(struct fuse_write_in);
	atomic_fetch_add(&fs->workers_running, 1);
	error = pthread_create(&worker->thread, NULL, worker_run, worker);
	if (error) {
		atomic_fetch_sub(&fs->workers_running, 1);
		free(worker->buffer);
		return -error;
	}
	snprintf(name, sizeof(name), "fuse/%u", number);
	pthread_setname_np(worker->thread, name);
	return 0;
}

int fusefs_workers_start(struct fusefs *fs)
{
	unsigned wanted = workers_wanted(fs);
	int error = 0;

	fs->workers = calloc(wanted, sizeof(*fs->workers));
	if (!fs->workers)
		return -ENOMEM;
	turn_init(&fs->turn);
	fs->may_lead = processors_usable() > 1;
	while (fs->worker_count < wanted && !error) {
		error = worker_start(fs, fs->worker_count);
		if (!error)
			fs->worker_count++;
	}
	return fs->worker_count ? 0 : error;
}

void fusefs_workers_join(struct fusefs *fs)
{
	if (!fs->workers)
		return;
	turn_end(&fs->turn);
	for (unsigned i = 0; i < fs->worker_count; i++) {
		pthread_cancel(fs->workers[i].thread);
		pthread_join(fs->workers[i].thread, NULL);
		free(fs->workers[i].buffer);
	}
	turn_destroy(&fs->turn);
	free(fs->workers);
	fs->workers = NULL;
	fs->worker_count = 0;
}
