/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Traces of version 1 that are kept in tests/data/trace: later programs read them, and write the same
 * bytes. `test_trace_golden make DIRECTORY` writes them anew, for a new version of the format.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/reader.h"
#include "trace/text_form.h"
#include "tracetest.h"

#define EVENTS_A_BLOCK 5

static const struct {
	const char *name;
	int level;
} files[] = { { "v1-plain.trace", 0 }, { "v1-zstd.trace", 1 } };

static int open_golden(const char *name)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/tests/data/trace/%s", getenv("abs_top_srcdir"), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_msg("%s: cannot be opened", path);
	return fd;
}

/* The trace as text; free() it. */
static char *text_of(int fd)
{
	struct trace_reader *reader;
	struct trace_event event;
	struct message message = { "" };
	uint64_t before = 0;
	size_t length;
	char *text;
	FILE *out = open_memstream(&text, &length);
	int result;

	assert_int_equal(trace_reader_create(fd, "golden", &reader, &message), 0);
	trace_text_print_header(out, trace_reader_uuid(reader), trace_reader_created(reader));
	while ((result = trace_reader_next(reader, &event, &message)) == 1) {
		trace_text_print(out, &event, before);
		putc('\n', out);
		before = event.stamp ? event.stamp : before;
	}
	if (result < 0)
		fail_msg("%s", message.text);
	trace_reader_destroy(reader);
	fclose(out);
	return text;
}

static void test_traces_of_version_1_are_read(void **state)
{
	int text_fd = open_golden("v1.txt");
	size_t length;
	unsigned char *wanted = tracetest_bytes(text_fd, &length);

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int fd = open_golden(files[i].name);
		char *text = text_of(fd);

		assert_int_equal(strlen(text), length);
		assert_memory_equal(text, wanted, length);
		free(text);
		close(fd);
	}
	free(wanted);
	close(text_fd);
}

/* What zstd makes of a block differs by its version; the rest does not. */
static void test_the_bytes_that_are_written_are_those_of_version_1(void **state)
{
	int golden = open_golden(files[0].name), fd = tracetest_write(files[0].level, EVENTS_A_BLOCK);
	size_t length, golden_length;
	unsigned char *bytes = tracetest_bytes(fd, &length),
		      *wanted = tracetest_bytes(golden, &golden_length);

	assert_int_equal(length, golden_length);
	assert_memory_equal(bytes, wanted, length);
	free(bytes);
	free(wanted);
	close(fd);
	close(golden);
}

static void write_golden(const char *directory, const char *name, const void *bytes, size_t length)
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	out = fopen(path, "w");
	if (!out || fwrite(bytes, 1, length, out) != length || fclose(out) != 0) {
		fprintf(stderr, "%s: cannot be written\n", path);
		exit(1);
	}
}

static void make(const char *directory)
{
	char *text = NULL;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int fd = tracetest_write(files[i].level, EVENTS_A_BLOCK);
		size_t length;
		unsigned char *bytes = tracetest_bytes(fd, &length);

		write_golden(directory, files[i].name, bytes, length);
		free(text);
		text = text_of(fd);
		free(bytes);
		close(fd);
	}
	write_golden(directory, "v1.txt", text, strlen(text));
	free(text);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_traces_of_version_1_are_read),
		cmocka_unit_test(test_the_bytes_that_are_written_are_those_of_version_1),
	};

	if (argc == 3 && strcmp(argv[1], "make") == 0) {
		make(argv[2]);
		return 0;
	}
	return cmocka_run_group_tests_name("trace_golden", tests, NULL, NULL);
}
