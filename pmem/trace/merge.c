/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace/merge.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "trace/merge_state.h"
#include "trace/schema.h"

/* trace_merge_put() blocks while more than this waits. */
#define QUEUE_BYTES_MAX ((size_t)64 << 20)

struct trace_merge *trace_merge_create(struct trace_writer *writer, struct trace_clock *clock,
				       unsigned patience, size_t ahead)
{
	struct trace_merge *merge = calloc(1, sizeof(*merge));

	if (!merge)
		return NULL;
	merge->writer = writer;
	merge->clock = clock;
	merge->patience = patience;
	merge->ahead = ahead;
	pthread_mutex_init(&merge->lock, NULL);
	pthread_cond_init(&merge->queue_shrank, NULL);
	merge->queue_end = &merge->queue;
	merge->shares_for_good = syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) != 0;
	merge->last = merge->clock_seen = atomic_load(&clock->stamp);
	return merge;
}

static void free_queue(struct queued *queued)
{
	while (queued) {
		struct queued *next = queued->next;

		free(queued);
		queued = next;
	}
}

static void free_process(void *value)
{
	struct source_process *process = value;

	idmap_clear(&process->pools, NULL);
	idmap_clear(&process->sites, NULL);
	idmap_clear(&process->modules, NULL);
	free(process);
}

static void free_sources(struct source_heap *heap)
{
	for (size_t i = 0; i < heap->count; i++)
		source_destroy(heap->items[i]);
	vector_free(heap);
}

void trace_merge_destroy(struct trace_merge *merge)
{
	if (!merge)
		return;
	merge_share(merge);
	free_queue(merge->queue);
	free_queue(merge->taken);
	free_sources(&merge->heap);
	free_sources(&merge->idle);
	free_sources(&merge->added);
	vector_free(&merge->gone);
	idmap_clear(&merge->processes, free_process);
	pthread_cond_destroy(&merge->queue_shrank);
	pthread_mutex_destroy(&merge->lock);
	free(merge);
}

/* ---- One producer alone -------------------------------------------------------------- */

/* So long after an event of this process a producer is let alone: most of them come in bursts. */
#define QUIET_MS 10u
/*
 * A producer holds a stamp for less than a microsecond, but may lose its processor meanwhile. One that does
 * not get it back in this time may take one more stamp without locking the clock, by one instruction. Should
 * that meet another one, two events have one stamp: the merge finds that, and the trace tells it.
 */
#define SHARE_MS 100u

void merge_share(struct trace_merge *merge)
{
	const struct timespec moment = { .tv_nsec = 20 * 1000 };
	uint64_t head, since;

	if (!merge->alone)
		return;
	atomic_store(&merge->clock->alone, 0);
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
	head = trace_buffer_head(merge->alone->buffer);
	since = clock_ms();
	while (head & 1 && trace_buffer_head(merge->alone->buffer) == head && !merge->shares_for_good) {
		nanosleep(&moment, NULL);
		merge->shares_for_good = clock_ms() - since >= SHARE_MS;
	}
	merge->alone = NULL;
}

void merge_let_alone(struct trace_merge *merge)
{
	LOCK_SCOPE(&merge->lock);
	struct source *source = merge->heap.count ? merge->heap.items[0] :
				merge->idle.count ? merge->idle.items[0] :
						    NULL;

	if (merge->alone || merge->shares_for_good || !source || source->gone || source->wrong ||
	    merge->heap.count + merge->idle.count + merge->added.count > 1 ||
	    clock_ms() - merge->queued_at < QUIET_MS)
		return;
	merge->alone = source;
	atomic_store(&merge->clock->alone, 1);
}

/* ---- Events of this process -------------------------------------------------------- */

/* Under the lock: the order in the queue is that of the stamps. */
int merge_enqueue(struct trace_merge *merge, const struct trace_event *event)
{
	struct queued *queued = malloc(sizeof(*queued) + trace_encoded_bound(event));

	if (!queued)
		return -ENOMEM;
	queued->next = NULL;
	queued->thread = event->thread;
	queued->length = trace_encode(event, queued->bytes);
	merge_share(merge);
	merge->queued_at = clock_ms();
	queued->stamp = atomic_fetch_add(&merge->clock->stamp, 1) + 1;
	*merge->queue_end = queued;
	merge->queue_end = &queued->next;
	merge->queue_bytes += queued->length;
	return 0;
}

