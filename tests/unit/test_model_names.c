/* SPDX-License-Identifier: BSD-3-Clause */

/* The metadata model's interface and its limits. Its rules: test_model_names_litmus.c, _random.c. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "namestest.h"

static void each_mode_is_parsed_from_its_name(void **state)
{
	static const char *const words[] = { "durable", "ordered", "strict" };

	for (unsigned i = 0; i < 3; i++) {
		enum metadata_mode mode = METADATA_DURABLE;

		assert_int_equal(metadata_mode_parse(words[i], &mode), 0);
		assert_int_equal(mode, i);
		assert_string_equal(metadata_mode_name(mode), words[i]);
	}
}

static void an_unknown_mode_is_rejected(void **state)
{
	const struct names_options options = { .mode = (enum metadata_mode)3 };
	enum metadata_mode mode = METADATA_ORDERED;
	struct names *names;

	assert_int_equal(metadata_mode_parse("", &mode), -EINVAL);
	assert_int_equal(metadata_mode_parse("Ordered", &mode), -EINVAL);
	assert_int_equal(metadata_mode_parse("strictest", &mode), -EINVAL);
	assert_int_equal(mode, METADATA_ORDERED);
	assert_string_equal(metadata_mode_name((enum metadata_mode)3), "unknown");
	assert_int_equal(names_create(&options, &names), -EINVAL);
	names_destroy(NULL);
}

static void an_operation_without_a_legal_value_is_rejected(void **state)
{
	const struct names_options options = { .mode = METADATA_STRICT };
	const struct names_op good = { .kind = NAMES_RENAME, .id = 5, .inode = 2, .dir = 1, .name = "a",
				       .to_dir = 1, .to_name = "b" };
	struct names_op bad[10];
	struct namestest test;

	for (size_t i = 0; i < 10; i++)
		bad[i] = good;
	bad[0].id = 0;
	bad[1].inode = 0;
	bad[2].dir = 0;
	bad[3].name = NULL;
	bad[4].name = "";
	bad[5].to_dir = 0;
	bad[6].to_name = NULL;
	bad[7].other = 1;
	bad[8].kind = NAMES_EXCHANGE;
	bad[9].kind = NAMES_BIND;
	namestest_start(&test, options, "");
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(names_add(test.names, &bad[i]), -EINVAL);
	bad[0].kind = (enum names_kind)(NAMES_BIND + 1);
	bad[0].id = 1;
	assert_int_equal(names_add(test.names, &bad[0]), -EINVAL);
	bad[0] = (struct names_op){ .kind = NAMES_RMDIR, .id = 1, .inode = 7, .dir = 7, .name = "a" };
	assert_int_equal(names_add(test.names, &bad[0]), -EINVAL);
	assert_int_equal(names_pending(test.names), 0);
	assert_int_equal(names_add(test.names, &good), 0);
	assert_int_equal(names_add(test.names, &good), -EINVAL);
	assert_int_equal(names_close(test.names, 2, 5, METADATA_STRICT, true), -EINVAL);
	assert_int_equal(names_pending(test.names), 1);
	namestest_stop(&test);
}

static void a_weaker_mode_than_the_models_is_rejected(void **state)
{
	const struct names_options options = { .mode = METADATA_ORDERED };
	const struct chooser chooser = { .policy = CHOOSER_LOSE };
	struct namestest test;

	namestest_start(&test, options, "create a");
	assert_int_equal(names_choose(test.names, METADATA_STRICT, &chooser), -EINVAL);
	assert_int_equal(names_first(test.names, METADATA_STRICT), -EINVAL);
	assert_int_equal(names_set(test.names, METADATA_STRICT, NULL, 0), -EINVAL);
	assert_int_equal(names_next(test.names, METADATA_ORDERED), -EINVAL);
	assert_int_equal(names_first(test.names, METADATA_ORDERED), 0);
	assert_int_equal(names_next(test.names, METADATA_DURABLE), -EINVAL);
	assert_int_equal(names_next(test.names, METADATA_ORDERED), 1);
	assert_int_equal(names_next(test.names, METADATA_ORDERED), 0);
	namestest_stop(&test);
}

static void an_event_makes_the_choice_invalid(void **state)
{
	const struct names_options options = { .mode = METADATA_ORDERED };
	struct namestest test;

	namestest_start(&test, options, "create a");
	assert_int_equal(names_first(test.names, METADATA_ORDERED), 0);
	namestest_run(&test, "create b");
	assert_int_equal(names_next(test.names, METADATA_ORDERED), -EINVAL);
	assert_int_equal(names_first(test.names, METADATA_ORDERED), 0);
	namestest_run(&test, "fsync a");
	assert_int_equal(names_next(test.names, METADATA_ORDERED), -EINVAL);
	namestest_stop(&test);
}

static void a_set_is_judged_by_its_ids(void **state)
{
	const struct names_options options = { .mode = METADATA_STRICT };
	const uint64_t first[] = { 1 }, last[] = { 3 }, outer[] = { 1, 3 }, all[] = { 1, 2, 3 };
	const uint64_t unknown[] = { 1, 4 };
	struct namestest test;
	char text[NAMESTEST_TEXT];

	namestest_start(&test, options, "create a; rename a b; create c");
	assert_int_equal(names_set(test.names, METADATA_STRICT, NULL, 0), 1);
	assert_int_equal(names_set(test.names, METADATA_STRICT, first, 1), 1);
	assert_int_equal(names_set(test.names, METADATA_STRICT, last, 1), 1);
	assert_int_equal(names_set(test.names, METADATA_STRICT, outer, 2), 1);
	namestest_outcome(&test, text);
	assert_string_equal(text, "a=2:0 c=3:0");
	assert_int_equal(names_set(test.names, METADATA_STRICT, all + 1, 1), 0);
	assert_int_equal(names_set(test.names, METADATA_STRICT, unknown, 2), 0);
	assert_int_equal(names_set(test.names, METADATA_ORDERED, all, 3), 1);
	assert_int_equal(names_set(test.names, METADATA_ORDERED, all, 2), 1);
	assert_int_equal(names_set(test.names, METADATA_ORDERED, outer, 2), 0);
	assert_int_equal(names_set(test.names, METADATA_DURABLE, all, 3), 1);
	assert_int_equal(names_set(test.names, METADATA_DURABLE, all, 2), 0);
	namestest_stop(&test);
}

struct ids {
	uint64_t of[16];
	size_t count;
};

static void note_id(void *context, const struct names_op *op)
{
	struct ids *ids = context;

	assert_in_range(ids->count, 0, 15);
	ids->of[ids->count++] = op->id;
}

static void lost_operations_are_undone_the_newest_first(void **state)
{
	const struct names_options options = { .mode = METADATA_ORDERED };
	const struct chooser lose = { .policy = CHOOSER_LOSE }, keep = { .policy = CHOOSER_KEEP };
	struct namestest test;
	struct ids ids = { 0 };

	namestest_start(&test, options, "create a; create b; append b 5; rename a c; chmod b 3; fsync a");
	namestest_run(&test, "create d; append d 3");
	namestest_run(&test, "fsync c");
	assert_int_equal(names_choose(test.names, METADATA_ORDERED, &keep), 0);
	names_undo(test.names, &ids, note_id);
	assert_int_equal(ids.count, 0);
	assert_int_equal(names_choose(test.names, METADATA_ORDERED, &lose), 0);
	names_undo(test.names, &ids, note_id);
	assert_int_equal(ids.count, 2);
	assert_int_equal(ids.of[0], 6);
	assert_int_equal(ids.of[1], 5);
	namestest_stop(&test);
}

/* A range that has the hash of one operation alone. */
static struct chooser_limit only(uint64_t seed, uint64_t id)
{
	const uint64_t hash = chooser_hash(seed, id);

