/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

/*
 * Requests to the daemon (abi/attach_protocol.h). The process has one connection, made at its first use and
 * anew in a forked child. All functions are thread-safe and may be called from signal handlers; they block
 * signals while they hold the connection's lock. Errors are negative errnos.
 *
 * A process that must attach (settings.h) and cannot connect for the first time ends with status 1.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/compiler.h"
#include "common/persistence.h"

struct attached_view {
	int fd;		 /* of the view's memory, the courier's; for courier_close() */
	unsigned region; /* below ATTACH_REGIONS_MAX */
	uint32_t view;	 /* its number in WPQ records */
	uint64_t size;	 /* of the pool, in bytes */
	bool is_traced;	 /* stores to it are recorded, */
	uint32_t trace_pool; /* under this number in slots */
};

/* True if `fd` is a regular file on the daemon's mount, or a view of a daemon that has no mount. */
bool connection_serves(int fd);
/* True if `fd` is a view of a daemon that has no mount. */
bool connection_is_view(int fd);
/* fsync(2) for a view's descriptor. */
int connection_sync(int fd);
/* msync(2) for a range of a view, in bytes. */
int connection_sync_range(unsigned region, uint32_t view, uint64_t offset, uint64_t length);
/*
 * Attach to the pool that `fd` is a descriptor of. -EACCES, -EROFS: the process may not write to it; -EINVAL:
 * it has no view that could be mapped.
 */
int connection_attach(int fd, struct attached_view *out);
/*
 * Tell the daemon that a fence is going to publish, and wait until it may. connection_fenced() must follow
 * the publication; it returns after the outage, if one is at this fence. Until then all signals are blocked,
 * and other announced fences of this process wait.
 */
void connection_fence_begins(void);
void connection_fenced(void);
/* Tell the daemon of a mark, and wait until it has it. `text` has ATTACH_MARK_BYTES. */
int connection_mark(const char *text);
/*
 * With settings.record: the courier's descriptors of the trace's clock and of the locks of lines, which
 * stay open. Ends the process if it cannot be recorded; so does each function above when it connects.
 */
void connection_trace_shared(int *clock, int *locks);
/*
 * The courier's descriptor of the buffer of this thread, for courier_close(). *thread: its number in the
 * trace. -ENOENT: the recording has ended.
 */
int connection_trace_thread(long tid, uint32_t *thread);
/* Is the daemon's process there? Without the lock. */
bool connection_daemon_lives(void);
/*
 * End the process if the daemon has gone. For fences that publish nothing, because the persistence domain is
 * PERSISTENCE_CPU_CACHE: no other call would notice. Looks now and then.
 */
void connection_watch_daemon(void);
/* Its number; 0: this process has not reached it. Without the lock. */
pid_t connection_daemon(void);
/*
 * Is there a recording that this process belongs to? It joins it then. If there is none, it may run on
 * as long as it maps no pool.
 */
bool connection_records_output(void);
/* A thread writes no more to its buffer. */
void connection_trace_thread_gone(uint32_t thread);
/* The courier's descriptor of the memory of a new WPQ of this region, for courier_close(). */
int connection_wpq(unsigned region);
/* Wait until the media has what this process published. Ends the process if no daemon is left to do it. */
void connection_drain(void);
/* Ask the daemon to drain soon, without waiting. */
void connection_kick(void);

/* Private to this header and connection.c: enum persistence_domain, or -1 while it is unknown. */
extern _Atomic int connection_domain_known;
enum persistence_domain connection_learn_domain(void);

/* The persistence domain of the daemon's regions: cpu_cache only if all of them are. Connects if need be. */
static inline enum persistence_domain connection_domain(void)
{
	int known = atomic_load_explicit(&connection_domain_known, memory_order_relaxed);

	return likely(known >= 0) ? (enum persistence_domain)known : connection_learn_domain();
}

/* True if the domain is known to be this one; never connects. */
static inline bool connection_domain_is(enum persistence_domain kind)
{
	return atomic_load_explicit(&connection_domain_known, memory_order_relaxed) == (int)kind;
}

/* For pthread_atfork(3) as well: before and after all other locks are taken. */
void connection_fences_stop(void);
void connection_fences_continue(void);
void connection_fences_fork_child(void);
/* Handlers for pthread_atfork(3); queues.c calls them, in the order of the locks. */
void connection_fork_prepare(void);
void connection_fork_parent(void);
void connection_fork_child(void);

#endif
