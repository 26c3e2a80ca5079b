/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>
#include <unistd.h>
#include <zstd.h>

#include "common/crc32c.h"
#include "trace/catalog.h"
#include "trace/encode.h"
#include "trace/file_format.h"
#include "trace/schema.h"
#include "trace/varint.h"

/* A block is written when its records exceed this. */
#define BLOCK_RAW (256u << 10)
_Static_assert(BLOCK_RAW + TRACE_RECORD_HEAD_MAX + TRACE_ENCODED_MAX <= TRACE_BLOCK_RAW_MAX,
	       "one more record always fits");

struct trace_writer {
	int fd;
	char *name;
	struct trace_catalog *catalog;
	ZSTD_CCtx *zstd; /* NULL: blocks are not compressed */
	unsigned char uuid[16];

	unsigned char *raw; /* TRACE_BLOCK_RAW_MAX: the records of the block that is not written yet */
	size_t used;
	uint32_t events;
	uint64_t stamp; /* before the block */

	unsigned char *packed; /* a block as it is written, its header first */
	size_t packed_room;
	uint64_t number; /* of blocks written */
	uint64_t bytes;	 /* of the file written */
	int error;	 /* the final one */
};

/* Write all of it, or cut off what was written of it. */
static int write_whole(struct trace_writer *writer, const void *bytes, size_t length, struct message *message)
{
	const unsigned char *from = bytes;
	size_t done = 0;

	while (done < length) {
		ssize_t some = write(writer->fd, from + done, length - done);

		if (some < 0 && errno == EINTR)
			continue;
		if (some <= 0) {
			writer->error = some < 0 ? -errno : -EIO;
			break;
		}
		done += (size_t)some;
	}
	if (!writer->error) {
		writer->bytes += length;
		return 0;
	}
	if (done) {
		/* A pipe has no position: its reader sees that the block was cut. */
		off_t at = lseek(writer->fd, -(off_t)done, SEEK_CUR);

		if (at >= 0 && ftruncate(writer->fd, at) < 0)
			done = 0;
	}
	return message_fail(message, writer->error, "%s: writing the trace: %s", writer->name,
			    strerror(-writer->error));
}

static int write_header(struct trace_writer *writer, const struct trace_writer_options *options,
			struct message *message)
{
	static const unsigned char none[16];
	struct trace_file_header header = {
		.magic = TRACE_MAGIC,
		.version = TRACE_VERSION,
		.header_bytes = sizeof(header),
		.created = options->created,
	};

	memcpy(header.uuid, options->uuid, sizeof(header.uuid));
	if (memcmp(header.uuid, none, sizeof(none)) == 0 &&
	    getrandom(header.uuid, sizeof(header.uuid), 0) != sizeof(header.uuid))
		return message_fail(message, -EIO, "%s: no random bytes for the trace's id", writer->name);
	memcpy(writer->uuid, header.uuid, sizeof(header.uuid));
	header.crc = crc32c(0, &header, offsetof(struct trace_file_header, crc));
	return write_whole(writer, &header, sizeof(header), message);
}

static int allocate(struct trace_writer *writer, const char *name, const struct trace_writer_options *options)
{
	writer->packed_room = sizeof(struct trace_block_header) + ZSTD_compressBound(TRACE_BLOCK_RAW_MAX);
	writer->name = strdup(name);
	writer->catalog = trace_catalog_create();
	writer->raw = malloc(TRACE_BLOCK_RAW_MAX);
	writer->packed = malloc(writer->packed_room);
	if (!writer->name || !writer->catalog || !writer->raw || !writer->packed)
		return -ENOMEM;
	if (!options->level)
		return 0;
	writer->zstd = ZSTD_createCCtx();
	if (!writer->zstd)
		return -ENOMEM;
	return ZSTD_isError(ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, options->level)) ?
		       -EINVAL :
		       0;
}

int trace_writer_create(int fd, const char *name, const struct trace_writer_options *options,
			struct trace_writer **out, struct message *message)
{
	struct trace_writer *writer = calloc(1, sizeof(*writer));
	int error;

	if (!writer)
		return message_fail(message, -ENOMEM, "%s: out of memory", name);
	writer->fd = fd;
	error = allocate(writer, name, options);
	if (error)
		message_fail(message, error, "%s: %s", name,
			     error == -ENOMEM ? "out of memory" : "zstd does not know this level");
	else
		error = write_header(writer, options, message);
	if (error) {
		trace_writer_destroy(writer);
		return error;
	}
	*out = writer;
	return 0;
}

