/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "common/crc32c.h"
#include "trace/catalog.h"
#include "trace/encode.h"
#include "trace/file_format.h"
#include "trace/varint.h"

struct trace_reader {
	int fd;
	char *name;
	int64_t origin; /* where the trace starts in the file; -1: it has no positions */
	int64_t next;	/* the byte of the file that is read next, if it has positions */
	struct trace_file_header header;
	struct trace_catalog *catalog;
	struct trace_arrays arrays;
	ZSTD_DCtx *zstd;

	unsigned char *stored; /* a block's payload */
	size_t stored_room;
	unsigned char *raw; /* its records */
	struct trace_block_header block;
	struct trace_position position; /* of the next event */
	int result;			/* what trace_reader_next() returns for good; 1: it goes on */
	struct message message;		/* for that result */
};

static int finish(struct trace_reader *reader, int result, const char *what)
{
	reader->result = result;
	if (!result)
		return 0;
	return message_fail(&reader->message, result,
			    "%s: %s, at byte %" PRIu64 " of the file, after %" PRIu64 " good events",
			    reader->name, what, reader->position.block,
			    reader->position.events + reader->position.index);
}

/* Read up to `length` bytes; fewer only at the end of the file. */
static int64_t read_bytes(struct trace_reader *reader, void *to, size_t length)
{
	size_t done = 0;

	while (done < length) {
		unsigned char *at = (unsigned char *)to + done;
		ssize_t some = reader->origin < 0 ? read(reader->fd, at, length - done) :
						    pread(reader->fd, at, length - done, reader->next);

		if (some < 0 && errno == EINTR)
			continue;
		if (some < 0)
			return -errno;
		if (!some)
			break;
		done += (size_t)some;
		reader->next += some;
	}
	return (int64_t)done;
}

/* ---- Opening ------------------------------------------------------------------ */

static const char *header_wrong(const struct trace_file_header *header, int64_t length)
{
	if (length < (int64_t)sizeof(header->magic) ||
	    memcmp(header->magic, TRACE_MAGIC, sizeof(header->magic)) != 0)
		return "this is no trace of softpmem";
	if (length < (int64_t)sizeof(*header))
		return "the trace is cut within its header";
	if (header->crc != crc32c(0, header, offsetof(struct trace_file_header, crc)))
		return "the header is damaged";
	if (header->version != TRACE_VERSION)
		return "the trace has a version that this program does not read: use a newer softpmem";
	if (header->features || header->header_bytes != sizeof(*header))
		return "the trace uses features that this program does not know: use a newer softpmem";
	return NULL;
}

static int read_header(struct trace_reader *reader, struct message *message)
{
	int64_t length = read_bytes(reader, &reader->header, sizeof(reader->header));
	const char *wrong;

	if (length < 0)
		return message_fail(message, (int)length, "%s: %s", reader->name, strerror((int)-length));
	wrong = header_wrong(&reader->header, length);
	if (wrong)
		return message_fail(message, -EBADMSG, "%s: %s", reader->name, wrong);
	reader->position.block = sizeof(reader->header);
	return 0;
}

int trace_reader_create(int fd, const char *name, struct trace_reader **out, struct message *message)
{
	struct trace_reader *reader = calloc(1, sizeof(*reader));
	int error;

	if (!reader)
		return message_fail(message, -ENOMEM, "%s: out of memory", name);
	reader->fd = fd;
	reader->origin = reader->next = lseek(fd, 0, SEEK_CUR);
	reader->result = 1;
	reader->stored_room = ZSTD_compressBound(TRACE_BLOCK_RAW_MAX);
	reader->name = strdup(name);
	reader->catalog = trace_catalog_create();
	reader->zstd = ZSTD_createDCtx();
	reader->stored = malloc(reader->stored_room);
	reader->raw = malloc(TRACE_BLOCK_RAW_MAX);
	if (!reader->name || !reader->catalog || !reader->zstd || !reader->stored || !reader->raw)
		error = message_fail(message, -ENOMEM, "%s: out of memory", name);
	else
		error = read_header(reader, message);
	if (error) {
		trace_reader_destroy(reader);
		return error;
	}
	*out = reader;
	return 0;
}

