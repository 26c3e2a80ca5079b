/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_REPLAY_CONTENTS_H
#define TRACE_REPLAY_CONTENTS_H

/*
 * The contents of files as a trace leaves them: what the processors and the mount showed at
 * that point, durable or not. It serves to hold a trace against the view it was recorded
 * from, byte for byte. Memory is taken for each page that the trace touched. No thread safety.
 *
 * After TRACE_OUTAGE a trace does not tell which unguaranteed bytes were kept: what is
 * read then is right only where later images and stores have set it.
 */

#include <stddef.h>
#include <stdint.h>

#include "trace/event.h"

struct trace_replay;

/* NULL: no memory. */
struct trace_replay *trace_replay_create(void);
void trace_replay_destroy(struct trace_replay *replay);

/*
 * Apply the next event of a trace, in order. Events that change no contents are allowed. 0, -ENOMEM, or
 * -EOPNOTSUPP: a fallocate mode that is none of 0, KEEP_SIZE, PUNCH_HOLE and ZERO_RANGE.
 */
int trace_replay_apply(struct trace_replay *replay, const struct trace_event *event);

/* The size of a file; 0 if it is not known. */
uint64_t trace_replay_size(const struct trace_replay *replay, uint64_t file);

/* Copy contents to `to`. Bytes that no event has set are 0, and so are those beyond the size. */
void trace_replay_read(const struct trace_replay *replay, uint64_t file, uint64_t offset, void *to,
		       size_t length);

/* Write the contents to an empty file, sparse: only pages that are held take space. 0 or negative errno. */
int trace_replay_save(const struct trace_replay *replay, uint64_t file, int fd);

/* How many pages of 4096 bytes are held, of all files. */
size_t trace_replay_pages(const struct trace_replay *replay);

#endif
