/* SPDX-License-Identifier: BSD-3-Clause */
#include "workers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/align.h"
#include "common/clock.h"
#include "dispatch.h"

/* Headers of the largest request come before its data. */
#define REQUEST_MAX (FUSEFS_TRANSFER_MAX + PAGE_BYTES)

/* So long a worker stays awake to wait for the next request: to be woken takes about as long. */
#define AWAKE_NS 50000u
/* After so many requests that waited already the leader calls for help. */
#define BEHIND_MANY 8u

struct worker {
	struct fusefs *fs;
	pthread_t thread;
	unsigned char *buffer;
	struct fuse_buf request;
	unsigned behind;  /* how many of the last requests waited already when they were asked for */
	bool stays_awake; /* the last wait was short */
};

/* The next request's size; -EAGAIN if none waits; 0 at the end of the mount. */
static ssize_t receive(struct worker *worker)
{
	struct fusefs *fs = worker->fs;
	ssize_t got;

	do
		got = read(fuse_session_fd(fs->session), worker->request.mem, REQUEST_MAX);
	/* ENOENT: the request was withdrawn before it was read. */
	while (got < 0 && (errno == ENOENT || errno == EINTR));
	if (got < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (got < 0 && errno == ENODEV)
		atomic_store(&fs->detached, true);
	else if (got < 0)
		log_sink_print(&fs->options.log, "mount %s: reading a request: %s", fs->mountpoint,
			       strerror(errno));
	return got < 0 ? 0 : got;
}

/* The thread may be cancelled here. */
static void sleep_until_request(struct worker *worker)
{
	struct pollfd device = { .fd = fuse_session_fd(worker->fs->session), .events = POLLIN };
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	poll(&device, 1, -1);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
}

/*
 * Wait for a request: its size, or 0 at the end of the mount. A program that makes one request after the
 * other makes the next one sooner than a thread that sleeps can be woken. So after a short wait the next one
 * begins awake.
 */
static ssize_t wait_for_request(struct worker *worker)
{
	ssize_t got = receive(worker);
	uint64_t from, until;

	if (got != -EAGAIN) {
		if (++worker->behind >= BEHIND_MANY)
			turn_call_help(&worker->fs->turn);
		return got;
	}
	worker->behind = 0;
	from = clock_ns();
	until = worker->stays_awake ? from + AWAKE_NS : from;
	while ((got = receive(worker)) == -EAGAIN)
		if (clock_ns() >= until)
			sleep_until_request(worker);
	worker->stays_awake = worker->fs->may_stay_awake && clock_ns() - from < AWAKE_NS;
	return got;
}

static void dispatch(struct worker *worker, ssize_t size)
{
	worker->request.size = (size_t)size;
	fusefs_dispatch(worker->fs, &worker->request);
}

/* Serve until another worker has taken the lead: true; or to the end of the mount: false. */
static bool lead(struct worker *worker)
{
	struct turn *turn = &worker->fs->turn;
	uint64_t number;

	do {
		ssize_t size = wait_for_request(worker);

		if (!size)
			return false;
		number = turn_got(turn);
		dispatch(worker, size);
	} while (turn_done(turn, number));
	return true;
}

/* Serve until no request waits: true; or to the end of the mount: false. */
static bool help(struct worker *worker)
{
	ssize_t size;

	while ((size = receive(worker)) > 0)
		dispatch(worker, size);
	turn_helped(&worker->fs->turn);
	return size != 0;
}

static void serve(struct worker *worker)
{
	struct turn *turn = &worker->fs->turn;
	enum turn_role role = worker == worker->fs->workers ? TURN_LEAD : turn_stand_by(turn);

	while (role != TURN_OVER && (role == TURN_LEAD ? lead(worker) : help(worker)))
		role = turn_stand_by(turn);
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

static unsigned processors(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	return online > 0 ? (unsigned)online : 1;
}

static unsigned workers_wanted(const struct fusefs *fs)
{
	if (fs->options.threads)
		return fs->options.threads;
	/* At least two: one may wait for a lock of the pools while the other is needed for write-back. */
	return (unsigned)max_u64(2, min_u64(processors(), 16));
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

	if (fcntl(fuse_session_fd(fs->session), F_SETFL, O_RDWR | O_NONBLOCK))
		return -errno;
	fs->workers = calloc(wanted, sizeof(*fs->workers));
	if (!fs->workers)
		return -ENOMEM;
	/* Half of the processors are for the programs that make the requests. */
	turn_init(&fs->turn, (unsigned)max_u64(1, processors() / 2) - 1);
	fs->may_stay_awake = processors() > 1;
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
