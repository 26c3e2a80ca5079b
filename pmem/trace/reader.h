/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_READER_H
#define TRACE_READER_H

/*
 * Reads a trace file as a stream. The file is hostile: every length, id and offset is
 * checked before it is used. Memory is bounded by a block and the definitions.
 * No thread safety; readers of their own are independent.
 */

#include <stdint.h>

#include "common/message.h"
#include "trace/event.h"

struct trace_catalog;
struct trace_reader;

/*
 * Read from a descriptor, a pipe too, from where it is on; `name` is for messages. The caller keeps it open
 * until the reader is destroyed, and closes it. The position of a file is not changed: several readers may
 * read from one descriptor. -EBADMSG: this is no trace, or of a version or with features
 * that this program does not know; or another negative errno. The message says which.
 */
int trace_reader_create(int fd, const char *name, struct trace_reader **out, struct message *message);
void trace_reader_destroy(struct trace_reader *reader);

/*
 * The next event. It and what it points to are valid until the next call.
 *
 * 1: there is one. 0: the trace has ended in order. -ENODATA: it ends without its end, because the recording
 * was killed or the file was cut; all events up to there were read. -EBADMSG: what follows is damaged or
 * malformed; all events up to there were read. Other negative errno: reading failed. The message says where
 * and why; later calls return the same.
 */
int trace_reader_next(struct trace_reader *reader, struct trace_event *event, struct message *message);

/* What was defined by the events read so far; it belongs to the reader. */
const struct trace_catalog *trace_reader_catalog(const struct trace_reader *reader);

/* The file's header: its id and when it was created (seconds since the epoch; 0: not known). */
const unsigned char *trace_reader_uuid(const struct trace_reader *reader);
uint64_t trace_reader_created(const struct trace_reader *reader);

/* A place between two events of a trace. Only trace_reader_tell() makes one. */
struct trace_position {
	uint64_t block;	      /* where its block is in the file, from where the reader started */
	uint64_t number;      /* of the block */
	uint64_t events;      /* before the block, in the trace */
	uint64_t block_stamp; /* of the last event before the block that has one */
	uint64_t stamp;	      /* the same before the position */
	uint32_t record;      /* where the next record is among the block's */
	uint32_t index;	      /* records of the block before it */
};

/* The place of the event that trace_reader_next() returns next. */
void trace_reader_tell(const struct trace_reader *reader, struct trace_position *position);

/*
 * Go to a place that this reader, or another one of the same file, has told. The catalog keeps what it has,
 * and grows again where events are read for the first time by this reader; so a reader that jumps ahead of
 * what it has read returns -ESPIPE. The same for a file that has no positions, a pipe. Else 0 or as
 * trace_reader_next().
 */
int trace_reader_seek(struct trace_reader *reader, const struct trace_position *position,
		      struct message *message);

#endif
