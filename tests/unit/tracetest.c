/* SPDX-License-Identifier: BSD-3-Clause */
#include "tracetest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/encode.h"
#include "trace/merge.h"
#include "trace/reader.h"
#include "trace/schema.h"
#include "trace/text_form.h"
#include "trace/writer.h"

#define TEXT(string)                                                                                         \
	{                                                                                                    \
		.at = (const unsigned char *)(string), .length = sizeof(string) - 1                          \
	}
#define OWNED(type)                                                                                          \
	{                                                                                                    \
		.mode = (type), .uid = 1000, .gid = 100, .atime = -5, .mtime = 1700000000123456789           \
	}

static const struct trace_segment segments[] = { { 0x55550000, 0x1000, 0 }, { 0x55551000, 0x2000, 0x1000 } };
static const struct trace_frame frames[] = { { 1, 0x1234 }, { 1, 0x9999 }, { 0, 0x7fffdeadbeef } };

static const struct trace_event events[] = {
	{ .kind = TRACE_INFO, .info = { TEXT("domain"), TEXT("memory_controller") } },
	{ .kind = TRACE_FILE, .file = 1, .node = { .attributes = OWNED(0040755), .path = TEXT("/") } },
	{ .kind = TRACE_FILE,
	  .file = 7,
	  .node = { .size = 8192,
		    .uuid = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
		    .attributes = OWNED(0100644),
		    .path = TEXT("/pool") } },
	{ .kind = TRACE_FILE,
	  .file = 8,
	  .node = { .attributes = OWNED(0120777), .path = TEXT("/link"), .target = TEXT("po\"ol\n") } },
	{ .kind = TRACE_RULES, .file = 7, .rules = { 3, 512 } },
	{ .kind = TRACE_XATTR, .file = 7, .xattr = { TEXT("user.a/b"), TEXT("\0\xff") } },
	{ .kind = TRACE_NAME, .file = 7, .name = { .parent = 1, .name = TEXT("pool") } },
	{ .kind = TRACE_NAME, .file = 8, .name = { .parent = 1, .name = TEXT("link") } },
	{ .kind = TRACE_IMAGE, .file = 7, .store = { .offset = 64, .bytes = TEXT("\0\1\2initial") } },
	{ .kind = TRACE_PROCESS_START, .stamp = 1, .process = { 1, 0, 4242, 0, TEXT("prog\0-x") } },
	{ .kind = TRACE_PROCESS_START, .stamp = 2, .process = { 2, 1, 4243, 0, TEXT("") } },
	{ .kind = TRACE_THREAD_START, .stamp = 3, .thread = 1, .process = { 1, 0, 4242, 0, TEXT("main") } },
	{ .kind = TRACE_MODULE,
	  .module = { 1, 1, 0x55550000, TEXT("/usr/bin/prog"), TEXT("\xde\xad\xbe\xef"), segments, 2 } },
	{ .kind = TRACE_SITE, .site = 5, .stack = { frames, 3 } },
	{ .kind = TRACE_MAP, .stamp = 4, .thread = 1, .file = 7, .map = { 0x7f0000000000, 0, 8192 } },
	{ .kind = TRACE_STORE,
	  .stamp = 5,
	  .thread = 1,
	  .site = 5,
	  .file = 7,
	  .store = { 0x48, 0, TEXT("12345678") } },
	{ .kind = TRACE_STORE,
	  .stamp = 6,
	  .thread = 1,
	  .file = 7,
	  .flags = TRACE_NONTEMPORAL | TRACE_CONTINUED | TRACE_RANGE,
	  .store = { 0x80, 0xa5, TEXT("abcdefgh") } },
	{ .kind = TRACE_STORE,
	  .stamp = 9,
	  .thread = 1,
	  .site = 5,
	  .file = 7,
	  .flags = TRACE_LOCKED,
	  .store = { TRACE_STORE_END - 1, 0, TEXT("z") } },
	{ .kind = TRACE_FLUSH, .stamp = 10, .thread = 1, .file = 7, .op = TRACE_CLWB, .flush = { 64, 64 } },
	{ .kind = TRACE_FLUSH,
	  .stamp = 11,
	  .thread = 1,
	  .file = 7,
	  .op = TRACE_CLFLUSHOPT,
	  .flush = { 0, 4096 } },
	{ .kind = TRACE_FLUSH,
	  .stamp = 12,
	  .thread = 1,
	  .site = 5,
	  .file = 7,
	  .op = TRACE_CLFLUSH,
	  .flush = { 128, 64 } },
	{ .kind = TRACE_FENCE, .stamp = 13, .thread = 1, .op = TRACE_SFENCE },
	{ .kind = TRACE_FENCE, .stamp = 14, .thread = 1, .site = 5, .op = TRACE_MFENCE },
	{ .kind = TRACE_FENCE, .stamp = 15, .thread = 1, .op = TRACE_RMW },
	{ .kind = TRACE_MSYNC, .stamp = 16, .thread = 1, .file = 7, .range = { 0, 4096 } },
	{ .kind = TRACE_UNMAP, .stamp = 17, .thread = 1, .map = { 0x7f0000000000, 0, 8192 } },
	{ .kind = TRACE_OPEN, .stamp = 18, .file = 7, .op = 04010000 },
	{ .kind = TRACE_WRITE,
	  .stamp = 19,
	  .file = 7,
	  .flags = TRACE_WRITE_SYNC | TRACE_WRITE_PAGE,
	  .store = { 4096, 0, TEXT("written") } },
	{ .kind = TRACE_TRUNCATE, .stamp = 20, .file = 7, .range = { 0, 12345 } },
	{ .kind = TRACE_FALLOCATE, .stamp = 21, .file = 7, .op = 3, .range = { 100, 200 } },
	{ .kind = TRACE_CREATE,
	  .stamp = 22,
	  .file = 20,
	  .name = { 1, TEXT("a b"), TEXT(""), OWNED(0100600) } },
	{ .kind = TRACE_CREATE, .stamp = 23, .file = 21, .name = { 1, TEXT(""), TEXT(""), OWNED(0100600) } },
	{ .kind = TRACE_MKDIR,
	  .stamp = 24,
	  .file = 22,
	  .name = { 1, TEXT("dir"), TEXT(""), OWNED(0040700) } },
	{ .kind = TRACE_MKFIFO,
	  .stamp = 25,
	  .file = 23,
	  .name = { 22, TEXT("fifo"), TEXT(""), OWNED(0010600) } },
	{ .kind = TRACE_SYMLINK,
	  .stamp = 26,
	  .file = 24,
	  .name = { 22, TEXT("\xff\t="), TEXT("../\\target"), OWNED(0120777) } },
	{ .kind = TRACE_LINK, .stamp = 27, .file = 21, .name = { .parent = 22, .name = TEXT("...") } },
	{ .kind = TRACE_RENAME,
	  .stamp = 28,
	  .file = 20,
	  .op = 2,
	  .rename = { 1, 22, TEXT("a b"), TEXT("x"), 23 } },
	{ .kind = TRACE_SETATTR,
	  .stamp = 29,
	  .file = 20,
	  .op = 0x11,
	  .attributes = { .mode = 0600, .mtime = -1 } },
	{ .kind = TRACE_FSYNC, .stamp = 30, .file = 22 },
	{ .kind = TRACE_FDATASYNC, .stamp = 31, .file = 20 },
	{ .kind = TRACE_UNLINK, .stamp = 32, .file = 24, .name = { .parent = 22, .name = TEXT("\xff\t=") } },
	{ .kind = TRACE_RMDIR, .stamp = 33, .file = 22, .name = { .parent = 1, .name = TEXT("dir") } },
	{ .kind = TRACE_SYNC, .stamp = 34 },
	{ .kind = TRACE_MARK,
	  .stamp = 35,
	  .thread = 1,
	  .mark = { TRACE_MARK_STDOUT, 1, 6000, TEXT("acknowledged 1\n") } },
	{ .kind = TRACE_MARK, .stamp = 36, .mark = { TRACE_MARK_EXPLICIT, -1, 4, TEXT("here") } },
	{ .kind = TRACE_LOST, .stamp = 37, .lost = { 2, TEXT("thread 1 was killed") } },
	{ .kind = TRACE_CLOSE, .stamp = 38, .op = TRACE_CLOSE_LAST, .file = 7 },
	{ .kind = TRACE_SETXATTR, .stamp = 39, .file = 1, .xattr = { TEXT("user.empty"), TEXT("") } },
	{ .kind = TRACE_REMOVEXATTR, .stamp = 40, .file = 7, .xattr = { TEXT("user.a/b"), TEXT("") } },
	{ .kind = TRACE_THREAD_EXIT, .stamp = 1000, .thread = 1 },
	{ .kind = TRACE_PROCESS_EXIT, .stamp = 1001, .process = { 1, 0, 0, 9, TEXT("") } },
	{ .kind = TRACE_OUTAGE, .stamp = (uint64_t)1 << 40, .outage = { 3, UINT64_MAX, TEXT("random") } },
	{ .kind = TRACE_END, .stamp = ((uint64_t)1 << 40) + 1, .end = { 53 } },
};

