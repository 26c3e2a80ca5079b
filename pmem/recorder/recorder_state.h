/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORDER_RECORDER_STATE_H
#define RECORDER_RECORDER_STATE_H

/* The recorder's state. Private to pmem/recorder. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/vector.h"
#include "recorder/recorder.h"

struct trace_clock;
struct trace_event;
struct trace_merge;
struct trace_writer;

/* Files share these locks. */
#define RECORDER_FILE_LOCKS 64

enum recorder_phase {
	RECORDER_IDLE,
	RECORDER_BUSY, /* beginning, on, or ending */
	RECORDER_ENDED /* the summary was not collected yet */
};

struct recorder {
	struct recorder_region *regions;
	unsigned region_count;

	pthread_mutex_t phase_lock;
	pthread_cond_t changed;
	enum recorder_phase phase; /* guarded by phase_lock, as the next two */
	pthread_t writing;	   /* the thread; to be joined in RECORDER_ENDED */
	struct recorder_summary summary;

	_Atomic bool stop; /* the thread is to end the recording */
	_Atomic uint64_t events, bytes, gaps, processes, threads, pools;
	_Atomic uint64_t reached; /* trace_merge_reached(), after the last run */
	_Atomic uint64_t lost; /* events that could not be put since the trace last said so */

	/*
	 * Shared while the recording is used, exclusive to begin it. A holder may wait for the thread, so the
	 * thread never waits for the lock: it tries.
	 */
	pthread_rwlock_t lock;
	/* There is a recording, or one is beginning: what can be recorded takes the lock. */
	_Atomic bool watched;
	/* While the lock is held and this was true after it was taken, the members below stay. */
	_Atomic bool on;
	/* Guarded by lock. The merge is thread safe by itself. */
	uint64_t number; /* of the recording, from 1 on */
	bool own_metadata; /* directories have metadata modes of their own; set when it begins */
	struct trace_merge *merge;
	struct trace_clock *clock;
	int clock_fd, locks_fd;

	/* Of the thread, once the recording has begun. */
	struct trace_writer *writer;
	int fd;

	/*
	 * The order of operations (recorded.h): `names` is exclusive to change a name, and shared by syncs;
	 * then the lock of the file. Both are taken with `lock` held.
	 */
	pthread_rwlock_t names;
	pthread_mutex_t file_locks[RECORDER_FILE_LOCKS];

	pthread_mutex_t files_lock; /* after the two above */
	/* Guarded by files_lock; first_tag is read without it. */
	uint64_t last_tag;  /* that a pool was given, in any recording */
	uint64_t first_tag; /* of this recording: the file numbered 1 */
	struct {
		VECTOR_FIELDS(uint64_t); /* files, by their number in slots */
	} slots;

	pthread_mutex_t clients_lock;
	/* Guarded by clients_lock. */
	uint64_t key; /* that processes must have to be recorded */
	size_t thread_count;
	struct {
		VECTOR_FIELDS(uid_t); /* of each process of the trace, from its number 1 on */
	} owners;
};

/* Put an event into the recording. The lock is held, and `on` was true. 0 or as trace_merge_put(). */
int recorder_append(struct recorder *recorder, const struct trace_event *event);

#endif
