/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_MERGE_STATE_H
#define TRACE_MERGE_STATE_H

/*
 * For merge.c and merge_run.c only: merge.c has what any thread calls, merge_run.c what the
 * one that writes does.
 */

#include <pthread.h>

#include "trace/heap.h"
#include "trace/merge.h"

/* An event of this process that waits to be written: encoded, so that it is a copy. */
struct queued {
	struct queued *next;
	uint64_t stamp; /* its place in the order; of a definition too */
	uint32_t thread;
	size_t length;
	unsigned char bytes[];
};

struct trace_merge {
	struct trace_writer *writer;
	struct trace_clock *clock;
	unsigned patience;
	size_t ahead;

	/* Guards what follows up to the next comment; never held while something is written. */
	pthread_mutex_t lock;
	pthread_cond_t queue_shrank;
	struct queued *queue, **queue_end; /* stamps ascend */
	size_t queue_bytes;
	bool refuses;
	struct source_heap added; /* sources that the run has not seen yet, in no order */
	VECTOR(uint32_t) gone;	  /* threads whose end the run has not seen yet */
	struct idmap processes;
	_Atomic uint32_t grants; /* how often a pool was granted; read without the lock */
	uint32_t last_process, last_thread;
	struct source *alone;	/* its producer takes stamps without locking the clock; or NULL */
	uint64_t queued_at;	/* milliseconds on the monotonic clock: the last event of this process */
	bool shares_for_good;	/* a producer cannot be told to lock the clock, or has not in time */

	/* Of the one thread that runs. */
	struct source_heap heap; /* sources with an event at hand */
	struct source_heap idle; /* the others, in no order */
	struct queued *taken;	 /* from the queue, in order */
	struct source_ids ids;
	struct trace_arrays arrays;
	uint64_t last; /* stamp that was written, or given up */
	uint64_t clock_seen;
	uint64_t gap_since; /* milliseconds on the monotonic clock; 0: no stamp is waited for */
	int64_t written;
	uint64_t gaps; /* of all runs: places where events are missing */
	int error; /* the final one */
};

/* Append an event of this process to the queue. Called with the lock held. 0 or -ENOMEM. */
int merge_enqueue(struct trace_merge *merge, const struct trace_event *event);

/*
 * From here on every producer locks the clock. What a producer does is: say that it will take a stamp, look
 * at `alone`, take the stamp. So after a barrier on its processor it has either seen that it is not alone, or
 * is seen to hold a stamp, which is waited for. Called with the lock held.
 */
void merge_share(struct trace_merge *merge);
/* Let the producer lock the clock no more if it is alone, and this process was quiet for a while. */
void merge_let_alone(struct trace_merge *merge);

#endif
