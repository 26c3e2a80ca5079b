/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_WORKER_H
#define EXPLORE_WORKER_H

/* One worker process of a search (search.h). Private to search.c and worker.c. */

#include <stdatomic.h>

#include "explore/search.h"

/* What a worker shares with the process that started it. The worker writes all of it but `stop`. */
struct explore_worker_state {
	_Atomic uint64_t running;    /* the sequence being checked + 1; 0: none */
	_Atomic uint64_t started_ms; /* since when, CLOCK_MONOTONIC */
	_Atomic uint64_t generated, checked, failed;
	/*
	 * The worker's states below this number are checked, and their failures in the pipe. It only
	 * grows.
	 */
	_Atomic uint64_t passed;
	_Atomic bool stop; /* written by the starter: no new state is to be checked */
	/* Written before the worker ends by itself. */
	uint64_t points, exhausted, equal, legal;
	uint64_t resumed; /* its states that were checked by a search that was interrupted */
	enum explore_limit limit;
	bool done;
	struct message message; /* why it gave up, if `error` is not 0 */
	int error;
};

/* A state whose check did not return: the worker that repeats the walk reports it in place of checking it. */
struct explore_worker_crash {
	uint64_t sequence;
	struct explore_verdict verdict;
};

struct explore_worker {
	int fd; /* of the trace, with a file position of its own */
	const char *name;
	const struct explore_points *points;
	const struct explore_options *options;
	unsigned number;
	const char *directory; /* this worker's own */
	struct explore_worker_state *state;
	/*
	 * States below `from` were checked by the worker's predecessor, and those below `resumed` by the
	 * search that this one goes on with.
	 */
	uint64_t from, resumed;
	const struct explore_worker_crash *crash; /* NULL: none */
	uint64_t until_ms; /* of CLOCK_MONOTONIC: no new state is checked after it; UINT64_MAX: no limit */
	int results;	   /* failures are written here, as struct explore_failure and then its versions */
};

/* Do this worker's share. Does not return: the process ends. */
_Noreturn void explore_worker_run(struct explore_worker *worker);

#endif
