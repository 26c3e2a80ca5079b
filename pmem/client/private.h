/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_PRIVATE_H
#define CLIENT_PRIVATE_H

/* Private to pmem/client: what its files know of each other. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/persistence.h"
#include "abi/wpq_producer.h"

#define PUBLIC __attribute__((visibility("default")))
/* Preloaded, we are in the static block: one instruction away. */
#define THREAD_HOT _Thread_local __attribute__((tls_model("initial-exec")))

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* ---- settings.c: the environment, read once ------------------------------ */

struct settings {
	const char *attach_path;  /* SOFTPMEM_ATTACH; NULL: no daemon, then we are an ordinary libpmem */
	bool through;		  /* SOFTPMEM_THROUGH=1: a fence waits for the media */
	bool flush_never;	  /* PMEM_NO_FLUSH=1 */
	bool flush_always;	  /* PMEM_NO_FLUSH=0, whatever the domain */
	size_t nontemporal_from;  /* PMEM_MOVNT_THRESHOLD; SIZE_MAX: PMEM_NO_MOVNT=1 */
	bool has_hint;		  /* PMEM_MMAP_HINT */
	uintptr_t hint;
	/* Tests only: die at this fence; leave out each flush whose number this divides. */
	uint64_t cut_at, skip_flush;
};
/* Asked at every flush and fence, so without a call once they are known. */
extern struct settings settings_read;
extern atomic_bool settings_known;
/* They are known, and none of them is for a flush in the usual domain, or a fence, to look at. */
extern atomic_bool settings_plain;
static inline bool settings_are_plain(void)
{
	return atomic_load_explicit(&settings_plain, memory_order_relaxed);
}
const struct settings *settings_learn(void);
static inline const struct settings *settings(void)
{
	if (likely(atomic_load_explicit(&settings_known, memory_order_acquire)))
		return &settings_read;
	return settings_learn();
}

/* ---- connection.c: the daemon ---------------------------------------------- */

struct attached_view {
	int fd;
	unsigned region;
	uint32_t view;
	uint64_t size;
};

/* Is this file on the daemon's mount, or a view of a daemon without one? Connects when it may well be. */
bool connection_serves(int fd);
bool connection_is_view(int fd);
/* fsync(2) for a view. */
int connection_sync(int fd);
/* The view of the pool that `fd`, open for reading and writing, is. The caller closes out->fd. */
int connection_attach(int fd, struct attached_view *out);
/* A new WPQ's memory, for this region, or a negative errno. */
int connection_wpq(unsigned region);
/* Wait until what was published is on the media; ends the process if there is no daemon left to do it. */
void connection_drain(void);
/* Ask for that, and do not wait. */
void connection_kick(void);
/* Known after the first connection_serves() or connection_attach(), and asked for by this. */
extern _Atomic int connection_domain_known; /* -1: not yet */
enum persistence_domain connection_learn_domain(void);
static inline enum persistence_domain connection_domain(void)
{
	int known = atomic_load_explicit(&connection_domain_known, memory_order_relaxed);

	return likely(known >= 0) ? (enum persistence_domain)known : connection_learn_domain();
}
/* False also while it is not known. */
static inline bool connection_domain_is(enum persistence_domain kind)
{
	return atomic_load_explicit(&connection_domain_known, memory_order_relaxed) == (int)kind;
}
void connection_fork_prepare(void);
void connection_fork_parent(void);
void connection_fork_child(void);
/* "softpmem: ..." on stderr, in one write. */
void complain(const char *what, const char *detail);

/* ---- ranges.c: which addresses are pools ---------------------------------- */

enum range_flags {
	RANGE_POOL = 1u << 0,	   /* a shared mapping of a view */
	RANGE_REGISTERED = 1u << 1 /* mapped by pmem_map_file(), and persistent: what pmem_is_pmem() knows */
};
struct range {
	uintptr_t start, end; /* end: of what is known to be alike */
	uint64_t offset;      /* of `start` in the view */
	uint32_t view;	 /* of the region's */
	uint16_t region;
	uint16_t flags; /* 0: nothing of ours from start to end */
};
_Static_assert(sizeof(struct range) == 32, "two of them are a line");
/* What is at `address`: from it on, not from where its range starts. No lock, no system call. */
struct range ranges_find(uintptr_t address);
/* Only for ranges_find_again(), below. */
extern _Atomic uint64_t ranges_version;
extern struct range *ranges_table;
/* Between these the table may be changed, by one thread at a time, without signals. */
uint64_t ranges_lock(void);
void ranges_unlock(uint64_t signals);
/* Forget [start, end). */
void ranges_erase(uintptr_t start, uintptr_t end);
/* Erases what was there. -ENOMEM: nothing has changed. */
int ranges_insert(const struct range *range);
/* Set flags on what of [start, end) is ours. */
void ranges_mark(uintptr_t start, uintptr_t end, uint16_t flags);
void ranges_fork_child(void);

/* ---- queues.c: this thread's WPQs ------------------------------------------- */

