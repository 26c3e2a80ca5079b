/* SPDX-License-Identifier: BSD-3-Clause */

/* What tells recoveries from one another, and names of states that are valid for all that are alike. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "explore/recovery_facts.h"
#include "explore/trial.h"
#include "exploretest.h"

#define BEGIN                                           \
	"file file=1 mode=040755 path=\"/\"\n"          \
	"process process=1 pid=100 text=\"sh\"\n"       \
	"create file=2 parent=1 name=\"f\" mode=0100644\n"
#define FIRST	   "process process=2 parent=1 pid=101 text=\"dd\"\n"
#define FIRST_EXIT "process-exit process=2\n"
#define WRITE	   "write 2+0x0 bytes=61\n"
#define SECOND	   "process process=3 parent=1 pid=102 text=\"sync\"\n"
#define SYNC	   "fsync file=2\n"
#define MARK	   "t1 thread process=1 tid=100 text=\"sh\"\nt1 mark source=4 fd=1 \"done\"\n"

static const char in_time[] = BEGIN FIRST WRITE FIRST_EXIT SECOND SYNC MARK "fsync file=1\n";
static const char late[] = BEGIN FIRST WRITE SECOND SYNC MARK "fsync file=1\n" FIRST_EXIT;
/* One more process, which does nothing to files. */
static const char longer[] = BEGIN "process process=4 parent=1 pid=103 text=\"cat\"\n" FIRST WRITE
	"process-exit process=4\n" FIRST_EXIT SECOND SYNC MARK "fsync file=1\n";

static void read_facts(const char *text, struct explore_recovery_facts *facts)
{
	struct message message = { "" };
	const int fd = exploretest_trace(text);

	if (explore_recovery_read(fd, "trace", facts, &message) < 0)
		fail_msg("%s\n%s", message.text, text);
	close(fd);
}

static bool equal(struct explore_digest one, struct explore_digest other)
{
	return one.low == other.low && one.high == other.high;
}

static void expect(const char *one, const char *other, bool shape, bool contents)
{
	struct explore_recovery_facts facts[2];

	read_facts(one, &facts[0]);
	read_facts(other, &facts[1]);
	assert_int_equal(equal(facts[0].shape, facts[1].shape), shape);
	assert_int_equal(equal(facts[0].contents, facts[1].contents), contents);
	explore_recovery_facts_clear(&facts[0]);
	explore_recovery_facts_clear(&facts[1]);
}

static void recoveries_are_alike_whenever_the_exits_of_their_processes_are_noticed(void **state)
{
	expect(in_time, late, true, true);
	expect(in_time, longer, true, true);
}

static void recoveries_that_do_something_else_are_not_alike(void **state)
{
	static const char other_bytes[] = BEGIN FIRST "write 2+0x0 bytes=62\n" FIRST_EXIT SECOND SYNC MARK
		"fsync file=1\n";
	static const char other_place[] = BEGIN FIRST "write 2+0x1 bytes=61\n" FIRST_EXIT SECOND SYNC MARK
		"fsync file=1\n";
	static const char no_sync[] = BEGIN FIRST WRITE FIRST_EXIT SECOND MARK "fsync file=1\n";
	static const char no_mark[] = BEGIN FIRST WRITE FIRST_EXIT SECOND SYNC "fsync file=1\n";
	static const char late_mark[] = BEGIN FIRST WRITE FIRST_EXIT SECOND SYNC "fsync file=1\n" MARK;

	expect(in_time, other_bytes, true, false);
	expect(in_time, other_place, false, false);
	expect(in_time, no_sync, false, false);
	expect(in_time, no_mark, false, false);
	expect(in_time, late_mark, false, false);
}

/* The name for all of a state of one trace, and the name in another one that it is for. */
static void expect_name(const char *from, const char *name, const char *for_all, const char *to,
			const char *expected)
{
	struct explore_recovery_facts facts;
	char *text;

	read_facts(from, &facts);
	text = explore_recovery_name_for_all(&facts, name);
	assert_string_equal(text, for_all);
	free(text);
	explore_recovery_facts_clear(&facts);
	read_facts(to, &facts);
	text = explore_recovery_name_here(&facts, for_all);
	assert_string_equal(text, expected);
	free(text);
	explore_recovery_facts_clear(&facts);
}

static void the_name_of_a_state_is_that_of_the_same_moment_in_another_recovery(void **state)
{
	/* Right before the fsync of the file: its number is 8, 7 and 10. */
	expect_name(in_time, "7n:0=1", "2n:0=1", late, "6n:0=1");
	expect_name(late, "6n:0=1", "2n:0=1", longer, "9n:0=1");
	/* Event 3 is the first that counts, and the write the second. A line at 0x16 is no event. */
	expect_name(longer, "9g:16=1:o3=1:o6=2", "2g:16=1:o1=1:o2=2", in_time, "7g:16=1:o3=1:o5=2");
	/* Within the write, as if it were synchronous, nothing that follows has happened. */
	expect_name(in_time, "5sn", "2sn", longer, "6sn");
	/* After the mark, and at the end. */
	expect_name(in_time, "10n", "4n", late, "9n");
	expect_name(in_time, "12n", "5n", longer, "14n");
	/* Before the first event that counts. */
	expect_name(in_time, "2n", "0n", late, "2n");
	expect_name(in_time, "0n", "0n", late, "2n");
}

static void expect_no_name(char *text)
{
	uint64_t after;

	assert_non_null(text);
	assert_int_equal(explore_state_name_event(text, &after), -EINVAL);
	free(text);
}

static void what_is_no_name_is_refused(void **state)
{
	static const char *const names[] = { "", "n", "x1n", "1", "1x", "99999999999999999999n", "-1n" };
	struct explore_recovery_facts facts;

	read_facts(in_time, &facts);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		expect_no_name(explore_recovery_name_for_all(&facts, names[i]));
		expect_no_name(explore_recovery_name_here(&facts, names[i]));
	}
	explore_recovery_facts_clear(&facts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recoveries_are_alike_whenever_the_exits_of_their_processes_are_noticed),
		cmocka_unit_test(recoveries_that_do_something_else_are_not_alike),
		cmocka_unit_test(the_name_of_a_state_is_that_of_the_same_moment_in_another_recovery),
		cmocka_unit_test(what_is_no_name_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
