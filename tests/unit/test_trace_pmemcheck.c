/* SPDX-License-Identifier: BSD-3-Clause */
/* Logs of pmemcheck: what is exported, what is imported, and what is malformed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/pmemcheck.h"
#include "trace/replay_contents.h"
#include "trace/text_form.h"
#include "tracetest.h"

static const char *path_of(void *context, uint64_t file)
{
	return file == 1 ? "/pools/one" : "/pools/other";
}

static uint64_t size_of(void *context, uint64_t file)
{
	return 4096 * file;
}

static void export_event(const struct trace_event *event, void *log)
{
	assert_int_equal(trace_pmemcheck_add(log, event), 0);
}

/* The log of a text trace; free() it. */
static char *export(const char *lines, struct trace_pmemcheck_skipped *skipped)
{
	char *string;
	size_t length;
	FILE *out = open_memstream(&string, &length);
	struct trace_pmemcheck *log = trace_pmemcheck_create(out, path_of, size_of, NULL);

	tracetest_visit(lines, export_event, log);
	assert_int_equal(trace_pmemcheck_end(log, skipped), 0);
	trace_pmemcheck_destroy(log);
	fclose(out);
	return string;
}

#define ONE "|REGISTER_FILE;/pools/one;0x1000000000000;0x1000;0x0"

static const char *hostile_path(void *context, uint64_t file)
{
	return "/pool|STOP";
}

static void export_refused(const struct trace_event *event, void *log)
{
	assert_int_equal(trace_pmemcheck_add(log, event), event->kind == TRACE_STORE ? -EINVAL : 0);
}

static void test_a_path_that_would_be_read_as_an_operation_is_refused(void **state)
{
	char *string;
	size_t length;
	FILE *out = open_memstream(&string, &length);
	struct trace_pmemcheck *log = trace_pmemcheck_create(out, hostile_path, size_of, NULL);

	tracetest_visit("t1 store 1+0 u8=1\n", export_refused, log);
	trace_pmemcheck_destroy(log);
	fclose(out);
	assert_string_equal(string, "START");
	free(string);
}

static void assert_export(const char *lines, const char *wanted)
{
	struct trace_pmemcheck_skipped skipped;
	char *log = export(lines, &skipped);

	assert_string_equal(log, wanted);
	free(log);
}

static void test_stores_flushes_and_fences_are_exported(void **state)
{
	assert_export("t1 store 1+0x40 u64=0x1122334455667788\nt1 clwb 1+0x40 length=128\nt2 sfence\n",
		      "START" ONE "|STORE;0x1000000000040;0x1122334455667788;0x8"
		      "|FLUSH;0x1000000000040;0x80|FENCE|STOP\n");
	assert_export("t1 store 1+0 nt u8=5\nt1 mfence\n",
		      "START" ONE "|STORE;0x1000000000000;0x5;0x1|FLUSH;0x1000000000000;0x1|FENCE|STOP\n");
	assert_export("t1 store 1+0 locked u8=5\n",
		      "START" ONE "|FENCE|STORE;0x1000000000000;0x5;0x1|STOP\n");
	assert_export("t1 store 1+0 u8=5\nt1 clflush 1+0\n",
		      "START" ONE "|STORE;0x1000000000000;0x5;0x1|FLUSH;0x1000000000000;0x40|FENCE|STOP\n");
	assert_export("", "START|STOP\n");
}

static void test_files_are_registered_when_they_are_first_used(void **state)
{
	assert_export(
		"file file=2 size=9\nt1 store 2+1 u8=1\nt1 store 1+0 u8=2\nt1 store 2+0 u8=3\n",
		"START|REGISTER_FILE;/pools/other;0x1000000000000;0x2000;0x0|STORE;0x1000000000001;0x1;0x1"
		"|REGISTER_FILE;/pools/one;0x2000000000000;0x1000;0x0|STORE;0x2000000000000;0x2;0x1"
		"|STORE;0x1000000000000;0x3;0x1|STOP\n");
}