struct queue {
	struct wpq_producer producer;
	uint64_t kicked; /* the position at which we last asked for a drain */
	unsigned region;
	struct queue *next; /* of this thread at one depth, none of the same region; or idle of this region */
};
_Static_assert(sizeof(struct queue) <= PAGE_BYTES, "a page each");
enum { QUEUE_DEPTH = 4 };
struct thread {
	/*
	 * One, and one more for each signal handler that flushes in the midst of a
	 * flush; what hangs on each are those of further regions.
	 */
	struct queue *queues[QUEUE_DEPTH];
	unsigned depth;
	bool has_more; /* than queues[0], and nothing that hangs on it */
	bool unordered; /* real lines flushed, or stores past the caches: the fence must be a real one too */
	size_t hint; /* the entry that was found last; a word, which a handler may change at any moment */
};
extern THREAD_HOT struct thread thread_self;

/*
 * Between these the WPQs below the depth are in use: a handler takes another. The
 * depth must be raised before, and lowered after, all else.
 */
static inline unsigned thread_enter(struct thread *self)
{
	unsigned depth = self->depth;

	/* Handlers that never return (longjmp) leave their depth behind. */
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

/* Before the WPQ's records count: what the daemon finds in the view must be as new as they are. */
static inline void thread_order(struct thread *self)
{
	if (unlikely(self->unordered)) {
		self->unordered = false;
		_mm_sfence();
	}
}

/*
 * ranges_find(), if it is in the entry that was found last, which may be another's by now, or none.
 * Field by field: a struct that is put together and then copied waits for its own stores.
 */
static inline bool ranges_find_again(uintptr_t address, struct range *out)
{
	uint64_t now = atomic_load_explicit(&ranges_version, memory_order_acquire);
	const struct range *entry = &ranges_table[thread_self.hint];
	uintptr_t start = __atomic_load_n(&entry->start, __ATOMIC_RELAXED);

	out->start = address;
	out->end = __atomic_load_n(&entry->end, __ATOMIC_RELAXED);
	out->offset = __atomic_load_n(&entry->offset, __ATOMIC_RELAXED) + (address - start);
	out->view = __atomic_load_n(&entry->view, __ATOMIC_RELAXED);
	out->region = __atomic_load_n(&entry->region, __ATOMIC_RELAXED);
	out->flags = __atomic_load_n(&entry->flags, __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_acquire);
	return !(now & 1) && atomic_load_explicit(&ranges_version, memory_order_relaxed) == now &&
	       address >= start && address < out->end;
}

/* flags: enum wpq_record_flags. With QUEUE_EARLY its lines may become durable before the fence. */
#define QUEUE_EARLY (1u << 31)
/* Shorter ones are all or nothing, as long as their ring has room: what was never fenced stays lost. */
#define EARLY_FROM (32u << 10)
void queue_flush(const struct range *at, uintptr_t address, size_t length, uint32_t flags);
/*
 * Non-temporal stores of whole lines of one range, and their flush, which takes
 * what was stored: so it is when such a store meets the line (DESIGN's table:
 * store + clwb of its bytes). `to` is line aligned, `length` a multiple of a line; they do not overlap.
 */
void queue_stream(const struct range *at, void *to, const void *from, size_t length, uint32_t flags);
/* A non-temporal store under eADR of [to, to+length) within one line. */
void queue_store_undoable(const struct range *at, void *to, const void *from, size_t length);
/* All this thread flushed is durable. */
void queue_fence(void);
/* The daemon looks by itself, but not so often as a busy thread would have it. */
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
 * After a fence: is the WPQ closed? The compiler keeps the order of the two; the processor's is the
 * daemon's membarrier(2).
 */
static inline bool queue_is_closed(const struct queue *queue)
{
	atomic_signal_fence(memory_order_seq_cst);
	return wpq_is_closed(queue->producer.header);
}
/* What it holds goes on in another; this thread is not in the midst of a flush. */
void queue_reopen(struct queue *queue);

/* ---- persist.c ---------------------------------------------------------------- */

/* Whatever the addresses are: clwb of each line of them. Flags as for queue_flush(). */
void flush_range(uintptr_t address, size_t length, uint32_t flags);
/* sfence. */
void fence(void);
/* pmem_flush() and pmem_persist(): where flushes do not count, nothing is flushed. */
void flush(uintptr_t address, size_t length);
void persist(uintptr_t address, size_t length);
/* A test hook says that this flush is to be left out. */
bool flush_left_out(void);
/* Neither PMEM_NO_FLUSH nor the domain makes flushes needless. */
bool flushes_count(void);
/* msync(2), with what it means for pools. */
int sync_range(void *address, size_t length, int flags);

/* ---- interpose.c --------------------------------------------------------------- */

/* mmap and munmap, views in the place of pools; addresses or negative errno. */
long client_mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset);
long client_munmap(void *address, size_t length);

/* ---- message.c ------------------------------------------------------------------- */

/* What pmem_errormsg() says, with ": strerror(errno)" if `error` is not 0; errno becomes it. */
void message_set(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