void trace_reader_destroy(struct trace_reader *reader)
{
	if (!reader)
		return;
	trace_catalog_destroy(reader->catalog);
	ZSTD_freeDCtx(reader->zstd);
	free(reader->name);
	free(reader->stored);
	free(reader->raw);
	free(reader);
}

/* ---- Blocks -------------------------------------------------------------------- */

static const char *block_wrong(const struct trace_reader *reader, const struct trace_block_header *block)
{
	uint32_t crc = crc32c(0, reader->header.uuid, sizeof(reader->header.uuid));

	if (block->magic != TRACE_BLOCK_MAGIC ||
	    block->crc != crc32c(crc, block, offsetof(struct trace_block_header, crc)))
		return "the header of a block is damaged";
	if (block->codec > TRACE_CODEC_ZSTD || block->reserved || !block->raw || !block->events ||
	    block->raw > TRACE_BLOCK_RAW_MAX || !block->stored || block->stored > reader->stored_room ||
	    (block->codec == TRACE_CODEC_NONE && block->stored != block->raw))
		return "the header of a block has impossible values";
	if (block->number != reader->position.number || block->stamp != reader->position.block_stamp)
		return "a block is missing or out of place";
	return NULL;
}

static bool unpack(struct trace_reader *reader)
{
	const struct trace_block_header *block = &reader->block;

	if (block->codec == TRACE_CODEC_NONE) {
		memcpy(reader->raw, reader->stored, block->raw);
		return true;
	}
	return ZSTD_decompressDCtx(reader->zstd, reader->raw, block->raw, reader->stored, block->stored) ==
	       block->raw;
}

/* Read the payload of the block whose header was read. NULL, or what is wrong; *result says how. */
static const char *read_payload(struct trace_reader *reader, int *result)
{
	int64_t length = read_bytes(reader, reader->stored, reader->block.stored);

	*result = length < 0 ? (int)length : -ENODATA;
	if (length < 0)
		return strerror((int)-length);
	if (length < (int64_t)reader->block.stored)
		return "the trace is cut within a block";
	*result = -EBADMSG;
	if (reader->block.payload_crc != crc32c(0, reader->stored, reader->block.stored) || !unpack(reader))
		return "a block is damaged";
	return NULL;
}

/* Read the block at the position. 1, or as trace_reader_next() where the trace ends. */
static int read_block(struct trace_reader *reader)
{
	struct trace_block_header block;
	int64_t length = read_bytes(reader, &block, sizeof(block));
	const char *wrong;
	int result;

	if (length < 0)
		return finish(reader, (int)length, strerror((int)-length));
	if (!length && trace_catalog_ended(reader->catalog) &&
	    trace_catalog_events(reader->catalog) == reader->position.events)
		return finish(reader, 0, NULL);
	if (!length)
		return finish(reader, -ENODATA, "the trace stops without its end: the recording was killed");
	if (length < (int64_t)sizeof(block))
		return finish(reader, -ENODATA, "the trace is cut within the header of a block");
	wrong = block_wrong(reader, &block);
	if (wrong)
		return finish(reader, -EBADMSG, wrong);
	reader->block = block;
	wrong = read_payload(reader, &result);
	if (wrong) {
		reader->block.events = 0;
		return finish(reader, result, wrong);
	}
	return 1;
}

/* A position whose index is 0 may be that of a block that was not read yet: block.events is 0 then. */
static int next_block(struct trace_reader *reader)
{
	struct trace_position *position = &reader->position;

	if (reader->block.events) {
		position->block += sizeof(reader->block) + reader->block.stored;
		position->number++;
		position->events += reader->block.events;
		position->block_stamp = position->stamp;
		position->record = position->index = 0;
		reader->block.events = 0;
	}
	return read_block(reader);
}

