/* SPDX-License-Identifier: BSD-3-Clause */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "abi/attach_protocol.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "pool/pool.h"
#include "recorder/recorder_files.h"
#include "recorder/recorder_state.h"
#include "trace/buffer.h"
#include "trace/catalog.h"
#include "trace/merge.h"
#include "trace/writer.h"

/* How long the thread sleeps when nothing has come. */
#define SLEEP_MS 10
/* How old an event may get before its block is written: a daemon that is killed loses those. */
#define FLUSH_MS 200

int recorder_create(const struct recorder_region *regions, unsigned count, struct recorder **out)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));
	pthread_rwlockattr_t writers_first;
	pthread_condattr_t monotonic;

	if (recorder)
		recorder->regions = calloc(count, sizeof(*regions));
	if (!recorder || !recorder->regions) {
		free(recorder);
		return -ENOMEM;
	}
	memcpy(recorder->regions, regions, count * sizeof(*regions));
	recorder->region_count = count;
	recorder->fd = recorder->clock_fd = recorder->locks_fd = -1;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&recorder->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&recorder->phase_lock, NULL);
	pthread_mutex_init(&recorder->files_lock, NULL);
	pthread_mutex_init(&recorder->clients_lock, NULL);
	for (unsigned i = 0; i < RECORDER_FILE_LOCKS; i++)
		pthread_mutex_init(&recorder->file_locks[i], NULL);
	pthread_rwlockattr_init(&writers_first);
	/* A recording begins however many operations there are. No thread takes the lock twice. */
	pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&recorder->lock, &writers_first);
	pthread_rwlock_init(&recorder->names, &writers_first);
	pthread_rwlockattr_destroy(&writers_first);
	*out = recorder;
	return 0;
}

void recorder_destroy(struct recorder *recorder)
{
	struct recorder_summary summary;

	if (!recorder)
		return;
	if (recorder_stop(recorder) == 0) {
		while (!recorder_wait(recorder, 1000))
			;
		recorder_collect(recorder, &summary);
	}
	pthread_rwlock_destroy(&recorder->names);
	pthread_rwlock_destroy(&recorder->lock);
	for (unsigned i = 0; i < RECORDER_FILE_LOCKS; i++)
		pthread_mutex_destroy(&recorder->file_locks[i]);
	pthread_mutex_destroy(&recorder->clients_lock);
	pthread_mutex_destroy(&recorder->files_lock);
	pthread_mutex_destroy(&recorder->phase_lock);
	pthread_cond_destroy(&recorder->changed);
	free(recorder->regions);
	free(recorder);
}

/* ---- The thread that writes ----------------------------------------------------------- */

static void note_progress(struct recorder *recorder)
{
	atomic_store(&recorder->events, trace_catalog_events(trace_writer_catalog(recorder->writer)));
	atomic_store(&recorder->bytes, trace_writer_bytes(recorder->writer));
	atomic_store(&recorder->gaps, trace_merge_gaps(recorder->merge));
	atomic_store(&recorder->reached, trace_merge_reached(recorder->merge));
}

/* Say where events are missing because there was no memory for them. */
static int put_lost(struct recorder *recorder)
{
	static const char reason[] = "the daemon had no memory for them";
	struct trace_event lost = { .kind = TRACE_LOST };

	lost.lost.count = atomic_exchange(&recorder->lost, 0);
	lost.lost.reason = (struct trace_bytes){ (const unsigned char *)reason, sizeof(reason) - 1 };
	return lost.lost.count ? trace_merge_put(recorder->merge, &lost) : 0;
}

