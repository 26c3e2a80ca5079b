/* SPDX-License-Identifier: BSD-3-Clause */
/* The text form: what is printed is parsed to the same; what a person may write; what is wrong is named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/catalog.h"
#include "trace/schema.h"
#include "trace/text_form.h"
#include "tracetest.h"

/* The text of all events of tracetest_events(); free() it. */
static char *print_all(void)
{
	size_t count, length;
	const struct trace_event *events = tracetest_events(&count);
	const unsigned char uuid[16] = "sixteen bytes ok";
	char *text;
	FILE *out = open_memstream(&text, &length);
	uint64_t before = 0;

	trace_text_print_header(out, uuid, 1700000000);
	for (size_t i = 0; i < count; i++) {
		trace_text_print(out, &events[i], before);
		putc('\n', out);
		before = events[i].stamp ? events[i].stamp : before;
	}
	fclose(out);
	return text;
}

static struct trace_text *text_of(const char *string, size_t length, FILE **in)
{
	struct trace_text *text;
	struct message message;

	*in = fmemopen((void *)(uintptr_t)string, length, "r");
	assert_non_null(*in);
	assert_int_equal(trace_text_create(*in, "events.txt", &text, &message), 0);
	return text;
}

static void test_what_is_printed_is_parsed_to_the_same_events(void **state)
{
	size_t count;
	const struct trace_event *events = tracetest_events(&count);
	char *string = print_all();
	struct trace_event event;
	struct message message = { "" };
	FILE *in;
	struct trace_text *text = text_of(string, strlen(string), &in);

	for (size_t i = 0; i < count; i++) {
		if (trace_text_next(text, &event, &message) != 1)
			fail_msg("event %zu: %s", i, message.text);
		assert_true(tracetest_same(&event, &events[i]));
	}
	assert_int_equal(trace_text_next(text, &event, &message), 0);
	assert_int_equal(trace_text_next(text, &event, &message), 0);
	assert_memory_equal(trace_text_uuid(text), "sixteen bytes ok", 16);
	assert_int_equal(trace_text_created(text), 1700000000);
	trace_text_destroy(text);
	fclose(in);
	free(string);
}

static void test_the_text_is_lines_of_printable_ascii(void **state)
{
	char *string = print_all();

	for (const char *at = string; *at; at++)
		assert_true(*at == '\n' || (*at >= ' ' && *at <= '~'));
	assert_non_null(strstr(string, "\nt1 store 7+0x48 site=5 bytes=3132333435363738\n"));
	assert_non_null(strstr(string, "name=\"\\xff\\t=\""));
	assert_non_null(strstr(string, "target=\"po\\\"ol\\n\""));
	assert_non_null(strstr(string, "@9 t1 store "));
	assert_non_null(strstr(string, " locked "));
	assert_non_null(strstr(string, "stack=1+0x1234,1+0x9999,0+0x7fffdeadbeef\n"));
	free(string);
}

/* Parse one line after the definition of file 1. Returns the result. */
static int parse_line(const char *line, struct trace_event *event, struct message *message,
		      void (*look)(const struct trace_event *event))
{
	char string[512];
	FILE *in;
	struct trace_text *text;
	int length = snprintf(string, sizeof(string), "softpmem-trace 1\nfile file=1 size=4096\n%s\n", line),
	    result;

	text = text_of(string, (size_t)length, &in);
	assert_int_equal(trace_text_next(text, event, message), 1);
	result = trace_text_next(text, event, message);
	if (result == 1 && look)
		look(event);
	trace_text_destroy(text);
	fclose(in);
	return result;
}

struct same_bytes {
	const char *line;
	const char *bytes;
	uint32_t length;
};

static const struct same_bytes *looked_for;

static void look_at_bytes(const struct trace_event *event)
{
	assert_int_equal(event->kind, TRACE_STORE);
	assert_int_equal(event->thread, 3);
	assert_int_equal(event->store.offset, 16);
	assert_int_equal(event->store.bytes.length, looked_for->length);
	assert_memory_equal(event->store.bytes.at, looked_for->bytes, looked_for->length);
}

static void test_bytes_can_be_written_in_several_ways(void **state)
{
	static const struct same_bytes rows[] = {
		{ "t3 store 1+0x10 bytes=00ffAb", "\x00\xff\xab", 3 },
		{ "t3 store 1+16 u8=255", "\xff", 1 },
		{ "t3 store 1+020 u16=0x1234", "\x34\x12", 2 },
		{ "  t3\tstore   1+0x10 u32=0xffffffff", "\xff\xff\xff\xff", 4 },
		{ "t3 store u64=1 1+0x10", "\1\0\0\0\0\0\0\0", 8 },
		{ "t3 store 1+0x10 zero=5", "\0\0\0\0\0", 5 },
		{ "t3 store 1+0x10 text=\"a b\\x00=\\\\\\n\"", "a b\0=\\\n", 7 },
	};
	struct trace_event event;
	struct message message;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		looked_for = &rows[i];
		if (parse_line(rows[i].line, &event, &message, look_at_bytes) != 1)
			fail_msg("%s: %s", rows[i].line, message.text);
	}
}

static void look_at_flush(const struct trace_event *event)
{
	assert_int_equal(event->op, TRACE_CLFLUSHOPT);
	assert_int_equal(event->flush.length, 64);
	assert_int_equal(event->stamp, 1);
}

static void look_at_mark(const struct trace_event *event)
{
	assert_int_equal(event->mark.fd, -1);
	assert_int_equal(event->mark.length, 5);
	assert_int_equal(event->stamp, 77);
}