	return (struct chooser_limit){ .count = 1, .ranges = { { hash, hash } } };
}

static void a_limit_takes_back_one_operation_and_what_needs_it(void **state)
{
	const struct names_options options = { .mode = METADATA_STRICT };
	const struct chooser_limit limit = only(7, 1);
	const struct chooser first = { .policy = CHOOSER_LOSE, .seed = 7, .limit = &limit };
	char text[NAMESTEST_TEXT];
	struct namestest test;

	namestest_start(&test, options, "create a; create b; rename a c");
	assert_int_equal(names_choose(test.names, METADATA_STRICT, &first), 0);
	namestest_outcome(&test, text);
	assert_string_equal(text, "b=3:0");
	/* The log loses the operation and all after it. */
	assert_int_equal(names_choose(test.names, METADATA_ORDERED, &first), 0);
	namestest_outcome(&test, text);
	assert_string_equal(text, "-");
	namestest_stop(&test);
}

static void a_limit_that_has_no_operation_keeps_all(void **state)
{
	const struct names_options options = { .mode = METADATA_STRICT };
	const struct chooser_limit limit = only(7, 1000);
	const struct chooser none = { .policy = CHOOSER_LOSE, .seed = 7, .limit = &limit };
	char text[NAMESTEST_TEXT];
	struct namestest test;

	namestest_start(&test, options, "create a; create b; rename a c");
	for (int mode = METADATA_DURABLE; mode <= METADATA_STRICT; mode++) {
		assert_int_equal(names_choose(test.names, (enum metadata_mode)mode, &none), 0);
		namestest_outcome(&test, text);
		assert_string_equal(text, "b=3:0 c=2:0");
	}
	namestest_stop(&test);
}

