/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Traces as a hostile file, text or producer may bring them. The first byte says what the others are:
 *
 *	f  a trace file
 *	r  records, which are put into a block whose checksums are right
 *	t  the text form
 *	s  slots in the buffer of a recorded thread
 *	p  a log of pmemcheck
 *
 * Every event that is read must be legal, and the same after it was encoded and decoded, and after it was
 * printed and parsed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "fuzz.h"
#include "trace/buffer.h"
#include "trace/encode.h"
#include "trace/file_format.h"
#include "trace/merge.h"
#include "trace/pmemcheck.h"
#include "trace/reader.h"
#include "trace/replay_contents.h"
#include "trace/schema.h"
#include "trace/stat.h"
#include "trace/text_form.h"
#include "trace/writer.h"

/* What every event goes through. */
struct pipeline {
	struct trace_stat *stat;
	struct trace_replay *replay;
	char *text; /* all events, printed */
	size_t length;
	FILE *out;
	uint64_t before, events;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void pipeline_start(struct pipeline *pipeline)
{
	*pipeline = (struct pipeline){ .stat = trace_stat_create(), .replay = trace_replay_create() };
	pipeline->out = open_memstream(&pipeline->text, &pipeline->length);
	require(pipeline->stat && pipeline->replay && pipeline->out);
	trace_text_print_header(pipeline->out, NULL, 0);
}

static void there_and_back(const struct trace_event *event)
{
	struct trace_arrays arrays;
	struct trace_event again;
	const char *wrong;
	unsigned char *bytes = malloc(trace_encoded_bound(event)), *more = malloc(trace_encoded_bound(event));
	size_t length = trace_encode(event, bytes);

	require(length <= trace_encoded_bound(event));
	require(trace_decode(bytes, length, event->thread, &arrays, &again, &wrong) == 0);
	require(trace_encode(&again, more) == length && memcmp(bytes, more, length) == 0);
	free(bytes);
	free(more);
}

static void pipeline_take(struct pipeline *pipeline, const struct trace_event *event)
{
	require(!trace_event_wrong(event));
	there_and_back(event);
	trace_text_print(pipeline->out, event, pipeline->before);
	putc('\n', pipeline->out);
	pipeline->before = event->stamp ? event->stamp : pipeline->before;
	pipeline->events++;
	require(trace_stat_add(pipeline->stat, event) == 0);
	trace_replay_apply(pipeline->replay, event);
}

/* The printed events parse, and print as the same text. */
static void pipeline_end(struct pipeline *pipeline)
{
	struct trace_text *text;
	struct trace_event event;
	struct message message;
	size_t length;
	char *again;
	FILE *in, *out = open_memstream(&again, &length);
	uint64_t before = 0, events = 0;

	fclose(pipeline->out);
	require(trace_stat_end(pipeline->stat) == 0);
	in = fmemopen(pipeline->text, pipeline->length, "r");
	require(trace_text_create(in, "text", &text, &message) == 0);
	trace_text_print_header(out, NULL, 0);
	for (; trace_text_next(text, &event, &message) == 1; events++) {
		trace_text_print(out, &event, before);
		putc('\n', out);
		before = event.stamp ? event.stamp : before;
	}
	fclose(out);
	require(events == pipeline->events);
	require(length == pipeline->length && memcmp(again, pipeline->text, length) == 0);
	trace_text_destroy(text);
	fclose(in);
	free(again);
	free(pipeline->text);
	trace_stat_destroy(pipeline->stat);
	trace_replay_destroy(pipeline->replay);
}

/* ---- What is read -------------------------------------------------------------- */

static void read_file(int fd)
{
	struct trace_reader *reader;
	struct trace_event event;
	struct message message;
	struct pipeline pipeline;

	lseek(fd, 0, SEEK_SET);
	if (trace_reader_create(fd, "trace", &reader, &message) < 0)
		return;
	pipeline_start(&pipeline);
	while (trace_reader_next(reader, &event, &message) == 1)
		pipeline_take(&pipeline, &event);
	pipeline_end(&pipeline);
	trace_reader_destroy(reader);
}

static void put(int fd, const void *bytes, size_t length)
{
	require(write(fd, bytes, length) == (ssize_t)length);
}

static void fuzz_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	put(fd, data, size);
	read_file(fd);
	close(fd);
}