static void test_what_is_left_out_has_a_useful_value(void **state)
{
	struct trace_event event;
	struct message message;

	assert_int_equal(parse_line("t1 clflushopt 1+0x40", &event, &message, look_at_flush), 1);
	assert_int_equal(
		parse_line("t1 clflushopt 1+0x40   # main() t1 sfence", &event, &message, look_at_flush), 1);
	assert_int_equal(parse_line("t1 clflushopt 1+0x40 #", &event, &message, look_at_flush), 1);
	assert_int_equal(parse_line("@77 mark \"hello\"", &event, &message, look_at_mark), 1);
}

static void test_what_is_wrong_is_named_with_its_line(void **state)
{
	static const char *const rows[][2] = {
		{ "t1 stroe 1+0x0 u64=1", "events.txt:3: 'stroe': no event has this name" },
		{ "t1 store 2+0x0 u64=1", "events.txt:3: the file is not defined" },
		{ "t1 store 1+0x0 u64=1 u64=2", "'u64=2': the same field is there twice" },
		{ "t1 store 1+0x0 1+0x0 u64=1", "twice" },
		{ "t1 store 1+0x0 u8=256", "'u8=256': this is no value of the field" },
		{ "t1 store 1+0x0 u64=0x", "no value" },
		{ "t1 store 1+0x0 u64=-1", "no value" },
		{ "t1 store 1+0x0 bytes=123", "no value" },
		{ "t1 store 1+0x0 bytes=1g", "no value" },
		{ "t1 store 1+0x0 zero=1048577", "no value" },
		{ "t1 store 1+0x0", "the number of bytes is 0" },
		{ "t1 store 1 u64=1", "'1': this is no value of the field" },
		{ "t1 store 1+0x0 fast u64=1", "'fast': an event of this kind has no such field" },
		{ "t1 store 1+0x0 sync u64=1", "'sync': an event of this kind has no such field" },
		{ "t1 clwb 1+0x1", "not of whole lines" },
		{ "t1 clwb op=1 1+0x40", "no such field" },
		{ "@0 t1 sfence", "this is no stamp" },
		{ "@x t1 sfence", "this is no stamp" },
		{ "@5", "there is no event" },
		{ "t1", "there is no event" },
		{ "t99999999999 sfence", "no event has this name" },
		{ "mark \"never closed", "no value" },
		{ "mark \"bad \\q escape\"", "no value" },
		{ "mark \"bad \\x1 escape\"", "no value" },
		{ "mark \"\\", "no value" },
		{ "@5 file file=2", "a definition has a stamp" },
		{ "module module=1 segments=1:2", "no value" },
		{ "site site=1", "the call stack has no frame" },
		{ "site site=1 stack=1+0x1", "the module of a frame is not defined" },
		{ "file file=9 uuid=00", "no value" },
		{ "end events=17", "another number of events" },
	};
	struct trace_event event;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct message message = { "" };
		int result = parse_line(rows[i][0], &event, &message, NULL);

		if (result != -EBADMSG || !strstr(message.text, rows[i][1]))
			fail_msg("%s: result %d, %s", rows[i][0], result, message.text);
	}
}

static void test_the_first_line_must_be_the_header(void **state)
{
	static const char *const texts[] = { "t1 sfence\n",
					     "softpmem-trace 2\n",
					     "softpmem-trace\n",
					     "softpmem-trace 1 uuid=12\n",
					     "softpmem-trace 1 colour=3\n",
					     "\n#\n" };
	struct trace_event event;
	struct message message;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		FILE *in;
		struct trace_text *text = text_of(texts[i], strlen(texts[i]), &in);

		assert_int_equal(trace_text_next(text, &event, &message), -EBADMSG);
		assert_int_equal(trace_text_next(text, &event, &message), -EBADMSG);
		trace_text_destroy(text);
		fclose(in);
	}
}

static void test_a_line_that_never_ends_is_rejected(void **state)
{
	const size_t length = (size_t)5 << 20;
	char *string = malloc(length);
	struct trace_event event;
	struct message message;
	FILE *in;
	struct trace_text *text;

	memset(string, 'x', length);
	text = text_of(string, length, &in);
	assert_int_equal(trace_text_next(text, &event, &message), -E2BIG);
	trace_text_destroy(text);
	fclose(in);
	free(string);
}

static void test_every_line_cut_or_changed_is_parsed_or_rejected_in_order(void **state)
{
	char *string = print_all();
	const size_t length = strlen(string);
	struct trace_event event;
	struct message message;
	FILE *in;

	for (size_t at = 0; at < length; at++) {
		char *copy = malloc(length + 1);
		struct trace_text *text;
		int result;

		memcpy(copy, string, length + 1);
		copy[at] = copy[at] == '"' ? '\\' : '"';
		text = text_of(copy, length - at % 3, &in);
		while ((result = trace_text_next(text, &event, &message)) == 1)
			assert_null(trace_event_wrong(&event));
		assert_true(result == 0 || result == -EBADMSG);
		trace_text_destroy(text);
		fclose(in);
		free(copy);
	}
	free(string);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_printed_is_parsed_to_the_same_events),
		cmocka_unit_test(test_the_text_is_lines_of_printable_ascii),
		cmocka_unit_test(test_bytes_can_be_written_in_several_ways),
		cmocka_unit_test(test_what_is_left_out_has_a_useful_value),
		cmocka_unit_test(test_what_is_wrong_is_named_with_its_line),
		cmocka_unit_test(test_the_first_line_must_be_the_header),
		cmocka_unit_test(test_a_line_that_never_ends_is_rejected),
		cmocka_unit_test(test_every_line_cut_or_changed_is_parsed_or_rejected_in_order),
	};

	return cmocka_run_group_tests_name("trace_text", tests, NULL, NULL);
}