static void a_file_keeps_one_append_where_the_newest_size_is_enough(void **state)
{
	const struct names_options options = { .mode = METADATA_ORDERED, .newest_size_only = true };
	struct trees trees = { 0 };
	struct namestest test;

	namestest_start(&test, options, "create a; ==; append a 1; append a 2; append a 3; append a 4");
	assert_int_equal(names_pending(test.names), 1);
	namestest_run(&test, "resize a 9; append a 10; append a 11");
	assert_int_equal(names_pending(test.names), 3);
	namestest_outcomes(&test, METADATA_ORDERED, &trees);
	assert_int_equal(trees.count, 4);
	assert_true(trees_contain(&trees, "a=2:0") && trees_contain(&trees, "a=2:4"));
	assert_true(trees_contain(&trees, "a=2:9") && trees_contain(&trees, "a=2:11"));
	trees_free(&trees);
	namestest_run(&test, "fsync a");
	assert_int_equal(names_pending(test.names), 0);
	namestest_stop(&test);
}

static void the_size_of_a_live_file_depends_on_the_log_before_its_append(void **state)
{
	const struct names_options options = { .mode = METADATA_ORDERED, .newest_size_only = true };
	const uint64_t both[] = { 3, 4 }, first[] = { 3 };
	struct namestest test;

	namestest_start(&test, options, "create a; append a 5; ==; create b; create c; append a 9");
	assert_int_equal(names_set(test.names, METADATA_ORDERED, both, 2), 1);
	assert_int_equal(names_size(test.names, 2), NAMES_SIZE_ANY);
	assert_int_equal(names_size(test.names, 3), NAMES_SIZE_NEWEST);
	assert_int_equal(names_size(test.names, 99), NAMES_SIZE_NEWEST);
	assert_int_equal(names_set(test.names, METADATA_ORDERED, first, 1), 1);
	assert_int_equal(names_size(test.names, 2), NAMES_SIZE_OLDEST);
	namestest_run(&test, "resize a 2");
	assert_int_equal(names_set(test.names, METADATA_ORDERED, both, 2), 1);
	assert_int_equal(names_size(test.names, 2), NAMES_SIZE_OLDEST);
	namestest_run(&test, "fsync a");
	assert_int_equal(names_first(test.names, METADATA_ORDERED), 0);
	assert_int_equal(names_size(test.names, 2), NAMES_SIZE_NEWEST);
	namestest_stop(&test);
}

static void the_oldest_operations_are_committed_to_keep_the_log_short(void **state)
{
	for (int mode = METADATA_ORDERED; mode <= METADATA_STRICT; mode++) {
		const struct names_options options = { .mode = (enum metadata_mode)mode };
		struct namestest test;
		char text[NAMESTEST_TEXT];

		namestest_start(&test, options, "create a; create b; append a 5; create c; create d");
		names_commit_through(test.names, 4);
		assert_int_equal(names_pending(test.names), 2);
		namestest_text(test.base, text);
		assert_string_equal(text, "a=2:0 b=3:0 c=4:0");
		names_commit_all(test.names);
		assert_int_equal(names_pending(test.names), 0);
		namestest_text(test.base, text);
		assert_string_equal(text, "a=2:5 b=3:0 c=4:0 d=5:0");
		namestest_stop(&test);
	}
}

static void nothing_is_committed_by_clear(void **state)
{
	const struct names_options options = { .mode = METADATA_STRICT, .auto_da_alloc = true };
	struct namestest test;
	char text[NAMESTEST_TEXT];

	namestest_start(&test, options, "create a; ==; create b; resize a 0; append a 5; overwrite a");
	namestest_run(&test, "mkdir d");
	names_clear(test.names);
	assert_int_equal(names_pending(test.names), 0);
	assert_int_equal(names_first(test.names, METADATA_STRICT), 0);
	assert_int_equal(names_next(test.names, METADATA_STRICT), 0);
	namestest_text(test.base, text);
	assert_string_equal(text, "a=2:0");
	/* The model goes on; ids do. */
	names_tree_destroy(test.now);
	assert_int_equal(names_tree_copy(test.base, &test.now), 0);
	namestest_run(&test, "append a 5; close a; create c; fsync /; fsync a");
	namestest_text(test.base, text);
	assert_string_equal(text, "a=2:5 c=5:0");
	namestest_stop(&test);
}

