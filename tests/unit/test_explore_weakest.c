/* SPDX-License-Identifier: BSD-3-Clause */

/* The weakest persistency mode in which a finding of words occurs. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exploretest.h"

#define FILE_LINE "file file=1 size=4096 path=\"log\"\n"

static struct exploretest test;

/* The finding with the commit (the word at 0) and without its record, by words of 8 bytes. */
static enum lines_mode weakest_lines_of(const char *text, enum lines_mode mode)
{
	/* A record is in the word at 8, or in the line at 64. */
	char *checker[] = { "sh", "-c",
			    "word() { od -An -tu1 -j$1 -N1 {}; }\n"
			    "test $(word 0) = 0 || test $(word 8) = 1 || test $(word 64) = 1",
			    NULL };
	enum lines_mode weakest;

	exploretest_init(&test, text, checker);
	test.options.timeout_ms = 10000;
	test.options.walk.mode = mode;
	exploretest_run(&test);
	if (mode == LINES_MODE_LINE && !test.findings.count) {
		exploretest_clear(&test);
		return LINES_MODE_WORD;
	}
	assert_int_equal(test.findings.count, 1);
	weakest = test.findings.items[0].weakest_lines;
	exploretest_clear(&test);
	return weakest;
}

static void a_finding_names_the_weakest_persistency_mode_that_shows_it(void **state)
{
	static const char one_line[] = FILE_LINE "t1 store 1+0x8 u64=1\nt1 store 1+0x0 u64=1\n"
					       "t1 clwb 1+0x0\nt1 sfence\n";
	static const char wrong_order[] = FILE_LINE "t1 store 1+0x0 u64=1\nt1 store 1+0x8 u64=1\n"
						  "t1 clwb 1+0x0\nt1 sfence\n";
	static const char two_lines[] = FILE_LINE "t1 store 1+0x40 u64=1\nt1 store 1+0x0 u64=1\n"
						"t1 clwb 1+0x0\nt1 clwb 1+0x40\nt1 sfence\n";

	assert_int_equal(weakest_lines_of(one_line, LINES_MODE_WORD), LINES_MODE_WORD);
	assert_int_equal(weakest_lines_of(wrong_order, LINES_MODE_WORD), LINES_MODE_LINE);
	assert_int_equal(weakest_lines_of(two_lines, LINES_MODE_WORD), LINES_MODE_LINE);
	/* The search with lines agrees. */
	assert_int_equal(weakest_lines_of(one_line, LINES_MODE_LINE), LINES_MODE_WORD);
	assert_int_equal(weakest_lines_of(wrong_order, LINES_MODE_LINE), LINES_MODE_LINE);
	assert_int_equal(weakest_lines_of(two_lines, LINES_MODE_LINE), LINES_MODE_LINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_finding_names_the_weakest_persistency_mode_that_shows_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
