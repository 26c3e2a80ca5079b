/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_QUEUES_H
#define CLIENT_QUEUES_H

/*
 * This thread's write pending queues: one for each region it flushes to. They are taken at the first flush
 * to the region and given back when the thread ends. All functions concern the calling thread alone and
 * are async-signal-safe: a signal handler that interrupts a flush uses a WPQ of its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/wpq_producer.h"
#include "client/compiler.h"
#include "client/ranges.h"

struct queue {
	struct wpq_producer producer;
	/* Position of the FENCED lane: of the last request for a drain, or up to where it is drained. */
	uint64_t kicked;
	unsigned region;
	struct queue *next; /* in a thread's list, of another region; if idle, of the same region */
};
_Static_assert(sizeof(struct queue) <= PAGE_BYTES, "each is allocated as a page");

/* The deepest nesting of signal handlers that flush, each in the middle of a flush of the one before. */
enum { QUEUE_DEPTH = 4 };

/*
 * The depth is apart from what is read with it: compilers join such reads to one, and a processor waits with
 * a read that needs more bytes than the last store to them has, until that is in the cache.
 */
struct thread {
	bool has_more;	/* a queue other than queues[0] exists */
	bool unordered; /* clwb or non-temporal stores were executed: the fence must be a real sfence */
	/* [0] for the thread itself, [n] for handlers at depth n; each starts a list of regions. */
	struct queue *queues[QUEUE_DEPTH];
	unsigned depth; /* queues below it are in use by what was interrupted */
};
extern THREAD_HOT struct thread thread_self;

/*
 * Between these two the queues below the depth are in use, and a handler takes others. The depth is raised
 * before anything else and lowered after everything else. Returns the depth for thread_leave().
 */
static inline unsigned thread_enter(struct thread *self)
{
	unsigned depth = self->depth;

	/* A handler that left by longjmp() did not lower the depth. */
	if (unlikely(depth >= QUEUE_DEPTH))
		depth = 0;
	self->depth = depth + 1;
	atomic_signal_fence(memory_order_seq_cst);
	return depth;
}

static inline void thread_leave(struct thread *self, unsigned depth)
{
	atomic_signal_fence(memory_order_seq_cst);
	self->depth = depth;
}

/*
 * Execute the sfence that real flushes and non-temporal stores of this thread need. Before records are
 * published: the daemon compares them with the view, which must not be older.
 */
static inline void thread_order(struct thread *self)
{
	if (unlikely(self->unordered)) {
		self->unordered = false;
		/* Not by an intrinsic: code without vector registers calls this, too. */
		__asm__ volatile("sfence" ::: "memory");
	}
}

/* A flag beside enum wpq_record_flags: the lines may become durable before the fence. */
#define QUEUE_EARLY (1u << 31)
/*
 * Calls of more bytes than this use QUEUE_EARLY. Shorter ones make nothing durable before their fence, as
 * long as their ring has room.
 */
#define QUEUE_EARLY_FROM (32u << 10)

/*
 * Flush `length` bytes at `address`, which `at` is the range of. Their lines as they are now become durable
 * with the thread's next fence. `flags`: enum wpq_record_flags, QUEUE_EARLY.
 */
void queue_flush(const struct range *at, uintptr_t address, size_t length, uint32_t flags);
/* Make durable what this thread flushed. */
void queue_fence(void);
/* The same for a fence that the recorder has seen already. */
void queue_fence_recorded(void);

/* Should the thread ask for a drain? The daemon also looks by itself, but too seldom for a busy thread. */
static inline bool queue_is_filling(const struct queue *queue)
{
	const struct wpq_producer *producer = &queue->producer;

	return producer->published[WPQ_FENCED] - queue->kicked > producer->lane_size / 4 &&
	       !atomic_load_explicit(&producer->header->awake, memory_order_relaxed);
}
void queue_ask_for_drain(struct queue *queue);

static inline bool wpq_is_closed(const struct wpq_header *header)
{
	return unlikely(atomic_load_explicit(&header->state, memory_order_acquire) != WPQ_OPEN);
}

/*
 * After a fence: has the daemon closed the WPQ? The signal fence keeps the compiler's order of publication
 * and check; the daemon's membarrier(2) keeps the processor's.
 */
static inline bool queue_is_closed(const struct queue *queue)
{
	atomic_signal_fence(memory_order_seq_cst);
	return wpq_is_closed(queue->producer.header);
}
/* Continue in a new WPQ with what the closed one was not drained of. Not in the middle of a flush. */
void queue_reopen(struct queue *queue);

/* ---- Records by hand, for stores that go to a WPQ as they are made -------------------- */

/* Private to this header and queues.c. */
struct queue *queue_find_or_take(struct thread *self, unsigned depth, unsigned region);

/* This thread's WPQ of the region, in use until queue_end(). Never NULL: without one the process ends. */
static inline struct queue *queue_begin(unsigned region, unsigned *depth)
{
	struct thread *self = &thread_self;
	struct queue *queue;

	*depth = thread_enter(self);
	queue = self->queues[*depth];
	return likely(queue && queue->region == region) ? queue : queue_find_or_take(self, *depth, region);
}

static inline void queue_end(struct queue *queue, unsigned depth)
{
	if (unlikely(queue_is_filling(queue)))
		queue_ask_for_drain(queue);
	thread_leave(&thread_self, depth);
}

/* Between those two, when its producer has failed: continue in a new WPQ. Without one the process ends. */
void queue_replace(struct queue *queue);
/*
 * In a call that ends in a fence (QUEUE_EARLY): publish what is flushed so far, if it is much, so that the
 * daemon can begin. Call it before a record and not after: the fence marks the last record.
 */
void queue_publish_early(struct wpq_producer *producer);

/*
 * Around a process's being made with memory of its own, in the parent before and after, and in the child;
 * signals are blocked meanwhile. fork(3) calls them by itself.
 */
void client_fork_prepare(void);
void client_fork_parent(void);
void client_fork_child(void);
/* One of the two that come after, by what the call has returned: 0 in the child. errno stays. */
void client_fork_done(long pid);

#endif