static void test_wide_and_masked_stores_are_split_into_what_is_atomic(void **state)
{
	assert_export("t1 store 1+6 text=\"abcdefghijkl\"\n",
		      "START" ONE
		      "|STORE;0x1000000000006;0x6261;0x2|STORE;0x1000000000008;0x6a69686766656463;0x8"
		      "|STORE;0x1000000000010;0x6c6b;0x2|STOP\n");
	assert_export("t1 store 1+0 mask=0xc09 text=\"abcdefghijkl\"\n",
		      "START" ONE "|STORE;0x1000000000000;0x61;0x1|STORE;0x1000000000003;0x64;0x1"
		      "|STORE;0x100000000000a;0x6c6b;0x2|STOP\n");
}

static void test_what_the_log_cannot_say_is_counted(void **state)
{
	struct trace_pmemcheck_skipped skipped;
	char *log = export("write 1+0 text=\"x\"\nfsync file=1\nt1 msync 1+0 length=64\nmark "
			   "\"A.BEGIN\"\nmark \"A.END\"\n"
			   "mark \"hello\"\nmark \"a|b.END\"\n",
			   &skipped);

	assert_string_equal(log, "START|A.BEGIN|A.END|STOP\n");
	assert_int_equal(skipped.operations, 3);
	assert_int_equal(skipped.marks, 2);
	free(log);
}

/* ---- Importing ------------------------------------------------------------------------- */

struct taken {
	FILE *out;
	uint64_t before;
	int error;
};

static int take(void *context, const struct trace_event *event)
{
	struct taken *taken = context;

	trace_text_print(taken->out, event, taken->before);
	putc('\n', taken->out);
	taken->before = event->stamp ? event->stamp : taken->before;
	return taken->error;
}

static int import(const char *log, char **text, struct trace_pmemcheck_skipped *skipped,
		  struct message *message)
{
	size_t length;
	struct taken taken = { .out = open_memstream(text, &length) };
	FILE *in = fmemopen((void *)(uintptr_t)log, strlen(log), "r");
	int result = trace_pmemcheck_import(in, "log", take, &taken, skipped, message);

	fclose(in);
	fclose(taken.out);
	return result;
}

static void test_a_log_is_imported(void **state)
{
	/* As Valgrind writes it, with its own lines around. */
	const char *log =
		"==12== pmemcheck-1.0, a simple persistent store checker\n==12== \n"
		"START|REGISTER_FILE;/tmp/pool;0x7000;0x2000;0x1000|STORE;0x7010;0x1234;0x8"
		"|REGISTER_FILE;/tmp/pool;0x20000;0x1000;0x0|STORE;0x20000;0xff;0x1\n==12== a warning\n"
		"|FLUSH;0x7000;0x40|FLUSH;0x7051;0x1|FENCE|TX.BEGIN|COMMIT|STORE;0x99;0x1;0x1"
		"|STORE;0x7100;0x0102030405060708090a0b0c0d0e0f10;0x10|STOP\n==12== \n==12== ERROR SUMMARY\n";
	struct trace_pmemcheck_skipped skipped;
	struct message message = { "" };
	char *text;
	int result = import(log, &text, &skipped, &message);

	if (result < 0)
		fail_msg("%s", message.text);
	assert_string_equal(text, "file file=1 size=12288 mode=0100644 path=\"/tmp/pool\"\n"
				  "t1 map address=0x7000 1+0x1000 length=8192\n"
				  "t1 store 1+0x1010 bytes=3412000000000000\n"
				  "t1 map address=0x20000 1+0x0 length=4096\n"
				  "t1 store 1+0x0 bytes=ff\n"
				  "t1 clwb 1+0x1000\n"
				  "t1 clwb 1+0x1040\n"
				  "t1 sfence\n"
				  "t1 mark \"TX.BEGIN\"\n"
				  "t1 mark \"COMMIT\"\n"
				  "t1 store 1+0x1100 bytes=100f0e0d0c0b0a090807060504030201\n");
	assert_int_equal(skipped.operations, 1);
	free(text);
}

static void apply(const struct trace_event *event, void *replay)
{
	assert_int_equal(trace_replay_apply(replay, event), 0);
}

