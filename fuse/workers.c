/* SPDX-License-Identifier: BSD-3-Clause */
#include "workers.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/align.h"
#include "dispatch.h"

/* Headers of the largest request come before its data. */
#define REQUEST_MAX (FUSEFS_TRANSFER_MAX + PAGE_BYTES)

struct worker {
	struct fusefs *fs;
	pthread_t thread;
	unsigned char *buffer;
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

static void serve(struct worker *worker)
{
	/* The data of a WRITE then starts on a page, where copying is fastest. */
	struct fuse_buf request = {
		.mem = worker->buffer + PAGE_BYTES - sizeof(struct fuse_in_header) -
		       sizeof(struct fuse_write_in),
	};

	while ((request.size = receive(worker->fs, request.mem, REQUEST_MAX)))
		fusefs_dispatch(worker->fs, &request);
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
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (fs->options.threads)
		return fs->options.threads;
	/* At least two: one may wait for a lock of the pools while the other is needed for write-back. */
	return (unsigned)max_u64(2, min_u64(processors > 0 ? (uint64_t)processors : 1, 16));
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
	while (fs->worker_count < wanted && !error) {
		error = worker_start(fs, fs->worker_count);
		if (!error)
			fs->worker_count++;
	}
	return fs->worker_count ? 0 : error;
}

void fusefs_workers_join(struct fusefs *fs)
{
	unsigned i;

	for (i = 0; i < fs->worker_count; i++) {
		pthread_cancel(fs->workers[i].thread);
		pthread_join(fs->workers[i].thread, NULL);
		free(fs->workers[i].buffer);
	}
	free(fs->workers);
	fs->workers = NULL;
	fs->worker_count = 0;
}
