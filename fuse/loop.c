/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The threads that read requests. They are ours and not libfuse's because each
 * request is looked at before libfuse sees it: during an outage some are
 * answered here, and others are parked, as bytes, without holding a thread.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "private.h"

/* Headers of the largest request come before its data. */
#define REQUEST_MAX (TRANSFER_MAX + PAGE_BYTES)

static void answer(struct fusefs *fs, const struct fuse_in_header *in, int error, const void *body,
		   size_t size)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + size),
		.error = error,
		.unique = in->unique,
	};
	struct iovec iov[2] = {
		{ .iov_base = &out, .iov_len = sizeof(out) },
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = size },
	};

	/* It can fail only because nobody waits for the answer any more. */
	if (writev(fuse_session_fd(fs->session), iov, size ? 2 : 1) < 0)
		return;
}

static void park(struct fusefs *fs, const struct fuse_buf *request)
{
	struct parked *parked = malloc(sizeof(*parked) + request->size);

	if (!parked) {
		answer(fs, request->mem, -ENOMEM, NULL, 0);
		return;
	}
	parked->next = NULL;
	parked->size = request->size;
	memcpy(parked->bytes, request->mem, request->size);
	LOCK_SCOPE(&fs->queue_lock);
	*fs->parked_end = parked;
	fs->parked_end = &parked->next;
}

static void write_while_parked(struct fusefs *fs, const struct fuse_buf *request, enum gate_phase phase)
{
	const struct fuse_in_header *in = request->mem;
	const struct fuse_write_in *write = (const void *)(in + 1);

	if (!(write->write_flags & FUSE_WRITE_CACHE)) {
		answer(fs, in, -EIO, NULL, 0);
	} else if (phase == GATE_WRITE_BACK) {
		fuse_session_process_buf(fs->session, request);
	} else {
		struct fuse_write_out done = { .size = write->size };

		answer(fs, in, 0, &done, sizeof(done));
	}
}

/*
 * A request during which the kernel may hold a page lock, or keep write-back
 * waiting (a change of size), must be answered at once, or invalidation never
 * ends. All others are parked, and find the next generation.
 */
static void handle_while_parked(struct fusefs *fs, const struct fuse_buf *request, enum gate_phase phase)
{
	const struct fuse_in_header *in = request->mem;
	const struct fuse_setattr_in *setattr = (const void *)(in + 1);

	switch (in->opcode) {
	case FUSE_WRITE:
		write_while_parked(fs, request, phase);
		break;
	case FUSE_SETATTR:
		if (setattr->valid & FATTR_SIZE)
			answer(fs, in, -EIO, NULL, 0);
		else
			park(fs, request);
		break;
	case FUSE_READ:
	case FUSE_FSYNC:
	case FUSE_FALLOCATE:
	case FUSE_LSEEK:
	case FUSE_COPY_FILE_RANGE:
		answer(fs, in, -EIO, NULL, 0);
		break;
	case FUSE_INIT:
	case FUSE_INTERRUPT:
		fuse_session_process_buf(fs->session, request);
		break;
	default:
		park(fs, request);
	}
}

/* Handles stay as they are until the mount goes, as nodes do: node_forget(). */
static void handle_without_media(struct fusefs *fs, const struct fuse_buf *request)
{
	const struct fuse_in_header *in = request->mem;

	switch (in->opcode) {
	case FUSE_FORGET:
		break;
	default:
		answer(fs, in, -EIO, NULL, 0);
	}
}

/* STATX comes first from Linux 6.6 on, until libfuse has said once that it knows nothing of it. */
static bool asks_attributes(uint32_t opcode)
{
	const uint32_t statx = 52;

	return opcode == FUSE_GETATTR || opcode == statx;
}

/* Requests that are about no file (INIT, DESTROY, INTERRUPT, BATCH_FORGET) have 0 in its place. */
static bool media_are_lost(struct fusefs *fs, const struct fuse_in_header *in)
{
	const struct node *node = in->nodeid ? node_of(fs, in->nodeid) : NULL;

	if (!node || !node->tree || !tree_is_lost(node->tree))
		return false;
	/* The directory that a region has among others remains, and is seen. */
	return node == fs->root || node != &node->tree->root || !asks_attributes(in->opcode);
}

static void handle(struct fusefs *fs, const struct fuse_buf *request)
{
	const struct fuse_in_header *in = request->mem;
	struct gate_token token;
	enum gate_phase phase;

	fusefs_gate_enter(&fs->gate, &token);
	phase = fusefs_gate_token_phase(&token);
	if (is_top(fs, in->nodeid) && top_refuses(in->opcode)) {
		answer(fs, in, -EPERM, NULL, 0);
	} else if (media_are_lost(fs, in)) {
		handle_without_media(fs, request);
	} else if (phase == GATE_OPEN) {
		negotiate_hear(fs, in);
		fuse_session_process_buf(fs->session, request);
	} else {
		handle_while_parked(fs, request, phase);
	}
	fusefs_gate_leave(&token);
}

void parked_resume(struct fusefs *fs)
{
	struct parked *parked, *next;

	pthread_mutex_lock(&fs->queue_lock);
	parked = fs->parked;
	fs->parked = NULL;
	fs->parked_end = &fs->parked;
	pthread_mutex_unlock(&fs->queue_lock);
	for (; parked; parked = next) {
		struct fuse_buf request = { .size = parked->size, .mem = parked->bytes };

		next = parked->next;
		handle(fs, &request);
		free(parked);
	}
}

void parked_drop(struct fusefs *fs)
{
	struct parked *parked, *next;

	for (parked = fs->parked; parked; parked = next) {
		next = parked->next;
		free(parked);
	}
	fs->parked = NULL;
	fs->parked_end = &fs->parked;
}

/* One request; 0 at the end of the mount. Waiting is where the thread may be cancelled. */
static size_t receive(struct fusefs *fs, void *buffer, size_t size)
{
	ssize_t got;
	int state;

	do {
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
		got = read(fuse_session_fd(fs->session), buffer, size);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
		/* ENOENT: the request was withdrawn before we had it. */
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
	/* So that the data of a write starts on a page, where copying is fastest. */
	struct fuse_buf request = {
		.mem = worker->buffer + PAGE_BYTES - sizeof(struct fuse_in_header) -
		       sizeof(struct fuse_write_in),
	};

	while ((request.size = receive(worker->fs, request.mem, REQUEST_MAX)))
		handle(worker->fs, &request);
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
	/* Two at least: one may wait for a lock of the pools while another is needed for write-back. */
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

int workers_start(struct fusefs *fs)
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

void workers_join(struct fusefs *fs)
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
