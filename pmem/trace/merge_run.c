/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "trace/merge_state.h"
#include "trace/schema.h"
#include "trace/writer.h"

/* No recording takes so many stamps between two runs of the merge. */
#define CLOCK_JUMP_MAX ((uint64_t)1 << 40)

/* The events that are written between two looks into the rings: few of what the smallest ring holds. */
#define AHEAD_EVENTS 2048

/* ---- Writing -------------------------------------------------------------------------- */

static int write_event(struct trace_merge *merge, const struct trace_event *event, struct message *message)
{
	int error = trace_writer_put(merge->writer, event, message);

	merge->written += !error;
	merge->gaps += !error && event->kind == TRACE_LOST;
	return error;
}

/* Events are missing here; one line says so for all of them. */
static void end_source(struct trace_merge *merge, struct source *source)
{
	pthread_mutex_lock(&merge->lock);
	if (merge->alone == source)
		merge_share(merge);
	pthread_mutex_unlock(&merge->lock);
	source_destroy(source);
}

static int write_lost(struct trace_merge *merge, uint64_t stamp, uint32_t thread, uint64_t count,
		      const char *reason, struct message *message)
{
	char text[512];
	struct trace_event lost = { .kind = TRACE_LOST, .stamp = stamp, .thread = thread };
	int length = thread ? snprintf(text, sizeof(text), "thread %" PRIu32 ": %s", thread, reason) :
			      snprintf(text, sizeof(text), "%s", reason);

	lost.lost.count = count;
	lost.lost.reason.at = (const unsigned char *)text;
	lost.lost.reason.length = (uint32_t)min_u64((uint64_t)length, sizeof(text) - 1);
	return write_event(merge, &lost, message);
}

/* The next event of a source, whose turn it is. A malformed one is written as lost, and source->wrong set. */
static int write_source(struct trace_merge *merge, struct source *source, struct message *message)
{
	struct trace_event event;
	struct message why;
	const char *wrong = NULL;
	int result = source_decode(source, &merge->ids, &merge->arrays, &event, &wrong);

	if (result == 1) {
		result = write_event(merge, &event, &why);
		if (!result)
			return 0;
		if (result == -EBADMSG)
			wrong = why.text;
		else if (message)
			*message = why;
	}
	if (result != -EBADMSG)
		return result;
	source->wrong = "a malformed event";
	return write_lost(merge, source->stamp, source->thread, 1, wrong, message);
}

static int write_queued(struct trace_merge *merge, struct message *message)
{
	struct queued *queued = merge->taken;
	struct trace_event event;
	struct message why;
	const char *wrong;
	int error = trace_decode(queued->bytes, queued->length, queued->thread, &merge->arrays, &event,
				 &wrong);

	if (!error) {
		event.stamp = trace_kind_is_definition(event.kind) ? 0 : queued->stamp;
		error = write_event(merge, &event, &why);
		wrong = why.text;
	}
	if (error == -EBADMSG)
		error = write_lost(merge, queued->stamp, 0, 1, wrong, message);
	else if (error && message)
		*message = why;
	merge->taken = queued->next;
	free(queued);
	return error;
}

/* ---- What has come ----------------------------------------------------------------- */

/* Take over what other threads have left: events, sources, and which producers are dead. */
static int take_over(struct trace_merge *merge)
{
	LOCK_SCOPE(&merge->lock);
	if (!merge->taken) {
		merge->taken = merge->queue;
		merge->queue = NULL;
		merge->queue_end = &merge->queue;
		merge->queue_bytes = 0;
		pthread_cond_broadcast(&merge->queue_shrank);
	}
	for (; merge->added.count; merge->added.count--) {
		int error = vector_append(&merge->idle, merge->added.items[merge->added.count - 1]);

		if (error)
			return error;
	}
	for (; merge->gone.count; merge->gone.count--) {
		const uint32_t thread = merge->gone.items[merge->gone.count - 1];

		for (size_t i = 0; i < merge->heap.count; i++)
			merge->heap.items[i]->gone |= merge->heap.items[i]->thread == thread;
		for (size_t i = 0; i < merge->idle.count; i++)
			merge->idle.items[i]->gone |= merge->idle.items[i]->thread == thread;
	}
	return 0;
}