int trace_merge_put(struct trace_merge *merge, const struct trace_event *event)
{
	if (trace_event_wrong(event))
		return -EINVAL;
	LOCK_SCOPE(&merge->lock);
	while (merge->queue_bytes > QUEUE_BYTES_MAX && !merge->refuses)
		pthread_cond_wait(&merge->queue_shrank, &merge->lock);
	return merge->refuses ? -ESHUTDOWN : merge_enqueue(merge, event);
}

uint64_t trace_merge_reached(const struct trace_merge *merge)
{
	return merge->last;
}

uint64_t trace_merge_gaps(const struct trace_merge *merge)
{
	return merge->gaps;
}

void trace_merge_refuse(struct trace_merge *merge)
{
	LOCK_SCOPE(&merge->lock);

	merge->refuses = true;
	pthread_cond_broadcast(&merge->queue_shrank);
}

int trace_merge_process(struct trace_merge *merge, int32_t pid, uint32_t parent, bool forked,
			struct trace_bytes text, uint32_t *id)
{
	struct trace_event event = { .kind = TRACE_PROCESS_START };
	struct source_process *process;
	int error;

	LOCK_SCOPE(&merge->lock);
	if (parent && !idmap_get(&merge->processes, parent))
		return -ESRCH;
	process = calloc(1, sizeof(*process));
	if (!process)
		return -ENOMEM;
	process->id = merge->last_process + 1;
	process->lock = &merge->lock;
	process->grants = &merge->grants;
	process->forked_from = forked ? idmap_get(&merge->processes, parent) : NULL;
	event.process.process = process->id;
	event.process.parent = parent;
	event.process.pid = pid;
	event.process.text = text;
	event.process.text.length = (uint32_t)min_u64(text.length, TRACE_PATH_MAX);
	error = idmap_set(&merge->processes, process->id, process);
	if (error) {
		free(process);
		return error;
	}
	*id = ++merge->last_process;
	return merge_enqueue(merge, &event);
}

int trace_merge_process_exit(struct trace_merge *merge, uint32_t process, int32_t status)
{
	const struct trace_event event = {
		.kind = TRACE_PROCESS_EXIT,
		.process.process = process,
		.process.status = status,
	};

	return trace_merge_put(merge, &event);
}

int trace_merge_grant(struct trace_merge *merge, uint32_t process, uint32_t pool, uint64_t file)
{
	struct source_process *granted;

	if (!file || pool > TRACE_SLOT_POOL_MAX)
		return -EINVAL;
	LOCK_SCOPE(&merge->lock);
	granted = idmap_get(&merge->processes, process);
	atomic_fetch_add_explicit(&merge->grants, 1, memory_order_release);
	return granted ? idmap_set(&granted->pools, pool, (void *)(uintptr_t)file) : -ESRCH;
}

int trace_merge_thread(struct trace_merge *merge, uint32_t process, int32_t tid, struct trace_bytes name,
		       struct trace_buffer *buffer, uint32_t *thread)
{
	struct trace_event event = { .kind = TRACE_THREAD_START };
	struct source *source = calloc(1, sizeof(*source));
	int error = -ESRCH;

	if (!source) {
		trace_buffer_destroy(buffer);
		return -ENOMEM;
	}
	source->buffer = buffer;
	LOCK_SCOPE(&merge->lock);
	source->process = idmap_get(&merge->processes, process);
	source->thread = merge->last_thread + 1;
	event.thread = source->thread;
	event.process.process = process;
	event.process.pid = tid;
	event.process.text = name;
	event.process.text.length = (uint32_t)min_u64(name.length, TRACE_PATH_MAX);
	if (source->process)
		error = merge_enqueue(merge, &event);
	if (!error) {
		merge->last_thread++;
		error = vector_append(&merge->added, source);
	}
	if (error)
		source_destroy(source);
	else
		*thread = source->thread;
	return error;
}

int trace_merge_thread_gone(struct trace_merge *merge, uint32_t thread)
{
	const struct trace_event event = { .kind = TRACE_THREAD_EXIT, .thread = thread };

	LOCK_SCOPE(&merge->lock);
	if (vector_append(&merge->gone, thread) < 0)
		return -ENOMEM;
	return merge_enqueue(merge, &event);
}
