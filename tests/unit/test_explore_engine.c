/* SPDX-License-Identifier: BSD-3-Clause */

/* Verdicts of servers that a search starts on crash states. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "explore/checkpoint.h"
#include "exploretest.h"

static const char text[] = "file file=1 size=4096 path=\"log\"\n"
			   "t1 store 1+0x0 u64=1\n"
			   "t1 clwb 1+0x0\n"
			   "t1 sfence\n";

static struct exploretest test;
static char checkpoint_path[128];

static void init(const struct explore_engine *engine)
{
	static char *checker[] = { (char *)"engine", NULL };

	exploretest_init(&test, text, checker);
	test.options.how = EXPLORE_CHECKER_ENGINE;
	test.options.engine = engine;
	test.options.timeout_ms = 10000;
	snprintf(checkpoint_path, sizeof(checkpoint_path), "%s/progress", test.directory);
}

static void open_checkpoint(bool resume)
{
	struct message message = { "" };

	assert_int_equal(explore_checkpoint_open(checkpoint_path, "one", resume, 1000, &test.failures, NULL,
						 &test.options.checkpoint, &message),
			 0);
}

static void a_server_that_answers_has_no_finding(void **state)
{
	const struct explore_engine engine = { .start = "sleep 9", .ask = "true" };

	init(&engine);
	exploretest_run(&test);
	assert_true(test.summary.checked > 1);
	assert_int_equal(test.failures.count, 0);
	exploretest_clear(&test);
}

static void servers_that_end_before_they_answer_are_kept_by_a_checkpoint(void **state)
{
	const struct explore_engine engine = { .start = "exit 3", .ask = "exit 75" };

	init(&engine);
	open_checkpoint(false);
	exploretest_run(&test);
	explore_checkpoint_close(test.options.checkpoint);
	assert_int_equal(test.findings.count, 1);
	assert_string_equal(test.findings.items[0].verdict.output, "");
	explore_failures_clear(&test.failures);
	test.failures = (struct explore_failures){ 0 };
	open_checkpoint(true);
	explore_checkpoint_close(test.options.checkpoint);
	assert_true(test.failures.count > 0);
	assert_int_equal(test.failures.items[0].verdict.result, EXPLORE_SERVER_ENDED);
	assert_int_equal(test.failures.items[0].verdict.code, 3);
	exploretest_clear(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_that_answers_has_no_finding),
		cmocka_unit_test(servers_that_end_before_they_answer_are_kept_by_a_checkpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