/* Replace by rename, over and over: each operation needs the one before. A commit must not recurse. */
static void a_chain_of_a_hundred_thousand_operations_is_committed(void **state)
{
	static const char *const names_of[] = { "a", "b", "c" };
	const struct names_options options = { .mode = METADATA_STRICT };
	struct namestest test;
	char text[NAMESTEST_TEXT];

	namestest_start(&test, options, "create a; ==");
	for (uint64_t i = 0; i < 100000; i++) {
		const struct names_op op = { .kind = NAMES_RENAME, .id = i + 2, .inode = 2, .dir = 1,
					     .name = names_of[i % 3], .to_dir = 1,
					     .to_name = names_of[(i + 1) % 3] };

		assert_int_equal(names_add(test.names, &op), 0);
	}
	assert_int_equal(names_pending(test.names), 100000);
	names_commit(test.names, 100001);
	assert_int_equal(names_pending(test.names), 0);
	namestest_text(test.base, text);
	assert_string_equal(text, "b=2:0");
	namestest_stop(&test);
}

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void count_op(void *context, const struct names_op *op)
{
	++*(size_t *)context;
}

/* What a live outage does; tests do not depend on timing, but what is quadratic would take minutes here. */
static void a_hundred_thousand_pending_operations_are_chosen_from(void **state)
{
	for (int mode = METADATA_ORDERED; mode <= METADATA_STRICT; mode++) {
		const struct names_options options = { .mode = (enum metadata_mode)mode,
						       .newest_size_only = true };
		const struct chooser lose = { .policy = CHOOSER_LOSE };
		const struct chooser random = { .policy = CHOOSER_RANDOM, .seed = 1 };
		size_t lost = 0, some_lost = 0;
		struct names *names;
		double begin = cpu_seconds(), added, chosen;

		assert_int_equal(names_create(&options, &names), 0);
		for (uint64_t i = 0; i < 100000; i++) {
			char name[32];
			struct names_op op = { .kind = NAMES_CREATE, .id = 2 * i + 1, .inode = i + 2,
					       .dir = 1, .name = name };
			const struct names_op append = { .kind = NAMES_APPEND, .id = 2 * i + 2,
							 .inode = i + 2, .size = 100 };

			snprintf(name, sizeof(name), "file%d", (int)i);
			assert_int_equal(names_add(names, &op), 0);
			assert_int_equal(names_add(names, &append), 0);
		}
		added = cpu_seconds();
		assert_int_equal(names_choose(names, (enum metadata_mode)mode, &lose), 0);
		names_undo(names, &lost, count_op);
		assert_int_equal(lost, 100000);
		chosen = cpu_seconds();
		assert_int_equal(names_choose(names, (enum metadata_mode)mode, &random), 0);
		names_undo(names, &some_lost, count_op);
		assert_in_range(some_lost, 1, 99999);
		names_fsync(names, 1);
		names_commit_all(names);
		assert_int_equal(names_pending(names), 0);
		print_message("# %s: %.0f ms to add 200,000 operations, %.0f ms to choose\n",
			      metadata_mode_name((enum metadata_mode)mode), (added - begin) * 1e3,
			      (chosen - added) * 1e3);
		names_destroy(names);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mode_is_parsed_from_its_name),
		cmocka_unit_test(an_unknown_mode_is_rejected),
		cmocka_unit_test(an_operation_without_a_legal_value_is_rejected),
		cmocka_unit_test(a_weaker_mode_than_the_models_is_rejected),
		cmocka_unit_test(an_event_makes_the_choice_invalid),
		cmocka_unit_test(a_set_is_judged_by_its_ids),
		cmocka_unit_test(lost_operations_are_undone_the_newest_first),
		cmocka_unit_test(a_limit_takes_back_one_operation_and_what_needs_it),
		cmocka_unit_test(a_limit_that_has_no_operation_keeps_all),
		cmocka_unit_test(a_file_keeps_one_append_where_the_newest_size_is_enough),
		cmocka_unit_test(the_size_of_a_live_file_depends_on_the_log_before_its_append),
		cmocka_unit_test(the_oldest_operations_are_committed_to_keep_the_log_short),
		cmocka_unit_test(nothing_is_committed_by_clear),
		cmocka_unit_test(a_chain_of_a_hundred_thousand_operations_is_committed),
		cmocka_unit_test(a_hundred_thousand_pending_operations_are_chosen_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
