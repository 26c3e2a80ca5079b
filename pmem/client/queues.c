/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Each thread has a WPQ for each region that it flushes to. It takes one at its first flush to the region
 * and gives it back when it ends. A fence publishes all of them. A signal handler that flushes in the
 * middle of its thread's flush finds the WPQ in use and takes another.
 */

#include "client/queues.h"

#include <errno.h>
#include <immintrin.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/attach_protocol.h"
#include "abi/rawcall.h"
#include "client/connection.h"
#include "client/courier.h"
#include "client/errormsg.h"
#include "client/events.h"
#include "client/inline.h"
#include "client/recording.h"
#include "client/settings.h"
#include "client/signals.h"
#include "client/valgrind.h"

THREAD_HOT struct thread thread_self;

/* Guards `idle`: the queues of threads that have ended. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct queue *idle[ATTACH_REGIONS_MAX];
static pthread_key_t thread_end;
static bool have_thread_end;

static uint64_t enter(void)
{
	return signals_lock(&lock);
}

static void leave(uint64_t signals)
{
	signals_unlock(&lock, signals);
}

/* Looks at a full ring before the daemon is asked: usually it drains already, and asking costs more. */
#define SPINS 20000

/* For wpq_producer.full. The thread has asked for a drain at a quarter of the ring. False: it is closed. */
static bool make_room(void *context, struct wpq_header *header)
{
	uint64_t drained[WPQ_LANES];

	if (wpq_is_closed(header))
		return false;
	for (unsigned lane = 0; lane < WPQ_LANES; lane++)
		drained[lane] = atomic_load_explicit(&header->lanes[lane].drained, memory_order_relaxed);
	for (unsigned spin = 0; spin < SPINS; spin++) {
		for (unsigned lane = 0; lane < WPQ_LANES; lane++)
			if (atomic_load_explicit(&header->lanes[lane].drained, memory_order_relaxed) !=
			    drained[lane])
				return true;
		__builtin_ia32_pause();
	}
	connection_drain();
	return !wpq_is_closed(header);
}

struct open_call {
	int fd;
	struct wpq_producer *producer;
};

static long call_open(void *argument)
{
	const struct open_call *open = argument;

	return wpq_producer_open(open->fd, open->producer);
}

static int open_producer(struct wpq_producer *producer, unsigned region)
{
	struct open_call open = { .fd = connection_wpq(region), .producer = producer };
	int error = open.fd < 0 ? open.fd : (int)courier_call(call_open, &open);

	if (open.fd >= 0)
		courier_close(open.fd);
	if (error)
		return error;
	producer->full = make_room;
	/* A forked child must never publish here. */
	RAW3(madvise, producer->header, WPQ_HEADER_BYTES, MADV_DONTFORK);
	for (unsigned lane = 0; lane < WPQ_LANES; lane++)
		RAW3(madvise, producer->rings[lane], 2 * producer->lane_size, MADV_DONTFORK);
	return 0;
}