/* Until the recording is to end, or an error. */
static int write_events(struct recorder *recorder, struct message *message)
{
	uint64_t flush_at = clock_ms() + FLUSH_MS;

	while (!atomic_load(&recorder->stop)) {
		int lost = put_lost(recorder);
		int64_t written = trace_merge_run(recorder->merge, message);
		int error = written < 0 ? (int)written : lost;

		if (!error && clock_ms() >= flush_at) {
			error = trace_writer_flush(recorder->writer, message);
			flush_at = clock_ms() + FLUSH_MS;
		}
		if (error)
			return error;
		note_progress(recorder);
		if (!written)
			trace_clock_sleep(recorder->clock, SLEEP_MS);
	}
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The lock is held exclusively, or nothing uses the recording yet. */
static void release(struct recorder *recorder)
{
	trace_merge_destroy(recorder->merge);
	recorder->merge = NULL;
	trace_writer_destroy(recorder->writer);
	recorder->writer = NULL;
	trace_clock_unmap(recorder->clock);
	recorder->clock = NULL;
	close_fd(&recorder->clock_fd);
	close_fd(&recorder->locks_fd);
	close_fd(&recorder->fd);
	vector_free(&recorder->slots);
	vector_free(&recorder->owners);
	recorder->thread_count = 0;
}

static void set_phase(struct recorder *recorder, enum recorder_phase phase)
{
	LOCK_SCOPE(&recorder->phase_lock);

	recorder->phase = phase;
	pthread_cond_broadcast(&recorder->changed);
}

/*
 * Nothing new is recorded. Wait until nobody uses the recording but this thread, and meanwhile write what
 * they wait to put.
 */
static int turn_off(struct recorder *recorder, int error, struct message *message)
{
	const struct timespec pause = { .tv_nsec = 1000 * 1000 };

	atomic_store(&recorder->watched, false);
	atomic_store(&recorder->on, false);
	while (pthread_rwlock_trywrlock(&recorder->lock) != 0) {
		int64_t written = error ? error : trace_merge_run(recorder->merge, message);

		error = written < 0 ? (int)written : 0;
		if (error)
			trace_merge_refuse(recorder->merge);
		nanosleep(&pause, NULL);
	}
	pthread_rwlock_unlock(&recorder->lock);
	return error;
}

static void *recorder_thread(void *argument)
{
	struct recorder *recorder = argument;
	struct message message = { "" };
	int error = write_events(recorder, &message);

	error = turn_off(recorder, error, &message);
	if (!error)
		error = put_lost(recorder);
	if (!error)
		error = trace_merge_finish(recorder->merge, &message);
	if (!error)
		error = trace_writer_end(recorder->writer, &message);
	note_progress(recorder);
	release(recorder);
	{
		LOCK_SCOPE(&recorder->phase_lock);
		recorder->summary.error = error;
		recorder->summary.message = message;
	}
	set_phase(recorder, RECORDER_ENDED);
	return NULL;
}

/* ---- Beginning ------------------------------------------------------------------------ */

static int create_locks(int *out)
{
	CLEANUP_FD int fd = memfd_create("softpmem-trace-locks", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, ATTACH_LOCKS_BYTES) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	*out = steal_fd(&fd);
	return 0;
}

static int open_trace(struct recorder *recorder, const struct recorder_begin *options,
		      struct message *message)
{
	const struct trace_writer_options writer = { .level = TRACE_WRITER_LEVEL,
						     .created = (uint64_t)time(NULL) };

	recorder->fd = fcntl(options->fd, F_DUPFD_CLOEXEC, 0);
	if (recorder->fd < 0 || ftruncate(recorder->fd, 0) < 0 || lseek(recorder->fd, 0, SEEK_SET) < 0)
		return message_fail(message, -errno, "%s: %s", options->name, strerror(errno));
	return trace_writer_create(recorder->fd, options->name, &writer, &recorder->writer, message);
}

static int prepare(struct recorder *recorder, const struct recorder_begin *options, struct message *message)
{
	int error = trace_clock_create(&recorder->clock, &recorder->clock_fd);

	if (!error)
		error = create_locks(&recorder->locks_fd);
	if (error)
		return message_fail(message, error, "%s: shared memory: %s", options->name, strerror(-error));
	error = open_trace(recorder, options, message);
	if (error)
		return error;
	recorder->merge = trace_merge_create(recorder->writer, recorder->clock, TRACE_MERGE_PATIENCE,
					     TRACE_MERGE_AHEAD);
	return recorder->merge ? 0 : message_fail(message, -ENOMEM, "%s: out of memory", options->name);
}

/* What the trace's image has is durable. */
static int sync_all(struct recorder *recorder)
{
	int error = 0;

	for (unsigned i = 0; !error && i < recorder->region_count; i++)
		if (!pools_media_lost(recorder->regions[i].pools))
			error = pools_sync(recorder->regions[i].pools);
	for (unsigned i = 0; !error && i < recorder->region_count; i++)
		if (!pools_media_lost(recorder->regions[i].pools))
			pools_commit(recorder->regions[i].pools);
	return error;
}

/*
 * The lock is held exclusively. *started: the thread ends the recording, also after an error. *stamp: of the
 * last event of what is there.
 */
static int begin(struct recorder *recorder, const struct recorder_begin *options, bool *started,
		 uint64_t *stamp, struct message *message)
{
	int error = sync_all(recorder);

	if (error)
		return message_fail(message, error, "%s: making everything durable: %s", options->name,
				    strerror(-error));
	error = prepare(recorder, options, message);
	if (error)
		return error;
	recorder->first_tag = recorder->last_tag + 1;
	recorder->key = options->key;
	recorder->number++;
	recorder->on = true;
	error = -pthread_create(&recorder->writing, NULL, recorder_thread, recorder);
	*started = !error;
	if (error)
		return message_fail(message, error, "%s: cannot start a thread: %s", options->name,
				    strerror(-error));
	error = recorder_files_image(recorder);
	*stamp = atomic_load(&recorder->clock->stamp);
	return error ? message_fail(message, error, "%s: the contents of the files: %s", options->name,
				    strerror(-error)) :
		       0;
}

static int begin_and_lock(struct recorder *recorder, const struct recorder_begin *options, bool *started,
			  uint64_t *stamp, struct message *message)
{
	int error;

	/* From here on what can be recorded takes the lock; what began before does not. */
	recorder->watched = true;
	if (options->settle)
		options->settle(options->context);
	WRITE_SCOPE(&recorder->lock);
	error = begin(recorder, options, started, stamp, message);
	if (error && !*started) {
		recorder->on = false;
		recorder->watched = false;
		release(recorder);
	}
	return error;
}

static bool take_turn(struct recorder *recorder)
{
	LOCK_SCOPE(&recorder->phase_lock);

	if (recorder->phase != RECORDER_IDLE)
		return false;
	recorder->phase = RECORDER_BUSY;
	recorder->summary = (struct recorder_summary){ 0 };
	atomic_store(&recorder->stop, false);
	atomic_store(&recorder->events, 0);
	atomic_store(&recorder->bytes, 0);
	atomic_store(&recorder->gaps, 0);
	atomic_store(&recorder->reached, 0);
	atomic_store(&recorder->processes, 0);
	atomic_store(&recorder->threads, 0);
	atomic_store(&recorder->pools, 0);
	atomic_store(&recorder->lost, 0);
	return true;
}

/*
 * What is there when a recording begins has to be compressed, and may be much. A program that is started
 * after that has the processors and the memory that it takes.
 */
static void wait_for(struct recorder *recorder, uint64_t stamp)
{
	while (atomic_load(&recorder->reached) < stamp && !recorder_wait(recorder, 1))
		;
}

int recorder_begin(struct recorder *recorder, const struct recorder_begin *options, struct message *message)
{
	struct recorder_summary summary;
	uint64_t stamp = 0;
	bool started = false;
	int error;

	if (!take_turn(recorder))
		return message_fail(message, -EBUSY,
				    "there is a recording already: 'softpmem record --stop' ends it");
	error = begin_and_lock(recorder, options, &started, &stamp, message);
	if (!error) {
		wait_for(recorder, stamp);
		return 0;
	}
	if (!started) {
		set_phase(recorder, RECORDER_IDLE);
		return error;
	}
	recorder_stop(recorder);
	while (!recorder_wait(recorder, 1000))
		;
	recorder_collect(recorder, &summary);
	/* If the file could not be written, that is the reason. */
	return summary.error ? message_fail(message, summary.error, "%s", summary.message.text) : error;
}

/* ---- Ending --------------------------------------------------------------------------- */

int recorder_stop(struct recorder *recorder)
{
	LOCK_SCOPE(&recorder->phase_lock);

	if (recorder->phase == RECORDER_IDLE)
		return -ENOENT;
	atomic_store(&recorder->stop, true);
	return 0;
}

bool recorder_wait(struct recorder *recorder, unsigned milliseconds)
{
	LOCK_SCOPE(&recorder->phase_lock);
	const struct timespec until = clock_deadline_ms(milliseconds);

	while (recorder->phase == RECORDER_BUSY)
		if (pthread_cond_timedwait(&recorder->changed, &recorder->phase_lock, &until))
			break;
	return recorder->phase != RECORDER_BUSY;
}

void recorder_progress(struct recorder *recorder, struct recorder_summary *summary)
{
	LOCK_SCOPE(&recorder->phase_lock);

	*summary = recorder->summary;
	summary->events = atomic_load(&recorder->events);
	summary->bytes = atomic_load(&recorder->bytes);
	summary->gaps = atomic_load(&recorder->gaps);
	summary->processes = atomic_load(&recorder->processes);
	summary->threads = atomic_load(&recorder->threads);
	summary->pools = atomic_load(&recorder->pools);
}

void recorder_collect(struct recorder *recorder, struct recorder_summary *summary)
{
	pthread_join(recorder->writing, NULL);
	recorder_progress(recorder, summary);
	set_phase(recorder, RECORDER_IDLE);
}

/* ---- Events --------------------------------------------------------------------------- */

bool recorder_is_on(const struct recorder *recorder)
{
	return atomic_load_explicit(&recorder->on, memory_order_relaxed);
}

static void put(struct recorder *recorder, const struct trace_event *event)
{
	READ_SCOPE(&recorder->lock);
	if (recorder->on)
		recorder_append(recorder, event);
}

static struct trace_bytes bytes_of(const char *text)
{
	return (struct trace_bytes){ (const unsigned char *)text, (uint32_t)strlen(text) };
}

void recorder_mark(struct recorder *recorder, const char *text)
{
	struct trace_event mark = { .kind = TRACE_MARK };

	mark.mark.fd = -1;
	mark.mark.text = bytes_of(text);
	mark.mark.length = mark.mark.text.length;
	put(recorder, &mark);
}

void recorder_outage(struct recorder *recorder, const struct recorder_outage *outage)
{
	struct trace_event event = { .kind = TRACE_OUTAGE };
	struct trace_event lost = { .kind = TRACE_LOST };

	event.outage.generation = outage->generation;
	event.outage.seed = outage->seed;
	event.outage.policy = bytes_of(outage->policy);
	put(recorder, &event);
	lost.lost.count = outage->taken_back;
	lost.lost.reason = bytes_of("operations on names, sizes or attributes that the power failure took "
				    "back");
	if (outage->taken_back)
		put(recorder, &lost);
}

void recorder_changed_by_outage(struct recorder *recorder, struct pools *pools, const char *path)
{
	struct pool *pool;

	READ_SCOPE(&recorder->lock);
	if (!recorder->on || pool_lookup_path(pools, path, &pool) < 0)
		return;
	if (recorder_files_image_again(recorder, pool) < 0)
		atomic_fetch_add(&recorder->lost, 1);
	pool_unref(pool, 1);
}

int recorder_append(struct recorder *recorder, const struct trace_event *event)
{
	int error = trace_merge_put(recorder->merge, event);

	/* After an error of the file the recording ends anyway. */
	if (error && error != -ESHUTDOWN)
		atomic_fetch_add(&recorder->lost, 1);
	return error;
}
