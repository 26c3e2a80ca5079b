/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORDER_RECORDER_FILES_H
#define RECORDER_RECORDER_FILES_H

/* The files of a trace: their numbers, and what was in them when they were first needed. */

#include <stdint.h>

#include "trace/event.h"

struct pool;
struct pool_attributes;
struct recorder;

/* Define all that is there: the tree with its contents. The caller holds recorder->lock exclusively. */
int recorder_files_image(struct recorder *recorder);

/*
 * The pool was created: put that. `name` is empty if it has none. The caller holds recorder->lock and the
 * lock of names, and there is a recording.
 */
int recorder_files_create(struct recorder *recorder, struct pool *pool, uint64_t parent,
			  struct trace_bytes name);
/*
 * What a power failure may do to the pool is another thing now, or may be: put it. The caller holds
 * recorder->lock, and there is a recording.
 */
int recorder_files_rules(struct recorder *recorder, struct pool *pool);
/* What an outage has left in a regular file. The caller holds recorder->lock, and there is a recording. */
int recorder_files_image_again(struct recorder *recorder, struct pool *pool);

struct trace_attributes recorder_attributes(const struct pool_attributes *attributes);

/*
 * The pool's number in the trace; it is defined there, with its contents, if it is not yet. The caller
 * holds recorder->lock, and there is a recording. 0 and *file, or a negative errno.
 */
int recorder_files_define(struct recorder *recorder, struct pool *pool, uint64_t *file);

#endif