const struct trace_event *tracetest_events(size_t *count)
{
	*count = sizeof(events) / sizeof(events[0]);
	return events;
}

bool tracetest_same(const struct trace_event *one, const struct trace_event *other)
{
	unsigned char *bytes[2];
	size_t lengths[2];
	bool same;

	assert_null(trace_event_wrong(one));
	assert_null(trace_event_wrong(other));
	bytes[0] = malloc(trace_encoded_bound(one));
	bytes[1] = malloc(trace_encoded_bound(other));
	lengths[0] = trace_encode(one, bytes[0]);
	lengths[1] = trace_encode(other, bytes[1]);
	same = lengths[0] == lengths[1] && memcmp(bytes[0], bytes[1], lengths[0]) == 0 &&
	       one->stamp == other->stamp && one->thread == other->thread;
	free(bytes[0]);
	free(bytes[1]);
	return same;
}

int tracetest_file(void)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

struct trace_writer *tracetest_writer(int fd, int level)
{
	const struct trace_writer_options options = { .level = level,
						      .created = 1700000000,
						      .uuid = "sixteen bytes ok" };
	struct trace_writer *writer;
	struct message message;

	assert_int_equal(trace_writer_create(fd, "trace", &options, &writer, &message), 0);
	return writer;
}

int tracetest_write(int level, size_t block)
{
	int fd = tracetest_file();
	struct trace_writer *writer = tracetest_writer(fd, level);
	struct message message = { "" };
	const size_t count = sizeof(events) / sizeof(events[0]);

	for (size_t i = 0; i + 1 < count; i++) {
		if (trace_writer_put(writer, &events[i], &message) < 0)
			fail_msg("event %zu: %s", i, message.text);
		if (i % block == block - 1)
			assert_int_equal(trace_writer_flush(writer, &message), 0);
	}
	assert_int_equal(trace_writer_end(writer, &message), 0);
	trace_writer_destroy(writer);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

void tracetest_visit(const char *lines, void (*visit)(const struct trace_event *event, void *context),
		     void *context)
{
	struct trace_text *text;
	struct trace_event event;
	struct message message = { "" };
	char *string;
	FILE *in;
	int result;

	assert_true(asprintf(&string, "softpmem-trace 1\nfile file=1 size=4096\n%s", lines) > 0);
	in = fmemopen(string, strlen(string), "r");
	assert_int_equal(trace_text_create(in, "text", &text, &message), 0);
	while ((result = trace_text_next(text, &event, &message)) == 1)
		visit(&event, context);
	if (result < 0)
		fail_msg("%s", message.text);
	trace_text_destroy(text);
	fclose(in);
	free(string);
}

void tracetest_finish(struct trace_merge *merge, struct trace_writer *writer, int fd,
		      void (*visit)(const struct trace_event *event, void *context), void *context)
{
	struct message message = { "" };
	struct trace_reader *reader;
	struct trace_event event;
	int result;

	assert_int_equal(trace_merge_finish(merge, &message), 0);
	assert_int_equal(trace_writer_end(writer, &message), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(trace_reader_create(fd, "trace", &reader, &message), 0);
	while ((result = trace_reader_next(reader, &event, &message)) == 1)
		visit(&event, context);
	if (result < 0)
		fail_msg("%s", message.text);
	trace_reader_destroy(reader);
}

unsigned char *tracetest_bytes(int fd, size_t *length)
{
	struct stat status;
	unsigned char *bytes;

	assert_int_equal(fstat(fd, &status), 0);
	*length = (size_t)status.st_size;
	bytes = malloc(*length + 1);
	assert_int_equal(pread(fd, bytes, *length, 0), status.st_size);
	return bytes;
}