/* Headers with right checksums; the number of records is that of bytes, so that none is too many. */
static void fuzz_records(const uint8_t *data, size_t size)
{
	struct trace_file_header header = { .magic = TRACE_MAGIC,
					    .version = 1,
					    .header_bytes = sizeof(header) };
	struct trace_block_header block = {
		.magic = TRACE_BLOCK_MAGIC,
		.stored = (uint32_t)size,
		.raw = (uint32_t)size,
		.events = (uint32_t)size,
		.payload_crc = crc32c(0, data, size),
	};
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	header.crc = crc32c(0, &header, offsetof(struct trace_file_header, crc));
	block.crc = crc32c(crc32c(0, header.uuid, 16), &block, offsetof(struct trace_block_header, crc));
	put(fd, &header, sizeof(header));
	put(fd, &block, sizeof(block));
	put(fd, data, size);
	read_file(fd);
	close(fd);
}

static void fuzz_text(const uint8_t *data, size_t size)
{
	FILE *in = size ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
	struct trace_text *text;
	struct trace_event event;
	struct message message;
	struct pipeline pipeline;

	if (!in)
		return;
	require(trace_text_create(in, "text", &text, &message) == 0);
	pipeline_start(&pipeline);
	while (trace_text_next(text, &event, &message) == 1)
		pipeline_take(&pipeline, &event);
	pipeline_end(&pipeline);
	trace_text_destroy(text);
	fclose(in);
}

static int take(void *pipeline, const struct trace_event *event)
{
	pipeline_take(pipeline, event);
	return 0;
}

static void fuzz_pmemcheck(const uint8_t *data, size_t size)
{
	FILE *in = fmemopen((void *)(uintptr_t)data, size, "r");
	struct trace_pmemcheck_skipped skipped;
	struct message message;
	struct pipeline pipeline;

	pipeline_start(&pipeline);
	trace_pmemcheck_import(in, "log", take, &pipeline, &skipped, &message);
	pipeline_end(&pipeline);
	fclose(in);
}

/* A thread whose slots are these bytes, beside one that logs a fence. The trace must be read to its end. */
static void fuzz_slots(const uint8_t *data, size_t size)
{
	const struct trace_event file = { .kind = TRACE_FILE, .file = 1, .node.size = 4096 };
	const struct trace_writer_options options = { .created = 1, .uuid = { 1 } };
	const struct trace_bytes none = { NULL, 0 };
	struct trace_buffer *buffers[2];
	struct trace_producer producers[2];
	struct trace_writer *writer;
	struct trace_merge *merge;
	struct trace_clock *clock;
	uint32_t process = 0, thread;
	int clock_fd, fd = memfd_create("fuzz", MFD_CLOEXEC);

	require(trace_clock_create(&clock, &clock_fd) == 0);
	require(trace_writer_create(fd, "trace", &options, &writer, NULL) == 0);
	require(trace_writer_put(writer, &file, NULL) == 0);
	merge = trace_merge_create(writer, clock, 0, 65536);
	require(merge && trace_merge_process(merge, 1, 0, false, none, &process) == 0);
	require(trace_merge_grant(merge, process, 1, 1) == 0);
	for (int i = 0; i < 2; i++) {
		require(trace_buffer_create(TRACE_RING_BYTES_MIN, &buffers[i]) == 0);
		require(trace_producer_attach(&producers[i], trace_buffer_fd(buffers[i]), clock) == 0);
		require(trace_merge_thread(merge, process, i, none, buffers[i], &thread) == 0);
	}
	size = size > TRACE_RING_BYTES_MIN ? TRACE_RING_BYTES_MIN : size;
	memcpy(producers[0].ring, data, size);
	atomic_store(&producers[0].header->head, size);
	atomic_store(&clock->stamp, 1000);
	require(trace_log_fence(&producers[1], TRACE_SFENCE, 0));
	require(trace_merge_finish(merge, NULL) == 0);
	require(trace_writer_end(writer, NULL) == 0);
	read_file(fd);
	for (int i = 0; i < 2; i++)
		trace_producer_detach(&producers[i]);
	trace_merge_destroy(merge);
	trace_writer_destroy(writer);
	trace_clock_unmap(clock);
	close(clock_fd);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	switch (data[0]) {
	case 'f':
		fuzz_file(data + 1, size - 1);
		break;
	case 'r':
		fuzz_records(data + 1, size - 1);
		break;
	case 't':
		fuzz_text(data + 1, size - 1);
		break;
	case 's':
		fuzz_slots(data + 1, size - 1);
		break;
	case 'p':
		fuzz_pmemcheck(data + 1, size - 1);
		break;
	}
	return 0;
}