static void test_what_was_exported_is_imported_with_the_same_contents(void **state)
{
	const char *lines = "t1 store 1+0x3c text=\"over an edge\"\n"
			    "t1 store 1+0x80 mask=0xa5 u64=0x1122334455667788\n"
			    "t2 store 1+0x88 nt text=\"0123456789abcdef\"\nt1 clwb 1+0x40\nt1 sfence\n";
	struct trace_replay *replays[2] = { trace_replay_create(), trace_replay_create() };
	unsigned char contents[2][256];
	struct trace_pmemcheck_skipped skipped;
	struct message message = { "" };
	char *text, *log = export(lines, &skipped);

	assert_int_equal(import(log, &text, &skipped, &message), 0);
	tracetest_visit(lines, apply, replays[0]);
	/* The first line defines file 1, as tracetest_visit() does. */
	tracetest_visit(strchr(text, '\n') + 1, apply, replays[1]);
	for (int i = 0; i < 2; i++)
		trace_replay_read(replays[i], 1, 0, contents[i], sizeof(contents[i]));
	assert_memory_equal(contents[0], contents[1], sizeof(contents[0]));
	assert_memory_equal(contents[0] + 0x3c, "over an edge", 12);
	trace_replay_destroy(replays[0]);
	trace_replay_destroy(replays[1]);
	free(log);
	free(text);
}

static void test_a_malformed_log_is_rejected_with_the_element(void **state)
{
	static const char *const rows[][2] = {
		{ "hello|world", "there is no START" },
		{ "START|FENCE", "there is no STOP" },
		{ "START|STORE;|STOP", "element 2, 'STORE;': it is STORE;address;value;size" },
		{ "START|STORE;0x1;0x2|STOP", "STORE;address;value;size" },
		{ "START|STORE;0x1;0x2;0x0|STOP", "STORE;address;value;size" },
		{ "START|STORE;0x1;0x100;0x1|STOP", "STORE;address;value;size" },
		{ "START|STORE;0x1;0xg;0x1|STOP", "STORE;address;value;size" },
		{ "START|STORE;0x1;;0x1|STOP", "STORE;address;value;size" },
		{ "START|STORE;-1;0x1;0x1|STOP", "STORE;address;value;size" },
		{ "START|STORE;0x1;0x1;0x100001|STOP", "STORE;address;value;size" },
		{ "START|FLUSH;0x1;0x0|STOP", "FLUSH;address;size" },
		{ "START|FLUSH;0x1|STOP", "FLUSH;address;size" },
		{ "START|FLUSH;0x10000000000000000;0x1|STOP", "FLUSH;address;size" },
		{ "START|REGISTER_FILE;/a;0x1;0x1|STOP", "REGISTER_FILE;path;address;size;offset" },
		{ "START|REGISTER_FILE;/a;0x1;0x2000000000000;0x0|STOP",
		  "REGISTER_FILE;path;address;size;offset" },
		{ "START|REGISTER_FILE;/a;0xffffffffffffffff;0x2;0x0|STOP", "REGISTER_FILE;path;address" },
		{ "START|STORE;\x1b[31m|STOP", "'STORE;?[31m'" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct trace_pmemcheck_skipped skipped;
		struct message message = { "" };
		char *text;
		int result = import(rows[i][0], &text, &skipped, &message);

		if (result != -EBADMSG || !strstr(message.text, rows[i][1]))
			fail_msg("%s: result %d, %s", rows[i][0], result, message.text);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stores_flushes_and_fences_are_exported),
		cmocka_unit_test(test_files_are_registered_when_they_are_first_used),
		cmocka_unit_test(test_wide_and_masked_stores_are_split_into_what_is_atomic),
		cmocka_unit_test(test_a_path_that_would_be_read_as_an_operation_is_refused),
		cmocka_unit_test(test_what_the_log_cannot_say_is_counted),
		cmocka_unit_test(test_a_log_is_imported),
		cmocka_unit_test(test_what_was_exported_is_imported_with_the_same_contents),
		cmocka_unit_test(test_a_malformed_log_is_rejected_with_the_element),
	};

	return cmocka_run_group_tests_name("trace_pmemcheck", tests, NULL, NULL);
}