/* Nothing more is read from the source; the trace says why, from here on. */
static int give_up(struct trace_merge *merge, struct source *source)
{
	char text[128];
	struct trace_event lost = { .kind = TRACE_LOST };

	lost.lost.reason.length = (uint32_t)snprintf(text, sizeof(text),
						     "thread %" PRIu32 " is no longer recorded: %s",
						     source->thread, source->wrong);
	lost.lost.reason.at = (const unsigned char *)text;
	end_source(merge, source);
	LOCK_SCOPE(&merge->lock);
	return merge_enqueue(merge, &lost);
}

static size_t held_by(const struct source_heap *sources)
{
	size_t bytes = 0;

	for (size_t i = 0; i < sources->count; i++)
		bytes += source_held(sources->items[i]);
	return bytes;
}

static void take_ahead_of(struct source_heap *sources, size_t *room)
{
	for (size_t i = 0; i < sources->count && *room; i++)
		*room -= source_take_ahead(sources->items[i], *room);
}

/* Take what has come, so that the threads go on. */
static void take_ahead(struct trace_merge *merge)
{
	const size_t held = held_by(&merge->heap) + held_by(&merge->idle);
	size_t room = merge->ahead - min_u64(held, merge->ahead);

	take_ahead_of(&merge->heap, &room);
	take_ahead_of(&merge->idle, &room);
}

/* A source has no event at hand: keep it, or end it. */
static int put_aside(struct trace_merge *merge, struct source *source)
{
	if (source->wrong)
		return give_up(merge, source);
	if (!source->gone)
		return vector_append(&merge->idle, source);
	end_source(merge, source);
	return 0;
}

/* Look again into each source that had no event. 0 or -ENOMEM. */
static int fill(struct trace_merge *merge)
{
	const size_t count = merge->idle.count;
	int error = 0;

	/* The list is rebuilt in place. */
	merge->idle.count = 0;
	for (size_t i = 0; i < count; i++) {
		struct source *source = merge->idle.items[i];
		int failed;

		if (error || !source_fill(source)) {
			failed = put_aside(merge, source);
		} else {
			failed = heap_push(&merge->heap, source);
			if (failed)
				vector_append(&merge->idle, source);
		}
		error = error ? error : failed;
	}
	return error;
}

/* ---- The order -------------------------------------------------------------------------- */

/* The least stamp at hand; UINT64_MAX: there is none. */
static uint64_t least(const struct trace_merge *merge)
{
	const uint64_t queued = merge->taken ? merge->taken->stamp : UINT64_MAX;

	return merge->heap.count ? min_u64(merge->heap.items[0]->stamp, queued) : queued;
}

/* The source at the top has had its turn. */
static int advance(struct trace_merge *merge)
{
	struct source *source = merge->heap.items[0];

	source_drop(source);
	if (source_fill(source)) {
		heap_down(&merge->heap, 0);
		return 0;
	}
	heap_pop(&merge->heap);
	return put_aside(merge, source);
}

/* Write the event with the least stamp, which follows the last one. */
static int write_least(struct trace_merge *merge, struct message *message)
{
	struct source *source = merge->heap.count ? merge->heap.items[0] : NULL;
	int error;

	merge->gap_since = 0;
	if (merge->taken && (!source || merge->taken->stamp <= source->stamp)) {
		merge->last = merge->taken->stamp;
		return write_queued(merge, message);
	}
	merge->last = source->stamp;
	error = write_source(merge, source, message);
	if (error)
		return error;
	if (!source->wrong)
		return advance(merge);
	heap_pop(&merge->heap);
	end_source(merge, source);
	return 0;
}

/* An event whose stamp was given up before, or belongs to another event. */
static int drop_late(struct trace_merge *merge)
{
	struct source *source = merge->heap.items[0];

	source->wrong = "an event came after its stamp was given up, or with a stamp of another event";
	heap_pop(&merge->heap);
	return put_aside(merge, source);
}

/* The thread that may hold a stamp, or 0. */
static uint32_t holder(const struct trace_merge *merge)
{
	for (size_t i = 0; i < merge->idle.count; i++)
		if (source_may_hold(merge->idle.items[i]))
			return merge->idle.items[i]->thread;
	return 0;
}

