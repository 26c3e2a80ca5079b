/* SPDX-License-Identifier: BSD-3-Clause */

/* In which order the points of a trace have their turn, and how walks reach them. */

#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

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

/* Marks, and a line of the guaranteed content: what differs from moment to moment. */
static void same_moment(const struct explore_trial *one, const struct explore_trial *other)
{
	const struct explore_places *places = explore_trial_places(one);
	const struct explore_places *others = explore_trial_places(other);
	unsigned char bytes[2][4096];

	assert_int_equal(explore_walk_marks(explore_trial_walk(one)),
			 explore_walk_marks(explore_trial_walk(other)));
	assert_int_equal(places->count, others->count);
	for (size_t i = 0; i < places->count; i++) {
		assert_int_equal(places->items[i].address, others->items[i].address);
		assert_int_equal(places->items[i].versions, others->items[i].versions);
	}
	explore_image_read(explore_walk_file(explore_trial_walk(one), 0)->image, 0, bytes[0], 4096);
	explore_image_read(explore_walk_file(explore_trial_walk(other), 0)->image, 0, bytes[1], 4096);
	assert_memory_equal(bytes[0], bytes[1], 4096);
}

static void a_trial_that_goes_on_is_as_one_that_is_opened_there(void **state)
{
	static const uint64_t moments[] = { 3, 6, 6, 8 | EXPLORE_BEFORE_SYNC, 8, 9, 4, 9, 2 };
	char *checker[] = { (char *)(uintptr_t)exploretest_object("checker_commit.so"), NULL };
	struct explore_trial *trial = NULL;
	struct message message = { "" };
	size_t differ = 0;

	exploretest_init(&test,
			 "file file=1 size=4096 path=\"log\"\nt1 store 1+0x40 u64=1\nt1 clwb 1+0x40\n"
			 "t1 sfence\nt1 store 1+0x0 u64=1\nmark \"a\"\nt1 store 1+0x80 u64=2\n"
			 "write 1+0x100 sync text=\"abcd\"\nt1 store 1+0x0 u64=2\n",
			 checker);
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		struct explore_trial *opened;

		assert_int_equal(explore_trial_open(test.fd, "test", moments[i], &test.options, &opened,
						    &message), 0);
		/* That walk does not disturb this one, which reads from the same descriptor. */
		assert_int_equal(explore_trial_reach(test.fd, "test", moments[i], &test.options, &trial,
						     &message), 0);
		same_moment(trial, opened);
		differ += explore_trial_places(opened)->count != 1;
		explore_trial_close(opened);
	}
	assert_int_equal(differ, 3);
	assert_int_equal(explore_trial_reach(test.fd, "test", 100, &test.options, &trial, &message), -EINVAL);
	assert_null(trial);
	exploretest_clear(&test);
}

/*
 * All states are at the end of the trace, where the walk that found the points stands. Each worker has it,
 * and a fork server gets a state by changing the bytes of its files for a while.
 */
static void workers_do_not_see_the_states_of_others_at_the_end(void **state)
{
	char *checker[] = { (char *)(uintptr_t)exploretest_object("checker_commit"), NULL };
	static const char text[] =
		"file file=1 size=4096 path=\"log\"\n"
		"t1 store 1+0x40 u64=1\nt1 store 1+0x80 u64=2\nt1 store 1+0xc0 u64=3\n"
		"t1 store 1+0x100 u64=4\nt1 store 1+0x140 u64=5\nt1 store 1+0x0 u64=5\n";
	uint64_t failed[3];

	for (unsigned workers = 1; workers <= 3; workers++) {
		exploretest_init(&test, text, checker);
		test.options.how = EXPLORE_CHECKER_FORK_SERVER;
		test.options.timeout_ms = 60000;
		test.options.workers = workers;
		exploretest_run(&test);
		assert_int_equal(test.points.count, 1);
		assert_int_equal(test.summary.checked, 64);
		failed[workers - 1] = test.failures.count;
		exploretest_clear(&test);
	}
	/* Those with the commit, but for the one with all records. */
	assert_int_equal(failed[0], 31);
	assert_int_equal(failed[1], 31);
	assert_int_equal(failed[2], 31);
}

/* A walk has a descriptor for each file. */
static void a_search_takes_no_more_descriptors_than_a_walk(void **state)
{
	char *checker[] = { (char *)(uintptr_t)"true", NULL };
	struct rlimit before;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	for (unsigned i = 1; i <= 200; i++)
		fprintf(out, "file file=%u size=4096 path=\"f%u\"\n", i, i);
	fputs("t1 store 1+0x40 u64=1\nt1 clwb 1+0x40\nt1 sfence\nt1 store 200+0x40 u64=1\n", out);
	fclose(out);
	exploretest_init(&test, text, checker);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 300, before.rlim_max }), 0);
	exploretest_run(&test);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(test.summary.checked, 3);
	exploretest_clear(&test);
	free(text);
}

static void same_digest(struct explore_image *one, struct explore_image *other)
{
	const struct explore_digest a = explore_image_digest(one), b = explore_image_digest(other);

	assert_true(a.low == b.low && a.high == b.high);
}

static void a_digest_that_follows_stores_is_that_of_the_content(void **state)
{
	struct explore_image *follows, *computed;
	struct explore_digest before;

	assert_int_equal(explore_image_create(1 << 20, 0, &follows), 0);
	assert_int_equal(explore_image_create(1 << 20, 0, &computed), 0);
	same_digest(follows, computed);
	for (uint32_t i = 1; i < 300; i++) {
		const uint64_t offset = i * 2654435761u % 40000;
		const unsigned char bytes[100] = { (unsigned char)i };

		assert_int_equal(explore_image_write(follows, offset, bytes, 1 + i % 100), 0);
		assert_int_equal(explore_image_write(computed, offset, bytes, 1 + i % 100), 0);
		if (i % 7)
			continue;
		explore_image_leave_digest(computed);
		before = explore_image_digest(follows);
		same_digest(follows, computed);
	}
	assert_in_range(explore_image_pages(follows), 2, 11);
	/* Negative control. */
	assert_int_equal(explore_image_write(follows, 50000, "x", 1), 0);
	assert_true(explore_image_digest(follows).low != before.low);
	explore_image_destroy(follows);
	explore_image_destroy(computed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trial_that_goes_on_is_as_one_that_is_opened_there),
		cmocka_unit_test(points_whose_turn_does_not_come_are_not_opened),
		cmocka_unit_test(a_search_takes_no_more_descriptors_than_a_walk),
		cmocka_unit_test(a_digest_that_follows_stores_is_that_of_the_content),
		cmocka_unit_test(workers_do_not_see_the_states_of_others_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
