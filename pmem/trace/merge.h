/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_MERGE_H
#define TRACE_MERGE_H

/*
 * The consumer of a recording: takes the events of all threads from their buffers, brings
 * them into the order of their stamps and hands them to a writer. It gives processes, threads,
 * modules and sites their ids in the trace.
 *
 * Stamps are dense. A missing one is waited for as long as a producer may hold it; a producer
 * that was killed, or does not publish it in time, leaves a TRACE_LOST in the trace.
 *
 * What producers wrote is hostile. A malformed event ends the recording of its thread, with a
 * TRACE_LOST that says why; other threads go on.
 *
 * Thread safe, except that one thread at a time calls trace_merge_run() and trace_merge_finish().
 * Descriptions of errors of single producers go into the trace; a failing writer is an error of
 * trace_merge_run().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"
#include "trace/event.h"

struct trace_buffer;
struct trace_clock;
struct trace_merge;
struct trace_writer;

/* Suits most: how long a producer may hold a stamp before its event counts as lost, in milliseconds. */
#define TRACE_MERGE_PATIENCE 10000u
/*
 * Suits most: how many bytes that threads have logged may wait in memory of this process. A thread whose ring
 * is full waits for the merge, and logs its events in a third of the time that they take to be written.
 */
#define TRACE_MERGE_AHEAD ((size_t)256 << 20)

/*
 * The writer, which may have definitions in it, and the clock belong to the caller and outlive the merge.
 * `patience` is in milliseconds, `ahead` in bytes: see above. NULL: no memory.
 */
struct trace_merge *trace_merge_create(struct trace_writer *writer, struct trace_clock *clock,
				       unsigned patience, size_t ahead);
/* Free it, and destroy the buffers it was given. What was not written is dropped. */
void trace_merge_destroy(struct trace_merge *merge);

/*
 * A process starts to be recorded: *process is its id in the trace. `text` is its command line, arguments
 * separated by NUL. A forked child (`forked`, of process `parent`) has its parent's pools and sites, until it
 * defines its own. 0, -ENOMEM, or -ESRCH: there is no such parent.
 */
int trace_merge_process(struct trace_merge *merge, int32_t pid, uint32_t parent, bool forked,
			struct trace_bytes text, uint32_t *process);
int trace_merge_process_exit(struct trace_merge *merge, uint32_t process, int32_t status);

/* From now on slots of the process may name the file of the trace as `pool`, at most TRACE_SLOT_POOL_MAX. */
int trace_merge_grant(struct trace_merge *merge, uint32_t process, uint32_t pool, uint64_t file);

/*
 * A thread starts to be recorded, before it is given the buffer. The merge destroys the buffer, also when
 * this fails. *thread is its id in the trace.
 */
int trace_merge_thread(struct trace_merge *merge, uint32_t process, int32_t tid, struct trace_bytes name,
		       struct trace_buffer *buffer, uint32_t *thread);
/* The thread has ended, or its process is known to be dead: what it published is still written. */
int trace_merge_thread_gone(struct trace_merge *merge, uint32_t thread);

/*
 * Append an event of this process: an operation of the mount, a mark, an outage. Its stamp is the moment of
 * the call, or 0 for a definition. The event is copied. Blocks while more than 64 MiB wait to be written. 0,
 * -ENOMEM, -EINVAL: the event is malformed, or -ESHUTDOWN after trace_merge_refuse().
 */
int trace_merge_put(struct trace_merge *merge, const struct trace_event *event);
/*
 * Every event up to this stamp was given to the writer, or given up. For the thread that runs the merge,
 * between two runs.
 */
uint64_t trace_merge_reached(const struct trace_merge *merge);
/* In how many places the trace says that events are missing. For the same. */
uint64_t trace_merge_gaps(const struct trace_merge *merge);
/* Nothing is written any more: trace_merge_put() fails from here on, also calls that wait. */
void trace_merge_refuse(struct trace_merge *merge);

/*
 * Write what has come, in order. Returns the number of events written, or the negative errno of the writer,
 * which is final, or -EPROTO: a producer has moved the clock, the trace cannot go on.
 */
int64_t trace_merge_run(struct trace_merge *merge, struct message *message);

/*
 * Close all buffers and write what was published before. A stamp that a living producer still holds is
 * waited for, at most as long as the merge's patience. Then the caller ends the trace. 0 or as
 * trace_merge_run().
 */
int trace_merge_finish(struct trace_merge *merge, struct message *message);

#endif