/* ---- Records ------------------------------------------------------------------- */

static const char *record_decode(struct trace_reader *reader, struct trace_event *event, uint32_t *next)
{
	const unsigned char *at = reader->raw + reader->position.record,
			    *end = reader->raw + reader->block.raw;
	uint64_t length, delta, thread;
	const char *wrong;

	at = varint_get(at, end, &length);
	if (!at || length > (uint64_t)(end - at))
		return "the length of a record is wrong";
	end = at + length;
	at = varint_get(at, end, &delta);
	at = at ? varint_get(at, end, &thread) : NULL;
	if (!at || thread > UINT32_MAX || delta > UINT64_MAX - reader->position.stamp)
		return "the stamp or the thread of a record is wrong";
	if (trace_decode(at, (size_t)(end - at), (uint32_t)thread, &reader->arrays, event, &wrong) < 0)
		return wrong;
	event->stamp = delta ? reader->position.stamp + delta : 0;
	*next = (uint32_t)(end - reader->raw);
	return NULL;
}

/* Events that were read before, and are read again after a seek, are in the catalog. */
static int take(struct trace_reader *reader, const struct trace_event *event, const char **wrong)
{
	if (reader->position.events + reader->position.index < trace_catalog_events(reader->catalog))
		return 0;
	return trace_catalog_add(reader->catalog, event, wrong);
}

static int next_record(struct trace_reader *reader, struct trace_event *event)
{
	struct trace_position *position = &reader->position;
	const char *wrong;
	uint32_t next = 0;
	int error;

	if (position->record == reader->block.raw)
		return finish(reader, -EBADMSG, "a block has fewer records than its header states");
	wrong = record_decode(reader, event, &next);
	if (wrong)
		return finish(reader, -EBADMSG, wrong);
	if (position->index + 1 == reader->block.events && next != reader->block.raw)
		return finish(reader, -EBADMSG, "a block has more records than its header states");
	error = take(reader, event, &wrong);
	if (error)
		return finish(reader, error, error == -EBADMSG ? wrong : strerror(-error));
	position->record = next;
	position->index++;
	if (event->stamp)
		position->stamp = event->stamp;
	return 1;
}

int trace_reader_next(struct trace_reader *reader, struct trace_event *event, struct message *message)
{
	if (reader->result == 1 && reader->position.index == reader->block.events)
		next_block(reader);
	if (reader->result == 1)
		next_record(reader, event);
	if (reader->result < 0 && message)
		*message = reader->message;
	return reader->result;
}

/* ---- Places -------------------------------------------------------------------- */

void trace_reader_tell(const struct trace_reader *reader, struct trace_position *position)
{
	*position = reader->position;
}

int trace_reader_seek(struct trace_reader *reader, const struct trace_position *position,
		      struct message *message)
{
	if (reader->origin < 0)
		return message_fail(message, -ESPIPE, "%s: a pipe can be read once only", reader->name);
	if (position->events + position->index > trace_catalog_events(reader->catalog))
		return message_fail(message, -ESPIPE, "%s: the trace was not read up to there", reader->name);
	reader->next = reader->origin + (int64_t)position->block;
	reader->result = 1;
	reader->block.events = 0;
	reader->position = *position;
	if (!position->index)
		return 0;
	reader->position.index = 0;
	if (read_block(reader) == 1 &&
	    (position->index > reader->block.events || position->record > reader->block.raw))
		finish(reader, -EBADMSG, "a block has changed since it was read");
	if (reader->result != 1) {
		*message = reader->message;
		return reader->result ? reader->result : -EBADMSG;
	}
	reader->position = *position;
	return 0;
}

const struct trace_catalog *trace_reader_catalog(const struct trace_reader *reader)
{
	return reader->catalog;
}

const unsigned char *trace_reader_uuid(const struct trace_reader *reader)
{
	return reader->header.uuid;
}

uint64_t trace_reader_created(const struct trace_reader *reader)
{
	return reader->header.created;
}
