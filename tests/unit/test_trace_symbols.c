/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions and lines of places in this very program. */
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/catalog.h"
#include "trace/symbols.h"

enum { FIRST_LINE = __LINE__ };
__attribute__((noinline)) static int marked_function(int number)
{
	return number * 3;
}
enum { LAST_LINE = __LINE__ };

static char program[4096];

static void add(struct trace_catalog *catalog, const struct trace_event *event)
{
	const char *wrong;

	assert_int_equal(trace_catalog_add(catalog, event, &wrong), 0);
}

static int take_bias(struct dl_phdr_info *info, size_t size, void *bias)
{
	*(uint64_t *)bias = info->dlpi_addr;
	return 1; /* the first is the program */
}

/* Site 1 with these frames, in module 1 with this path. */
static struct trace_catalog *catalog_of(const char *path, struct trace_bytes build_id,
					const struct trace_frame *frames, uint32_t count)
{
	struct trace_catalog *catalog = trace_catalog_create();
	struct trace_event module = { .kind = TRACE_MODULE }, site = { .kind = TRACE_SITE, .site = 1 };

	module.module.module = 1;
	module.module.path = (struct trace_bytes){ (const unsigned char *)path, (uint32_t)strlen(path) };
	module.module.build_id = build_id;
	site.stack.frames = frames;
	site.stack.count = count;
	add(catalog, &module);
	add(catalog, &site);
	return catalog;
}

static uint64_t offset_of_function(void)
{
	uint64_t bias = 0;

	dl_iterate_phdr(take_bias, &bias);
	return (uintptr_t)marked_function - bias;
}

static void assert_frame(const char *path, struct trace_bytes build_id, const struct trace_frame *frame,
			 const char *wanted)
{
	struct trace_catalog *catalog = catalog_of(path, build_id, frame, 1);
	struct trace_symbols *symbols = trace_symbols_create(catalog);

	assert_string_equal(trace_symbols_frame(symbols, 1, 0), wanted);
	trace_symbols_destroy(symbols);
	trace_catalog_destroy(catalog);
}

static void test_a_place_has_its_function_and_its_line(void **state)
{
	const uint64_t offset = offset_of_function();
	/* A return address that follows the function's first byte. */
	const struct trace_frame frames[] = { { 1, offset }, { 1, offset + 1 }, { 1, offset } };
	const struct trace_bytes no_id = { NULL, 0 };
	struct trace_catalog *catalog = catalog_of(program, no_id, frames, 3);
	struct trace_symbols *symbols = trace_symbols_create(catalog);
	const char *text = trace_symbols_frame(symbols, 1, 0), *colon = strstr(text, "test_trace_symbols.c:");

	assert_int_equal(marked_function(2), 6);
	assert_memory_equal(text, "marked_function ", 16);
	/* Without debug information there is no line. */
	if (colon)
		assert_in_range(atoi(strchr(colon, ':') + 1), FIRST_LINE, LAST_LINE);
	assert_string_equal(trace_symbols_frame(symbols, 1, 1), text);
	assert_ptr_equal(trace_symbols_frame(symbols, 1, 0), text);
	/* Before its first byte there is another function, or none. */
	assert_string_not_equal(trace_symbols_frame(symbols, 1, 2), text);
	assert_string_equal(trace_symbols_frame(symbols, 1, 3), "");
	assert_string_equal(trace_symbols_frame(symbols, 2, 0), "");
	trace_symbols_destroy(symbols);
	trace_catalog_destroy(catalog);
}

static void test_a_file_with_another_build_id_is_not_used(void **state)
{
	const struct trace_frame frame = { 1, 0x1234 };
	const struct trace_bytes other = { (const unsigned char *)"other", 5 };
	char wanted[4200];

	snprintf(wanted, sizeof(wanted), "%s+0x1234", strrchr(program, '/') + 1);
	assert_frame(program, other, &frame, wanted);
}

static void test_only_plain_files_are_opened(void **state)
{
	const struct trace_frame frame = { 1, 0x1234 }, outside = { 0, 0xabc };
	const struct trace_bytes no_id = { NULL, 0 };
	char fifo[] = "/tmp/test_trace_symbols.XXXXXX", wanted[64];

	assert_non_null(mkdtemp(fifo));
	assert_int_equal(rmdir(fifo), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	/* Opening a fifo would wait for a writer. */
	alarm(60);
	snprintf(wanted, sizeof(wanted), "%s+0x1234", strrchr(fifo, '/') + 1);
	assert_frame(fifo, no_id, &frame, wanted);
	alarm(0);
	unlink(fifo);
	assert_frame("/no/such/\x1b[31mfile", no_id, &frame, "?[31mfile+0x1234");
	assert_frame("relative", no_id, &frame, "relative+0x1234");
	assert_frame("", no_id, &frame, "+0x1234");
	assert_frame(program, no_id, &outside, "0xabc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_place_has_its_function_and_its_line),
		cmocka_unit_test(test_a_file_with_another_build_id_is_not_used),
		cmocka_unit_test(test_only_plain_files_are_opened),
	};

	if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
		return 1;
	return cmocka_run_group_tests_name("trace_symbols", tests, NULL, NULL);
}