void trace_writer_destroy(struct trace_writer *writer)
{
	if (!writer)
		return;
	trace_catalog_destroy(writer->catalog);
	ZSTD_freeCCtx(writer->zstd);
	free(writer->name);
	free(writer->raw);
	free(writer->packed);
	free(writer);
}

/* Put the payload after where the header goes, compressed if that makes it smaller. */
static void pack(struct trace_writer *writer, struct trace_block_header *header)
{
	unsigned char *payload = writer->packed + sizeof(*header);
	size_t size = 0;

	if (writer->zstd)
		size = ZSTD_compress2(writer->zstd, payload, writer->packed_room - sizeof(*header),
				      writer->raw, writer->used);
	if (!writer->zstd || ZSTD_isError(size) || size >= writer->used) {
		memcpy(payload, writer->raw, writer->used);
		size = writer->used;
	} else {
		header->codec = TRACE_CODEC_ZSTD;
	}
	header->stored = (uint32_t)size;
	header->payload_crc = crc32c(0, payload, size);
}

int trace_writer_flush(struct trace_writer *writer, struct message *message)
{
	struct trace_block_header header = {
		.magic = TRACE_BLOCK_MAGIC,
		.raw = (uint32_t)writer->used,
		.number = writer->number,
		.stamp = writer->stamp,
		.events = writer->events,
	};
	int error;

	if (writer->error)
		return message_fail(message, writer->error, "%s: writing the trace failed before",
				    writer->name);
	if (!writer->used)
		return 0;
	pack(writer, &header);
	header.crc = crc32c(crc32c(0, writer->uuid, sizeof(writer->uuid)), &header,
			    offsetof(struct trace_block_header, crc));
	memcpy(writer->packed, &header, sizeof(header));
	error = write_whole(writer, writer->packed, sizeof(header) + header.stored, message);
	if (error)
		return error;
	writer->number++;
	writer->used = 0;
	writer->events = 0;
	writer->stamp = trace_catalog_stamp(writer->catalog);
	return 0;
}

static void append(struct trace_writer *writer, const struct trace_event *event, uint64_t stamp_before)
{
	unsigned char length_bytes[VARINT_BYTES_MAX], *record = writer->raw + writer->used, *at;
	size_t length, size;

	/* The length comes first, and mostly is one byte. */
	at = varint_put(record + 1, event->stamp ? event->stamp - stamp_before : 0);
	at = varint_put(at, event->thread);
	at += trace_encode(event, at);
	length = (size_t)(at - record) - 1;
	size = (size_t)(varint_put(length_bytes, length) - length_bytes);
	if (size > 1)
		memmove(record + size, record + 1, length);
	memcpy(record, length_bytes, size);
	writer->used += size + length;
	writer->events++;
}

int trace_writer_put(struct trace_writer *writer, const struct trace_event *event, struct message *message)
{
	const uint64_t stamp_before = trace_catalog_stamp(writer->catalog);
	const char *wrong = trace_event_wrong(event);
	int error = wrong ? -EBADMSG : 0;

	if (writer->error)
		return message_fail(message, writer->error, "%s: writing the trace failed before",
				    writer->name);
	if (!error)
		error = trace_catalog_add(writer->catalog, event, &wrong);
	if (error)
		return message_fail(message, error, "%s: %s event not written: %s", writer->name,
				    trace_event_name(event), error == -EBADMSG ? wrong : strerror(-error));
	append(writer, event, stamp_before);
	return writer->used >= BLOCK_RAW ? trace_writer_flush(writer, message) : 0;
}

int trace_writer_end(struct trace_writer *writer, struct message *message)
{
	const struct trace_event end = {
		.kind = TRACE_END,
		.stamp = trace_catalog_stamp(writer->catalog) + 1,
		.end.events = trace_catalog_events(writer->catalog) + 1,
	};
	int error = trace_writer_put(writer, &end, message);

	return error ? error : trace_writer_flush(writer, message);
}

const struct trace_catalog *trace_writer_catalog(const struct trace_writer *writer)
{
	return writer->catalog;
}

uint64_t trace_writer_bytes(const struct trace_writer *writer)
{
	return writer->bytes;
}
