/* SPDX-License-Identifier: BSD-3-Clause */
/* Trace files: what is written is read; what is cut, damaged or hostile is read up to there. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/crc32c.h"
#include "trace/catalog.h"
#include "trace/encode.h"
#include "trace/file_format.h"
#include "trace/reader.h"
#include "trace/schema.h"
#include "trace/varint.h"
#include "trace/writer.h"
#include "rounds.h"
#include "tracetest.h"

#ifdef ROUNDS_SANITIZED
#define STEP 7
#else
#define STEP 1
#endif

/* Read to the end. Every event must be the one at its place in tracetest_events(). Returns the result. */
static int read_all(int fd, size_t *good, struct message *message)
{
	size_t count;
	const struct trace_event *events = tracetest_events(&count);
	struct trace_reader *reader;
	struct trace_event event;
	int result;

	*good = 0;
	lseek(fd, 0, SEEK_SET);
	result = trace_reader_create(fd, "trace", &reader, message);
	if (result < 0)
		return result;
	while ((result = trace_reader_next(reader, &event, message)) == 1) {
		assert_in_range(*good, 0, count - 1);
		assert_true(tracetest_same(&event, &events[*good]));
		++*good;
	}
	/* The result stays. */
	assert_int_equal(trace_reader_next(reader, &event, message), result);
	trace_reader_destroy(reader);
	return result;
}

static int file_of(const unsigned char *bytes, size_t length)
{
	int fd = tracetest_file();

	assert_int_equal(write(fd, bytes, length), (ssize_t)length);
	return fd;
}

static void test_every_kind_of_event_is_read_as_it_was_written(void **state)
{
	static const size_t blocks[] = { 1, 2, 7, 1000 };
	bool seen[64] = { false };
	struct message message;
	size_t good, count;
	const struct trace_event *events = tracetest_events(&count);

	for (size_t i = 0; i < count; i++)
		seen[events[i].kind] = true;
	for (unsigned kind = 0; kind < 64; kind++)
		assert_int_equal(seen[kind], trace_schema_of(kind) != NULL);
	for (int level = 0; level < 4; level++) {
		for (size_t i = 0; i < 4; i++) {
			int fd = tracetest_write(level, blocks[i]);

			assert_int_equal(read_all(fd, &good, &message), 0);
			assert_int_equal(good, count);
			close(fd);
		}
	}
}

/* How many events the blocks that lie wholly within `length` bytes have. */
static size_t events_within(const unsigned char *bytes, size_t length)
{
	struct trace_block_header block;
	size_t at = sizeof(struct trace_file_header), events = 0;

	while (at + sizeof(block) <= length) {
		memcpy(&block, bytes + at, sizeof(block));
		at += sizeof(block) + block.stored;
		if (at <= length)
			events += block.events;
	}
	return events;
}

static void test_a_trace_cut_at_any_byte_is_read_up_to_its_last_whole_block(void **state)
{
	for (int level = 0; level < 2; level++) {
		int fd = tracetest_write(level, 5);
		size_t length, good;
		unsigned char *bytes = tracetest_bytes(fd, &length);

		for (size_t cut = 0; cut < length; cut += STEP) {
			struct message message = { "" };
			int part = file_of(bytes, cut), result = read_all(part, &good, &message);

			assert_int_equal(result,
					 cut < sizeof(struct trace_file_header) ? -EBADMSG : -ENODATA);
			assert_int_equal(good, events_within(bytes, cut));
			assert_string_not_equal(message.text, "");
			close(part);
		}
		free(bytes);
		close(fd);
	}
}

