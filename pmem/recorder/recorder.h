/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORDER_RECORDER_H
#define RECORDER_RECORDER_H

/*
 * Records what happens to the pools of all regions into a trace file
 * (docs/trace-format.md): operations on files (recorded.h), and the stores of processes that
 * map pools (recorder_clients.h). There is at most one recording at a time. A
 * thread of the recorder writes the file.
 *
 * Functions return 0 or a negative errno. Any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/message.h"

struct pools;
struct recorder;

/* What is recorded. Must outlive the recorder; `pools` and `names` belong to the caller. */
struct recorder_region {
	struct pools *pools;
	const char *name;
};

int recorder_create(const struct recorder_region *regions, unsigned count, struct recorder **out);
/* Ends a recording, and frees. No other call is running. NULL is allowed. */
void recorder_destroy(struct recorder *recorder);

struct recorder_begin {
	int fd; /* the file, which is emptied. The recorder has its own copy of the descriptor */
	const char *name; /* of the file, for messages */
	uint64_t key;	  /* a secret of those who may be recorded as processes */
	/*
	 * Return when no operation on pools runs any more that began before this call. Operations that begin
	 * later may wait for recorder_begin() to return. May be NULL.
	 */
	void (*settle)(void *context);
	void *context;
};
/*
 * Begin a recording. All that is volatile becomes durable, and the trace gets the tree with its contents;
 * operations wait until then. Returns once they are written. No outage may begin meanwhile. -EBUSY with a
 * message: there is a recording, or its summary was not collected.
 */
int recorder_begin(struct recorder *recorder, const struct recorder_begin *options, struct message *message);
/* Have the recording end soon. -ENOENT: there is none. */
int recorder_stop(struct recorder *recorder);
/* Wait until there is no recording, or it has ended: false if it has not after so many milliseconds. */
bool recorder_wait(struct recorder *recorder, unsigned milliseconds);

/* A recording so far, or as it was in the end. */
struct recorder_summary {
	uint64_t events, bytes; /* in the file; bytes are those of the file */
	uint64_t gaps;		/* places in it where events are missing */
	uint64_t processes, threads;
	uint64_t pools; /* that recorded processes have mapped */
	/* 0; or why it ended early, with a message. The file then ends with its last whole block. */
	int error;
	struct message message;
};
void recorder_progress(struct recorder *recorder, struct recorder_summary *summary);
/* After recorder_wait() was true: the summary. Another recording may begin from here on. */
void recorder_collect(struct recorder *recorder, struct recorder_summary *summary);

/* Is there a recording? What is recorded until the answer is used may differ. */
bool recorder_is_on(const struct recorder *recorder);

/* Nothing happens without a recording, as with all that follows. */
void recorder_mark(struct recorder *recorder, const char *text);

/* An outage: `policy` and `seed` are what decided. */
struct recorder_outage {
	uint64_t generation; /* after it */
	const char *policy;
	uint64_t seed;
	uint64_t taken_back; /* operations on names, sizes and attributes: the trace says only how many */
};
/*
 * It is over, and the pools can be used again. The path of each file whose bytes it may have changed is then
 * to be given to recorder_changed_by_outage(), before anybody changes the file: the trace gets its contents.
 */
void recorder_outage(struct recorder *recorder, const struct recorder_outage *outage);
void recorder_changed_by_outage(struct recorder *recorder, struct pools *pools, const char *path);

#endif
