/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_WRITER_H
#define TRACE_WRITER_H

/*
 * Writes a trace file. Events are given in memory order; merge.h brings those of many
 * threads into it. No thread safety.
 */

#include <stdint.h>

#include "common/message.h"
#include "trace/event.h"

struct trace_catalog;
struct trace_writer;

struct trace_writer_options {
	int level;		/* of zstd; 0: blocks are not compressed */
	uint64_t created;	/* seconds since the epoch; 0: not stated */
	unsigned char uuid[16]; /* all 0: a random one */
};

/* Of zstd. 1 makes traces hardly smaller, and takes a fifth longer. */
#define TRACE_WRITER_LEVEL (-1)

/*
 * Write to a descriptor, from where it is on; `name` is for messages. The caller keeps the descriptor open
 * until the writer is destroyed, and closes it. 0 or negative errno with a message.
 */
int trace_writer_create(int fd, const char *name, const struct trace_writer_options *options,
			struct trace_writer **out, struct message *message);

/*
 * Append an event. -EBADMSG: it is malformed or does not follow the ones before it; the message
 * says why, and the trace goes on without it. Any other error is final: the disk is full, for instance. The
 * file then ends with its last whole block, and every later call fails with the same error.
 */
int trace_writer_put(struct trace_writer *writer, const struct trace_event *event, struct message *message);

/* Write out what was put, as a block: it survives the end of this process. */
int trace_writer_flush(struct trace_writer *writer, struct message *message);

/* Append TRACE_END and write out. Nothing can be put afterwards. */
int trace_writer_end(struct trace_writer *writer, struct message *message);

/* Free it. Without trace_writer_end() what was not flushed is lost, and readers report a cut trace. */
void trace_writer_destroy(struct trace_writer *writer);

/* What was put so far; it belongs to the writer. */
const struct trace_catalog *trace_writer_catalog(const struct trace_writer *writer);

/* Bytes written to the file so far. */
uint64_t trace_writer_bytes(const struct trace_writer *writer);

#endif