static void test_a_byte_changed_anywhere_is_noticed_and_no_wrong_event_is_read(void **state)
{
	static const unsigned char flips[] = { 0x01, 0x80, 0xff };

	for (int level = 0; level < 2; level++) {
		int fd = tracetest_write(level, 5);
		size_t length, good;
		unsigned char *bytes = tracetest_bytes(fd, &length);

		for (size_t at = 0; at < length; at += STEP) {
			for (size_t i = 0; i < sizeof(flips); i++) {
				struct message message = { "" };
				int part, result;

				bytes[at] ^= flips[i];
				part = file_of(bytes, length);
				result = read_all(part, &good, &message);
				bytes[at] ^= flips[i];
				assert_int_equal(result, -EBADMSG);
				assert_int_equal(good, at < 64 ? 0 : events_within(bytes, at));
				assert_string_not_equal(message.text, "");
				close(part);
			}
		}
		/* Negative control: nothing changed, nothing found. */
		struct message message;

		assert_int_equal(read_all(fd, &good, &message), 0);
		free(bytes);
		close(fd);
	}
}

static void test_blocks_that_are_missing_swapped_or_of_another_trace_are_noticed(void **state)
{
	int fd = tracetest_write(0, 5);
	struct trace_block_header first, second;
	struct message message;
	size_t length, good, at[3] = { sizeof(struct trace_file_header) };
	unsigned char *bytes = tracetest_bytes(fd, &length), *copy = malloc(length);
	int part;

	memcpy(&first, bytes + at[0], sizeof(first));
	at[1] = at[0] + sizeof(first) + first.stored;
	memcpy(&second, bytes + at[1], sizeof(second));
	at[2] = at[1] + sizeof(second) + second.stored;

	memcpy(copy, bytes, at[1]);
	memcpy(copy + at[1], bytes + at[2], length - at[2]);
	part = file_of(copy, length - (at[2] - at[1]));
	assert_int_equal(read_all(part, &good, &message), -EBADMSG);
	assert_int_equal(good, 5);
	assert_non_null(strstr(message.text, "missing or out of place"));
	close(part);

	memcpy(copy, bytes, length);
	copy[24] ^= 1; /* the id, with the header's checksum put right */
	uint32_t crc = crc32c(0, copy, 60);

	memcpy(copy + 60, &crc, sizeof(crc));
	part = file_of(copy, length);
	assert_int_equal(read_all(part, &good, &message), -EBADMSG);
	assert_int_equal(good, 0);
	close(part);
	free(copy);
	free(bytes);
	close(fd);
}

/* ---- Records with right checksums and wrong contents ----------------------------- */

