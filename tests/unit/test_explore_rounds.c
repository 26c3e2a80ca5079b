/* SPDX-License-Identifier: BSD-3-Clause */

/* In which order the points of a trace have their turn. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "exploretest.h"

static struct exploretest test;

static void points_whose_turn_does_not_come_are_not_opened(void **state)
{
	/* Eight equal points and the end. The first has its two states, the end its one: the limit. */
	char *checker[] = { (char *)(uintptr_t)exploretest_object("checker_commit.so"), NULL };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	fputs("file file=1 size=4096 path=\"log\"\n" "site site=1 stack=0+0x10\n", out);
	for (unsigned line = 2; line < 10; line++)
		fprintf(out, "t1 store 1+%u site=1 u64=5\nt1 clwb 1+%u site=1\nt1 sfence site=1\n",
			64 * line, 64 * line);
	fclose(out);
	exploretest_init(&test, text, checker);
	test.options.states = 3;
	exploretest_run(&test);
	assert_int_equal(test.points.count, 9);
	assert_int_equal(test.summary.points, 2);
	assert_int_equal(test.summary.legal, 2 + 1);
	exploretest_clear(&test);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(points_whose_turn_does_not_come_are_not_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