/* Stamps before `next` are missing, and nobody will publish them. */
static int write_gap(struct trace_merge *merge, uint64_t next, uint32_t thread, struct message *message)
{
	const uint64_t first = merge->last + 1;

	merge->last = next - 1;
	merge->gap_since = 0;
	return write_lost(merge, first, thread, next - first,
			  thread ? "it did not publish its event in time" :
				   "a thread was killed before it had published its event",
			  message);
}

/*
 * The least stamp does not follow the last one. 1: that has changed, or the gap was written; 0: wait
 * for the producer that may hold a missing one; or negative errno.
 */
static int close_gap(struct trace_merge *merge, uint64_t next, struct message *message)
{
	uint32_t thread;
	int error = take_over(merge);

	if (!error)
		error = fill(merge);
	if (error || least(merge) < next)
		return error ? error : 1;
	/*
	 * Whoever takes a stamp after this look takes a later one, as `next` was taken before. So a producer
	 * that holds none now never publishes a missing one.
	 */
	thread = holder(merge);
	if (thread && !merge->gap_since)
		merge->gap_since = clock_ms();
	if (thread && clock_ms() - merge->gap_since < merge->patience)
		return 0;
	error = write_gap(merge, next, thread, message);
	return error ? error : 1;
}

/* A producer states a stamp that the clock has not given. */
static int reject_future(struct trace_merge *merge)
{
	struct source *source = merge->heap.items[0];

	if (source->stamp <= atomic_load(&merge->clock->stamp))
		return 0;
	source->wrong = "a stamp that was not given";
	heap_pop(&merge->heap);
	return put_aside(merge, source);
}

/* One step of the merge. 1: there may be more to do up to `limit`; 0: there is not, or negative errno. */
static int step(struct trace_merge *merge, uint64_t limit, struct message *message)
{
	uint64_t next = least(merge);
	int error;

	if (next == UINT64_MAX) {
		error = take_over(merge);
		if (!error)
			error = fill(merge);
		next = least(merge);
		if (error || next == UINT64_MAX)
			return error;
	}
	if (next > limit)
		return merge->heap.count ? reject_future(merge) : 0;
	if (next <= merge->last)
		error = drop_late(merge);
	else if (next == merge->last + 1)
		error = write_least(merge, message);
	else
		return close_gap(merge, next, message);
	return error ? error : 1;
}

static int64_t run(struct trace_merge *merge, struct message *message)
{
	const uint64_t limit = atomic_load(&merge->clock->stamp);
	int64_t looked = 0;
	int result = 1;

	merge->written = 0;
	if (limit < merge->clock_seen || limit - merge->clock_seen > CLOCK_JUMP_MAX)
		return message_fail(message, -EPROTO, "a recorded program has moved the clock of the trace");
	merge->clock_seen = limit;
	while (result == 1) {
		if (merge->written >= looked + AHEAD_EVENTS) {
			take_ahead(merge);
			looked = merge->written;
		}
		result = step(merge, limit, message);
	}
	return result < 0 ? result : merge->written;
}

int64_t trace_merge_run(struct trace_merge *merge, struct message *message)
{
	int64_t result;

	if (merge->error)
		return message_fail(message, merge->error, "the recording has failed before");
	result = run(merge, message);
	merge_let_alone(merge);
	if (result < 0) {
		merge->error = (int)result;
		if (result == -ENOMEM)
			message_fail(message, -ENOMEM, "out of memory");
	}
	return result;
}

static void close_buffers(struct trace_merge *merge)
{
	for (size_t i = 0; i < merge->heap.count; i++)
		trace_buffer_close(merge->heap.items[i]->buffer);
	for (size_t i = 0; i < merge->idle.count; i++)
		trace_buffer_close(merge->idle.items[i]->buffer);
}

int trace_merge_finish(struct trace_merge *merge, struct message *message)
{
	const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
	int64_t result = trace_merge_run(merge, message);

	close_buffers(merge);
	while (result >= 0 && merge->gap_since) {
		nanosleep(&pause, NULL);
		result = trace_merge_run(merge, message);
		close_buffers(merge);
	}
	/* What the runs before had to say of producers. */
	if (result >= 0)
		result = trace_merge_run(merge, message);
	return result < 0 ? (int)result : 0;
}