/* A file of one block with these records; nothing is wrong with it but what they say. */
static int file_of_records(const unsigned char *records, size_t length, uint32_t events)
{
	struct trace_file_header header = { .magic = TRACE_MAGIC,
					    .version = 1,
					    .header_bytes = sizeof(header) };
	struct trace_block_header block = {
		.magic = TRACE_BLOCK_MAGIC,
		.stored = (uint32_t)length,
		.raw = (uint32_t)length,
		.events = events,
		.payload_crc = crc32c(0, records, length),
	};
	int fd = tracetest_file();

	header.crc = crc32c(0, &header, 60);
	block.crc = crc32c(crc32c(0, header.uuid, 16), &block, 44);
	assert_int_equal(write(fd, &header, sizeof(header)), sizeof(header));
	assert_int_equal(write(fd, &block, sizeof(block)), sizeof(block));
	assert_int_equal(write(fd, records, length), (ssize_t)length);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static size_t put_record(unsigned char *to, const struct trace_event *event, uint64_t delta)
{
	unsigned char body[4096], *at;
	size_t length = trace_encode(event, body);

	at = varint_put(to, length + 2);
	at = varint_put(at, delta);
	at = varint_put(at, event->thread);
	memcpy(at, body, length);
	return (size_t)(at - to) + length;
}

#define BYTES8                                                                                               \
	{                                                                                                    \
		(const unsigned char *)"12345678", 8                                                         \
	}
static const struct trace_event file_1 = { .kind = TRACE_FILE, .file = 1, .node.size = 4096 };
static const struct trace_event good_store = {
	.kind = TRACE_STORE, .thread = 1, .file = 1, .store.bytes = BYTES8
};

/* The definition of file 1, a store, then the event. Returns how many events were read. */
static int read_with(const struct trace_event *event, uint64_t delta, size_t *good, struct message *message)
{
	unsigned char records[8192];
	size_t length = put_record(records, &file_1, 0);
	struct trace_reader *reader;
	struct trace_event read_event;
	int fd, result;

	length += put_record(records + length, &good_store, 1);
	length += put_record(records + length, event, delta);
	fd = file_of_records(records, length, 3);
	assert_int_equal(trace_reader_create(fd, "trace", &reader, message), 0);
	for (*good = 0; (result = trace_reader_next(reader, &read_event, message)) == 1;)
		++*good;
	trace_reader_destroy(reader);
	close(fd);
	return result;
}

struct bad {
	const char *reason;
	uint64_t delta;
	struct trace_event event;
};

static const struct bad bad_events[] = {
	{ "the file is not defined", 1, { .kind = TRACE_STORE, .file = 2, .store.bytes = BYTES8 } },
	{ "it names no file", 1, { .kind = TRACE_STORE, .store.bytes = BYTES8 } },
	{ "the site is not defined",
	  1,
	  { .kind = TRACE_STORE, .file = 1, .site = 3, .store.bytes = BYTES8 } },
	{ "number of bytes is 0", 1, { .kind = TRACE_STORE, .file = 1 } },
	{ "the offset is too large",
	  1,
	  { .kind = TRACE_STORE, .file = 1, .store = { TRACE_STORE_END - 7, 0, BYTES8 } } },
	{ "the offset is too large",
	  1,
	  { .kind = TRACE_STORE, .file = 1, .store = { UINT64_MAX, 0, BYTES8 } } },
	{ "bits beyond the bytes", 1, { .kind = TRACE_STORE, .file = 1, .store = { 0, 0x100, BYTES8 } } },
	{ "a flag is unknown",
	  1,
	  { .kind = TRACE_STORE, .file = 1, .flags = TRACE_WRITE_PAGE, .store.bytes = BYTES8 } },
	{ "its stamp does not exceed", 0, { .kind = TRACE_STORE, .file = 1, .store.bytes = BYTES8 } },
	{ "the stamp or the thread", UINT64_MAX, { .kind = TRACE_STORE, .file = 1, .store.bytes = BYTES8 } },
	{ "not of whole lines", 1, { .kind = TRACE_FLUSH, .file = 1, .flush = { 8, 64 } } },
	{ "not of whole lines", 1, { .kind = TRACE_FLUSH, .file = 1, .flush = { 64, 0 } } },
	{ "the operation is unknown", 1, { .kind = TRACE_FLUSH, .op = 3, .file = 1, .flush = { 64, 64 } } },
	{ "the operation is unknown", 1, { .kind = TRACE_FENCE, .op = UINT32_MAX } },
	{ "the file's id is in use", 0, { .kind = TRACE_FILE, .file = 1 } },
	{ "a definition has a stamp", 1, { .kind = TRACE_FILE, .file = 2 } },
	{ "a definition has a stamp", 0, { .kind = TRACE_FILE, .file = 2, .thread = 1 } },
	{ "the directory is not defined",
	  1,
	  { .kind = TRACE_LINK, .file = 1, .name = { .parent = 9, .name = BYTES8 } } },
	{ "the name is empty", 1, { .kind = TRACE_LINK, .file = 1, .name = { .parent = 1 } } },
	{ "slash",
	  1,
	  { .kind = TRACE_LINK, .file = 1, .name = { 1, { (const unsigned char *)"a/b", 3 }, {}, {} } } },
	{ ". or ..",
	  1,
	  { .kind = TRACE_LINK, .file = 1, .name = { 1, { (const unsigned char *)"..", 2 }, {}, {} } } },
	{ "replaced file is not defined",
	  1,
	  { .kind = TRACE_RENAME, .file = 1, .rename = { 1, 1, BYTES8, BYTES8, 5 } } },
	{ "parent process", 1, { .kind = TRACE_PROCESS_START, .process = { .process = 1, .parent = 9 } } },
	{ "the process is not defined",
	  1,
	  { .kind = TRACE_THREAD_START, .thread = 1, .process = { .process = 9 } } },
	{ "the thread's id is 0", 1, { .kind = TRACE_THREAD_START } },
	{ "the metadata mode is unknown", 0, { .kind = TRACE_RULES, .file = 1, .rules.metadata = 4 } },
	{ "a sector has 512 or 4096 bytes", 0, { .kind = TRACE_RULES, .file = 1, .rules.sector = 64 } },
	{ "the attribute's name is empty", 1, { .kind = TRACE_REMOVEXATTR, .file = 1 } },
	{ "holds a NUL",
	  1,
	  { .kind = TRACE_SETXATTR, .file = 1, .xattr.name = { (const unsigned char *)"a\0b", 3 } } },
	{ "no frame", 0, { .kind = TRACE_SITE, .site = 1 } },
	{ "another number of events", 1, { .kind = TRACE_END, .end.events = 4 } },
	{ "the source is unknown", 1, { .kind = TRACE_MARK, .mark.source = 77 } },
};

static void test_events_that_contradict_the_trace_are_rejected_with_the_reason(void **state)
{
	const struct trace_event end = { .kind = TRACE_END, .end.events = 3 };
	struct message message;
	size_t good;

	for (size_t i = 0; i < sizeof(bad_events) / sizeof(bad_events[0]); i++) {
		int result = read_with(&bad_events[i].event, bad_events[i].delta, &good, &message);

		if (result != -EBADMSG || good != 2 || !strstr(message.text, bad_events[i].reason))
			fail_msg("row %zu: result %d, %zu events, %s", i, result, good, message.text);
	}
	/* Negative control. */
	assert_int_equal(read_with(&end, 1, &good, &message), 0);
	assert_int_equal(good, 3);
}

static void test_the_writer_rejects_what_the_reader_would(void **state)
{
	for (size_t i = 0; i < sizeof(bad_events) / sizeof(bad_events[0]); i++) {
		int fd = tracetest_file();
		struct trace_writer *writer = tracetest_writer(fd, 1);
		struct trace_event event = good_store;
		struct message message;

		event.stamp = 1;
		assert_int_equal(trace_writer_put(writer, &file_1, &message), 0);
		assert_int_equal(trace_writer_put(writer, &event, &message), 0);
		event = bad_events[i].event;
		event.stamp = bad_events[i].delta ? bad_events[i].delta + 1 : 0;
		assert_int_equal(trace_writer_put(writer, &event, &message), -EBADMSG);
		/* It goes on without it. */
		assert_int_equal(trace_writer_end(writer, &message), 0);
		assert_int_equal(trace_catalog_events(trace_writer_catalog(writer)), 3);
		trace_writer_destroy(writer);
		close(fd);
	}
}

static void test_a_full_disk_is_reported_and_the_file_ends_with_a_whole_block(void **state)
{
	const struct rlimit limit = { 400, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
	const struct trace_event *events = tracetest_events(&(size_t){ 0 });
	int fd = tracetest_file(), error = 0;
	struct trace_writer *writer = tracetest_writer(fd, 0);
	struct message message;
	size_t good;

	/* A file that may not grow beyond 400 bytes: the write that crosses them is a short one. */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (size_t i = 0; !error; i++) {
		assert_int_equal(trace_writer_put(writer, &events[i], &message), 0);
		error = trace_writer_flush(writer, &message);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(error, -EFBIG);
	assert_non_null(strstr(message.text, "trace: writing the trace: "));
	assert_int_equal(trace_writer_flush(writer, &message), -EFBIG);
	assert_int_equal(trace_writer_end(writer, &message), -EFBIG);
	trace_writer_destroy(writer);
	assert_int_equal(read_all(fd, &good, &message), -ENODATA);
	assert_non_null(strstr(message.text, "the recording was killed"));
	assert_in_range(good, 1, 8);
	close(fd);
}

/* ---- Places ------------------------------------------------------------------------ */

static void test_a_reader_goes_back_to_every_place_it_was_at(void **state)
{
	size_t count;
	const struct trace_event *events = tracetest_events(&count);
	struct trace_position *places = calloc(count + 1, sizeof(*places));
	int fd = tracetest_write(1, 5);
	struct trace_reader *reader, *fresh;
	struct trace_event event;
	struct message message;

	assert_int_equal(trace_reader_create(fd, "trace", &reader, &message), 0);
	for (size_t i = 0; i < count; i++) {
		trace_reader_tell(reader, &places[i]);
		assert_int_equal(trace_reader_next(reader, &event, &message), 1);
	}
	trace_reader_tell(reader, &places[count]);
	for (size_t i = count + 1; i-- > 0;) {
		assert_int_equal(trace_reader_seek(reader, &places[i], &message), 0);
		for (size_t j = i; j < count && j < i + 12; j++) {
			assert_int_equal(trace_reader_next(reader, &event, &message), 1);
			assert_true(tracetest_same(&event, &events[j]));
		}
	}
	assert_int_equal(trace_reader_seek(reader, &places[count], &message), 0);
	assert_int_equal(trace_reader_next(reader, &event, &message), 0);

	lseek(fd, 0, SEEK_SET);
	assert_int_equal(trace_reader_create(fd, "trace", &fresh, &message), 0);
	assert_int_equal(trace_reader_seek(fresh, &places[1], &message), -ESPIPE);
	trace_reader_destroy(fresh);
	trace_reader_destroy(reader);
	free(places);
	close(fd);
}

static void test_readers_of_one_descriptor_do_not_disturb_each_other(void **state)
{
	size_t count;
	const struct trace_event *events = tracetest_events(&count);
	int fd = tracetest_write(1, 5);
	struct trace_reader *readers[2];
	struct trace_event event;
	struct message message;

	/* The second one is behind by some blocks. */
	assert_int_equal(trace_reader_create(fd, "trace", &readers[0], &message), 0);
	assert_int_equal(trace_reader_create(fd, "trace", &readers[1], &message), 0);
	for (size_t i = 0; i < count + 12; i++)
		for (size_t j = 0; j < 2; j++) {
			const size_t at = j ? i - 12 : i;

			if (at >= count)
				continue;
			assert_int_equal(trace_reader_next(readers[j], &event, &message), 1);
			assert_true(tracetest_same(&event, &events[at]));
		}
	trace_reader_destroy(readers[0]);
	trace_reader_destroy(readers[1]);
	close(fd);
}

static void test_a_trace_is_read_from_a_pipe(void **state)
{
	int ends[2], fd = tracetest_write(1, 5);
	size_t length, good;
	unsigned char *bytes = tracetest_bytes(fd, &length);
	struct message message;

	assert_int_equal(pipe(ends), 0);
	assert_in_range(length, 1, 60000);
	assert_int_equal(write(ends[1], bytes, length), (ssize_t)length);
	close(ends[1]);
	assert_int_equal(read_all(ends[0], &good, &message), 0);
	close(ends[0]);
	close(fd);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_of_event_is_read_as_it_was_written),
		cmocka_unit_test(test_a_trace_cut_at_any_byte_is_read_up_to_its_last_whole_block),
		cmocka_unit_test(test_a_byte_changed_anywhere_is_noticed_and_no_wrong_event_is_read),
		cmocka_unit_test(test_blocks_that_are_missing_swapped_or_of_another_trace_are_noticed),
		cmocka_unit_test(test_events_that_contradict_the_trace_are_rejected_with_the_reason),
		cmocka_unit_test(test_the_writer_rejects_what_the_reader_would),
		cmocka_unit_test(test_a_full_disk_is_reported_and_the_file_ends_with_a_whole_block),
		cmocka_unit_test(test_a_reader_goes_back_to_every_place_it_was_at),
		cmocka_unit_test(test_readers_of_one_descriptor_do_not_disturb_each_other),
		cmocka_unit_test(test_a_trace_is_read_from_a_pipe),
	};

	return cmocka_run_group_tests_name("trace_file", tests, NULL, NULL);
}
