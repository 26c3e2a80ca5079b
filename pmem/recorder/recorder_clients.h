/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORDER_RECORDER_CLIENTS_H
#define RECORDER_RECORDER_CLIENTS_H

/*
 * Processes that are recorded, and their threads. Each thread writes its events into a buffer in shared
 * memory; what it writes is hostile and checked when it is taken out (trace/merge.h). Each function
 * returns 0 or a negative errno.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/vector.h"
#include "trace/event.h"

struct pool;
struct recorder;

/* The most threads of one process, and of all, that are recorded at a time. */
#define RECORDER_THREADS_OF_ONE 4096
#define RECORDER_THREADS_OF_ALL 8192

/* A process. All-zero: it is not recorded. Its owner does not use it in two threads at a time. */
struct recorder_process {
	uint64_t recording; /* which one it belongs to; 0: none */
	uint32_t id;	    /* in the trace */
	VECTOR_FIELDS(uint32_t); /* its threads' numbers in the trace */
};

struct recorder_process_options {
	pid_t pid;
	uid_t uid;
	uint64_t key; /* of the recording, as it says */
	/* It is a forked child of this process of the trace, and has the parent's pools. 0: it is none. */
	uint32_t forked_from;
	struct trace_bytes command; /* arguments separated by NUL */
};

/*
 * Start to record a process. The descriptors of the clock and of the memory for locks, of `locks_bytes`, are
 * copies that the caller closes. -ENOENT: there is no recording; -EACCES: it has another key; -EALREADY;
 * -ESRCH: there is no such parent, or it is another user's; -EMFILE: the recording has too many processes.
 */
int recorder_add_process(struct recorder *recorder, struct recorder_process *process,
			 const struct recorder_process_options *options, int *clock_fd, int *locks_fd);
/* The process has ended. Nothing happens if it is not recorded. What it published is still written. */
void recorder_remove_process(struct recorder *recorder, struct recorder_process *process);

/* Start to record a thread. *fd, of its buffer, is a copy that the caller closes. -ENOENT, -EMFILE. */
int recorder_add_thread(struct recorder *recorder, struct recorder_process *process, pid_t tid,
			struct trace_bytes name, int *fd, uint32_t *thread);
/* The thread has ended. -ESRCH: it is not one of this process. */
int recorder_remove_thread(struct recorder *recorder, struct recorder_process *process, uint64_t thread);

/*
 * Let the slots of the process name the pool, by *number. The pool is defined in the trace, with its
 * contents, unless it is already. -ENOENT: the process is not being recorded.
 */
int recorder_grant(struct recorder *recorder, const struct recorder_process *process, struct pool *pool,
		   uint32_t *number);

#endif