static struct queue *new_queue(unsigned region)
{
	long memory = RAW6(mmap, NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
	struct queue *queue = (struct queue *)memory;

	if (raw_failed(memory))
		return NULL;
	/* See enum wpq_state. Without it there is a moment in which a close is not noticed. */
	RAW3(membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
	queue->region = region;
	if (open_producer(&queue->producer, region) != 0) {
		RAW2(munmap, queue, PAGE_BYTES);
		return NULL;
	}
	return queue;
}

/* Nothing can be made durable any more. */
static _Noreturn void give_up(void)
{
	client_complain("the daemon gives this process no write pending queue, so nothing can be durable; ",
		 "the process ends");
	__builtin_trap();
}

#define CLOSING_MS 10000

/*
 * The program has closed the socket, so the daemon has closed this WPQ. What was not drained continues in
 * a new one. No flush of this thread may be in progress in it.
 */
__attribute__((noinline)) void queue_replace(struct queue *queue)
{
	struct wpq_producer old = queue->producer;
	const struct wpq_header *header = old.header;

	for (unsigned waited = 0; atomic_load_explicit(&header->state, memory_order_acquire) != WPQ_CLOSED;
	     waited++) {
		if (waited == CLOSING_MS)
			give_up();
		RAW3(poll, NULL, 0, 1);
	}
	if (open_producer(&queue->producer, queue->region) != 0 ||
	    wpq_producer_move(&old, &queue->producer) != 0)
		give_up();
	queue->kicked = 0;
	wpq_producer_close(&old);
}

static struct queue *take(unsigned region)
{
	uint64_t signals = enter();
	struct queue *queue = idle[region];

	if (queue) {
		idle[region] = queue->next;
		queue->next = NULL;
	}
	leave(signals);
	if (!queue)
		queue = new_queue(region);
	if (!queue)
		give_up();
	return queue;
}

static void give_back(void *thread)
{
	struct thread *self = thread;
	uint64_t signals;

	/* Ending a thread executes locked instructions, each of which is a fence. */
	queue_fence();
	signals = enter();
	for (unsigned i = 0; i < QUEUE_DEPTH; i++) {
		struct queue *queue;

		while ((queue = self->queues[i])) {
			self->queues[i] = queue->next;
			queue->next = idle[queue->region];
			idle[queue->region] = queue;
		}
	}
	self->depth = 0;
	self->has_more = false;
	leave(signals);
	client_inline_thread_end();
}

/*
 * The thread's WPQ of the region at this depth of handlers. A handler may fence at any moment, so a queue is
 * complete before it is linked into the list.
 */
__attribute__((noinline)) struct queue *queue_find_or_take(struct thread *self, unsigned depth,
							   unsigned region)
{
	struct queue **end = &self->queues[depth], *queue;

	for (; *end; end = &(*end)->next)
		if ((*end)->region == region)
			return *end;
	queue = take(region);
	if (end != &self->queues[0])
		self->has_more = true;
	atomic_signal_fence(memory_order_seq_cst);
	*end = queue;
	if (have_thread_end)
		pthread_setspecific(thread_end, self);
	return queue;
}

void queue_ask_for_drain(struct queue *queue)
{
	const struct wpq_producer *producer = &queue->producer;
	const uint64_t drained =
		atomic_load_explicit(&producer->header->lanes[WPQ_FENCED].drained, memory_order_acquire);

	/* If the daemon has drained most of it by itself, count from there. */
	if (drained > queue->kicked) {
		queue->kicked = drained;
		if (!queue_is_filling(queue))
			return;
	}
	queue->kicked = producer->published[WPQ_FENCED];
	connection_kick();
}

void queue_reopen(struct queue *queue)
{
	struct thread *self = &thread_self;
	unsigned depth = thread_enter(self);

	while (queue_is_closed(queue))
		queue_replace(queue);
	thread_leave(self, depth);
}

/* A call that ends in a fence publishes each so many bytes, so that the daemon can begin to drain. */
#define EARLY_BYTES (64u << 10)

void queue_publish_early(struct wpq_producer *producer)
{
	if (producer->pending[WPQ_FENCED] - producer->published[WPQ_FENCED] < EARLY_BYTES)
		return;
	_mm_sfence();
	wpq_publish(producer, WPQ_FENCED);
}

static bool flush_early(struct wpq_producer *producer, const struct range *at, const unsigned char *view,
			size_t length, uint32_t flags)
{
	uint64_t offset = at->offset, end = offset + length;

	while (offset < end) {
		uint64_t stop = min_u64(align_down(offset, EARLY_BYTES) + EARLY_BYTES, end);

		queue_publish_early(producer);
		if (!wpq_flush(producer, at->view, view, offset, stop - offset, flags))
			return false;
		flags |= WPQ_CONTINUED;
		offset = stop;
	}
	return true;
}

static bool flush_all(struct wpq_producer *producer, const struct range *at, const unsigned char *view,
		      size_t length, uint32_t flags)
{
	if (unlikely(flags & QUEUE_EARLY))
		return flush_early(producer, at, view, length, flags & ~QUEUE_EARLY);
	return wpq_flush(producer, at->view, view, at->offset, length, flags);
}

/*
 * A snapshot compares bytes of the line, as no flush instruction does: memcheck would report each struct
 * whose padding was never stored to.
 */
static void make_lines_defined(uintptr_t address, size_t length)
{
	const uintptr_t start = align_down(address, LINE_SIZE);

	valgrind_make_defined((void *)start, align_up(address + length, LINE_SIZE) - start);
}

void queue_flush(const struct range *at, uintptr_t address, size_t length, uint32_t flags)
{
	unsigned depth;
	struct queue *queue = queue_begin(at->region, &depth);
	/* Where the first byte of the view would be, through the alias (fast_path.h). */
	const unsigned char *view = (const unsigned char *)(address - at->offset) + at->alias;

	if (unlikely(client_settings()->valgrind))
		make_lines_defined(address, length);
	/* After a replacement all is flushed again: a later snapshot of a line includes the earlier one. */
	while (unlikely(!flush_all(&queue->producer, at, view, length, flags)))
		queue_replace(queue);
	queue_end(queue, depth);
}

/* `in_use`: the flush that this handler interrupted uses the queue. */
static inline __attribute__((always_inline)) void fence_one(struct queue *queue, bool in_use)
{
	wpq_fence(&queue->producer);
	while (queue_is_closed(queue)) {
		/* It cannot be replaced now, so the fence has no effect. */
		if (in_use)
			give_up();
		queue_replace(queue);
	}
}

/* Queues of several regions. The fence is counted as idle only if no queue had anything to publish. */
static __attribute__((noinline)) void fence_all(struct queue *first, bool in_use)
{
	bool any = false;

	for (struct queue *queue = first; queue; queue = queue->next) {
		const struct wpq_producer *producer = &queue->producer;

		if (!wpq_has_unfenced(producer) && !wpq_is_closed(producer->header))
			continue;
		fence_one(queue, in_use);
		any = true;
	}
	if (!any)
		fence_one(first, in_use);
}

/* Must the daemon hear of this fence before it publishes? */
static bool is_to_be_announced(const struct thread *self)
{
	for (unsigned i = 0; i < QUEUE_DEPTH; i++)
		for (const struct queue *queue = self->queues[i]; queue; queue = queue->next)
			if (atomic_load_explicit(&queue->producer.header->announce, memory_order_relaxed) &&
			    wpq_has_unfenced(&queue->producer))
				return true;
	return false;
}

static void fence_all_queues(void)
{
	struct thread *self = &thread_self;
	/* Else a handler's fence between reading the positions and storing them would be undone. */
	unsigned depth = thread_enter(self);

	/* All depths: queues[0] may be missing if a handler was the first to flush. */
	for (unsigned i = 0; i < QUEUE_DEPTH; i++) {
		struct queue *queue = self->queues[i];

		if (queue && unlikely(queue->next))
			fence_all(queue, i < depth);
		else if (queue)
			fence_one(queue, i < depth);
	}
	thread_leave(self, depth);
}

void queue_fence_recorded(void)
{
	const struct thread *self = &thread_self;
	const bool announced = is_to_be_announced(self);

	if (unlikely(announced))
		connection_fence_begins();
	fence_all_queues();
	if (unlikely(client_settings()->through) && self->queues[0])
		connection_drain();
	if (unlikely(announced))
		connection_fenced();
}

void queue_fence(void)
{
	queue_fence_recorded();
	client_event_fence();
}

/* ---- fork --------------------------------------------------------------------- */

static uint64_t fork_table, fork_signals;
static bool fork_recorded;

/*
 * The recorder's locks are taken first, because its sites are defined by messages to the daemon. These
 * handlers were registered before those of the program, which run outside of them, and may store.
 */
void client_fork_prepare(void)
{
	uint64_t signals;

	if (client_recording()) {
		client_recording_fork_prepare();
		fork_recorded = true;
	}
	connection_fences_stop();
	signals = ranges_lock();
	fork_table = signals;
	signals = enter();
	fork_signals = signals;
	connection_fork_prepare();
	courier_fork_prepare();
}

void client_fork_parent(void)
{
	courier_fork_parent();
	connection_fork_parent();
	leave(fork_signals);
	ranges_unlock(fork_table);
	connection_fences_continue();
	if (fork_recorded) {
		fork_recorded = false;
		client_recording_fork_parent();
	}
}

/* The parent's WPQs are not mapped here: what it flushed and did not fence is the parent's. */
void client_fork_child(void)
{
	uint64_t signals = fork_table;

	courier_fork_child();
	connection_fork_child();
	pthread_mutex_init(&lock, NULL);
	memset(idle, 0, sizeof(idle));
	memset(thread_self.queues, 0, sizeof(thread_self.queues));
	thread_self.depth = 0;
	thread_self.has_more = false;
	ranges_fork_child();
	signals_locks_held = 0;
	signals_restore(signals);
	connection_fences_fork_child();
	if (fork_recorded) {
		fork_recorded = false;
		client_recording_fork_child();
	}
}

void client_fork_done(long pid)
{
	const int error = errno;

	if (pid)
		client_fork_parent();
	else
		client_fork_child();
	errno = error;
}

static AT_LOAD void prepare(void)
{
	have_thread_end = pthread_key_create(&thread_end, give_back) == 0;
	pthread_atfork(client_fork_prepare, client_fork_parent, client_fork_child);
}
