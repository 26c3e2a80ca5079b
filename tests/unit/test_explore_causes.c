/* SPDX-License-Identifier: BSD-3-Clause */

/* Several bugs in one trace: each is a finding, and what is said of one is not taken from another. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exploretest.h"

#define FILE_LINE "file file=1 size=4096 path=\"log\"\n"

static struct exploretest test;

static void explore(const char *text, enum explore_checker_how how, const char *script)
{
	static char *checker[] = { "sh", "-c", NULL, NULL };

	checker[2] = (char *)(uintptr_t)script;
	exploretest_init(&test, text, checker);
	test.options.how = how;
	test.options.timeout_ms = 10000;
	exploretest_run(&test);
}

/* Two stores that nobody flushes, in two lines. */
#define TWO_STORES FILE_LINE "t1 store 1+0x0 u64=1\nt1 store 1+0x40 u64=1\nt1 mark \"both\"\n"
#define WORD "word() { od -An -tu1 -j$1 -N1 {}; }\ntest -s \"$SOFTPMEM_MARKS\" || exit 0\n"

static void expect_two_stores(int first_code, int second_code)
{
	const struct explore_finding *items = test.findings.items;
	unsigned at = 0;

	assert_int_equal(test.failures.count, 3);
	assert_int_equal(test.findings.count, 2);
	assert_int_equal(test.findings.unreduced, 0);
	/* The state that has lost both is of either. */
	assert_int_equal(items[0].states + items[1].states, 3);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(items[i].evidence.count, 1);
		if (items[i].evidence.items[0].offset == 0)
			at = i;
	}
	assert_int_equal(items[at].evidence.items[0].offset, 0);
	assert_int_equal(items[at].verdict.code, first_code);
	assert_int_equal(items[!at].evidence.items[0].offset, 0x40);
	assert_int_equal(items[!at].verdict.code, second_code);
	exploretest_clear(&test);
}

static void bugs_with_a_status_each_are_all_found(void **state)
{
	explore(TWO_STORES, EXPLORE_CHECKER_BY_NAME,
		WORD "test $(word 0) = 1 || exit 1\ntest $(word 64) = 1 || exit 2");
	expect_two_stores(1, 2);
	explore(TWO_STORES, EXPLORE_CHECKER_BY_NAME,
		WORD "test $(word 64) = 1 || exit 2\ntest $(word 0) = 1 || exit 1");
	expect_two_stores(1, 2);
}

static void bugs_with_one_status_are_all_found(void **state)
{
	explore(TWO_STORES, EXPLORE_CHECKER_BY_NAME,
		WORD "test $(word 0) = 1 && test $(word 64) = 1");
	expect_two_stores(1, 1);
}

static void one_bug_that_shows_often_is_one_finding(void **state)
{
	explore(FILE_LINE "t1 store 1+0x0 u64=1\nt1 mark \"1\"\nt1 store 1+0x40 u64=1\nt1 mark \"2\"\n"
			  "t1 store 1+0x80 u64=1\nt1 mark \"3\"\n",
		EXPLORE_CHECKER_BY_NAME, WORD "test $(word 0) = 1");
	assert_true(test.failures.count > 3);
	assert_int_equal(test.findings.count, 1);
	assert_int_equal(test.findings.items[0].states, test.failures.count);
	exploretest_clear(&test);
}

/* a is not synced before its mark; the rename of b is not, either. */
#define TWO_FILES                                                                         \
	"file file=1 mode=040755 path=\"/\"\n"                                             \
	"create file=2 parent=1 name=\"a\" mode=0100644\nwrite 2+0x0 bytes=41\nfsync file=1\n" \
	"mark \"a\"\nfsync file=2\n"                                                        \
	"create file=3 parent=1 name=\"b\" mode=0100644\nfsync file=3\nfsync file=1\n"            \
	"create file=4 parent=1 name=\"b.tmp\" mode=0100644\nwrite 4+0x0 bytes=42\nfsync file=4\n" \
	"rename file=4 parent=1 name=\"b.tmp\" new-parent=1 new-name=\"b\" replaced=3\n"      \
	"mark \"b\"\n"

static void the_metadata_mode_of_a_bug_is_its_own(void **state)
{
	bool found = false;

	explore(TWO_FILES, EXPLORE_CHECKER_MOUNT,
		"cd {} || exit 9\n"
		"! grep -q a \"$SOFTPMEM_MARKS\" || test \"$(cat a)\" = A || exit 1\n"
		"! grep -q b \"$SOFTPMEM_MARKS\" || test \"$(cat b)\" = B");
	for (size_t i = 0; i < test.findings.count; i++) {
		const struct explore_finding *finding = &test.findings.items[i];

		if (!finding->evidence.items[0].operation ||
		    finding->evidence.items[0].kind != NAMES_RENAME) {
			assert_int_equal(finding->weakest, METADATA_DURABLE);
			continue;
		}
		assert_int_equal(finding->weakest, METADATA_ORDERED);
		found = true;
	}
	assert_true(found);
	assert_true(test.findings.count > 1);
	exploretest_clear(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bugs_with_a_status_each_are_all_found),
		cmocka_unit_test(bugs_with_one_status_are_all_found),
		cmocka_unit_test(one_bug_that_shows_often_is_one_finding),
		cmocka_unit_test(the_metadata_mode_of_a_bug_is_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
