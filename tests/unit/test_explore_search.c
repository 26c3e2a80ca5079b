/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The search on small traces of a log of numbers (tests/explore/checker_commit.c), each with one bug, and
 * their correct twin.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "explore/checkpoint.h"
#include "exploretest.h"

#define FILE_LINE "file file=1 size=4096 path=\"log\"\n"
#define RECORD(n, at) "t1 store 1+" at " u64=" n "\nt1 clwb 1+" at "\nt1 sfence\n"
#define COMMIT(n) "t1 store 1+0x0 u64=" n "\nt1 clwb 1+0x0\nt1 sfence\nt1 mark \"done " n "\"\n"

static const char correct[] = FILE_LINE RECORD("1", "0x40") COMMIT("1") RECORD("2", "0x80") COMMIT("2");

static struct exploretest test;

static void explore_with(const char *object, enum explore_checker_how how, const char *text,
			 const char *trick)
{
	static char *checker[3];

	checker[0] = (char *)(uintptr_t)exploretest_object(object);
	checker[1] = (char *)(uintptr_t)trick;
	exploretest_init(&test, text, checker);
	test.options.how = how;
	/* Only a check that hangs is to reach the limit, however busy the machine is. */
	if (!trick || strcmp(trick, "hang") != 0)
		test.options.timeout_ms = 60000;
	exploretest_run(&test);
}

static void explore(const char *text, const char *trick)
{
	explore_with("checker_commit.so", EXPLORE_CHECKER_BY_NAME, text, trick);
}

/* The same checker as a program that forks. */
static void explore_forked(const char *text, const char *trick)
{
	explore_with("checker_commit", EXPLORE_CHECKER_FORK_SERVER, text, trick);
}

static void a_correct_log_has_no_finding(void **state)
{
	explore(correct, NULL);
	assert_int_equal(test.failures.count, 0);
	assert_int_equal(test.findings.count, 0);
	assert_int_equal(test.summary.limit, EXPLORE_LIMIT_NONE);
	assert_true(test.summary.checked > 4);
	exploretest_clear(&test);
}

/* Each line: a bug, and how the checker reports it. */
static const struct bug {
	const char *name, *text;
	int code;
} bugs[] = {
	{ "missing flush of a record", FILE_LINE "t1 store 1+0x40 u64=1\n" COMMIT("1"), 1 },
	{ "missing fence between record and commit",
	  FILE_LINE "t1 store 1+0x40 u64=1\nt1 clwb 1+0x40\nt1 store 1+0x0 u64=1\nt1 clwb 1+0x0\nt1 sfence\n",
	  1 },
	{ "commit before the record", FILE_LINE COMMIT("1") RECORD("1", "0x40"), 1 },
	{ "flush of the wrong line",
	  FILE_LINE "t1 store 1+0x40 u64=1\nt1 clwb 1+0x80\nt1 sfence\n" COMMIT("1"), 1 },
	{ "fence of another thread",
	  FILE_LINE "t1 store 1+0x40 u64=1\nt1 clwb 1+0x40\nt2 sfence\nt2 store 1+0x0 u64=1\nt2 clwb 1+0x0\n"
		    "t2 sfence\n",
	  1 },
	{ "acknowledged before the commit is fenced",
	  FILE_LINE RECORD("1",
			   "0x40") "t1 store 1+0x0 u64=1\nt1 clwb 1+0x0\nt1 mark \"done 1\"\nt1 sfence\n",
	  3 },
	{ "record stored after its flush",
	  FILE_LINE "t1 clwb 1+0x40\nt1 store 1+0x40 u64=1\nt1 sfence\n" COMMIT("1"), 1 },
};

static void each_seeded_bug_is_found(void **state)
{
	for (size_t i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++) {
		print_message("%s\n", bugs[i].name);
		explore(bugs[i].text, NULL);
		assert_true(test.findings.count >= 1);
		assert_int_equal(test.findings.items[0].verdict.result, EXPLORE_FAILED);
		assert_int_equal(test.findings.items[0].verdict.code, bugs[i].code);
		exploretest_clear(&test);
	}
}

static void a_finding_names_the_store_that_was_lost(void **state)
{
	const struct explore_finding *finding;

	/* Beside the lost record there is a second log line that makes no difference. */
	explore(FILE_LINE "t1 store 1+0xc0 u64=9\nt1 store 1+0x40 u64=1\n" COMMIT("1"), NULL);
	assert_int_equal(test.findings.count, 1);
	finding = &test.findings.items[0];
	assert_int_equal(finding->neighbour, EXPLORE_AGAINST_NEWEST);
	assert_int_equal(finding->evidence.count, 1);
	assert_true(finding->evidence.items[0].lost);
	assert_int_equal(finding->evidence.items[0].offset, 0x40);
	assert_int_equal(finding->evidence.items[0].length, 8);
	/* The file, the first store, and then this one. */
	assert_int_equal(finding->evidence.items[0].event, 3);
	assert_int_equal(finding->evidence.items[0].thread, 1);
	exploretest_clear(&test);
}

/* Many lines that nobody flushes, of which one matters. */
static char *large_trace(unsigned lines)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	fputs(FILE_LINE, out);
	for (unsigned i = 2; i < lines; i++)
		fprintf(out, "t1 store 1+0x%x u64=%u\n", 64 * i, i + 1000);
	fputs("t1 store 1+0x40 u64=1\n" COMMIT("1"), out);
	fclose(out);
	return text;
}

static void a_finding_in_many_lines_is_reduced_to_one(void **state)
{
	char *text = large_trace(60);
	char *checker[] = { (char *)(uintptr_t)exploretest_object("checker_commit.so"), NULL };

	exploretest_init(&test, text, checker);
	test.options.states = 3000;
	exploretest_run(&test);
	assert_int_equal(test.findings.count, 1);
	assert_int_equal(test.findings.items[0].evidence.count, 1);
	assert_int_equal(test.findings.items[0].evidence.items[0].offset, 0x40);
	exploretest_clear(&test);
	free(text);
}

static void expect_failures(const struct explore_failures *expected)
{
	assert_int_equal(test.failures.count, expected->count);
	for (size_t i = 0; i < expected->count; i++) {
		const struct explore_failure *one = &test.failures.items[i], *other = &expected->items[i];

		assert_int_equal(one->sequence, other->sequence);
		assert_int_equal(one->verdict.result, other->verdict.result);
		assert_int_equal(one->verdict.code, other->verdict.code);
		assert_int_equal(one->places, other->places);
		assert_memory_equal(one->versions, other->versions, other->places * sizeof(uint64_t));
	}
}

/* For the caller to clear. */
static struct explore_failures take_failures(void)
{
	const struct explore_failures taken = test.failures;

	test.failures = (struct explore_failures){ 0 };
	exploretest_clear(&test);
	return taken;
}

static void what_is_found_does_not_depend_on_the_number_of_workers(void **state)
{
	char *text = large_trace(20);
	struct explore_failures one;
	struct explore_summary summary;
	char *checker[] = { (char *)(uintptr_t)exploretest_object("checker_commit.so"), NULL };

	exploretest_init(&test, text, checker);
	test.options.states = 3000;
	exploretest_run(&test);
	summary = test.summary;
	one = take_failures();
	for (unsigned workers = 2; workers <= 3; workers++) {
		exploretest_init(&test, text, checker);
		test.options.states = 3000;
		test.options.workers = workers;
		exploretest_run(&test);
		assert_int_equal(test.summary.checked, summary.checked);
		expect_failures(&one);
		exploretest_clear(&test);
	}
	assert_true(one.count > 0);
	explore_failures_clear(&one);
	free(text);
}

/* ---- Searches that go on where another one was ---- */

#define FIRST_STATES 500u

static char checkpoint_path[96];

static int open_checkpoint(const char *identity, bool resume)
{
	struct message message = { "" };

	return explore_checkpoint_open(checkpoint_path, identity, resume, 1000, &test.failures, NULL,
				       &test.options.checkpoint, &message);
}

/* A search of so many states, with the checkpoint that is in the test's directory. */
static void search_states(uint64_t states, bool resume)
{
	test.options.states = states;
	assert_int_equal(open_checkpoint("one", resume), 0);
	exploretest_run(&test);
	explore_checkpoint_close(test.options.checkpoint);
	test.options.checkpoint = NULL;
}

static void forget_results(void)
{
	explore_findings_clear(&test.findings);
	explore_failures_clear(&test.failures);
	explore_points_clear(&test.points);
	test.findings = (struct explore_findings){ 0 };
	test.failures = (struct explore_failures){ 0 };
	test.points = (struct explore_points){ 0 };
}

/* A search of the first states, which leaves its checkpoint. */
static void interrupted_search(const char *text, char *const *checker)
{
	exploretest_init(&test, text, checker);
	snprintf(checkpoint_path, sizeof(checkpoint_path), "%s/progress", test.directory);
	search_states(FIRST_STATES, false);
	assert_true(test.failures.count > 0);
	forget_results();
}

static void a_search_that_is_resumed_has_the_result_of_one_that_was_not_interrupted(void **state)
{
	char *text = large_trace(20);
	char *checker[] = { (char *)(uintptr_t)exploretest_object("checker_commit.so"), NULL };
	struct explore_failures whole;
	struct explore_summary summary;

	exploretest_init(&test, text, checker);
	test.options.states = 2000;
	exploretest_run(&test);
	summary = test.summary;
	whole = take_failures();

	interrupted_search(text, checker);
	test.options.workers = 2;
	assert_int_equal(open_checkpoint("one", true), 0);
	assert_int_equal(explore_checkpoint_from(test.options.checkpoint), FIRST_STATES);
	assert_true(test.failures.count > 0 && test.failures.count < whole.count);
	explore_checkpoint_close(test.options.checkpoint);
	forget_results();
	search_states(2000, true);
	assert_memory_equal(&test.summary, &summary, sizeof(summary));
	expect_failures(&whole);
	exploretest_clear(&test);
	explore_failures_clear(&whole);
	free(text);
}

/* The checkpoint of an interrupted search with one byte changed, or cut off, at `at`. */
static int open_damaged(const unsigned char *bytes, size_t size, size_t at, bool cut)
{
	FILE *file = fopen(checkpoint_path, "we");
	const unsigned char changed = bytes[at] ^ 0x41;
	int error;

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, at, file), at);
	if (!cut) {
		assert_int_equal(fwrite(&changed, 1, 1, file), 1);
		assert_int_equal(fwrite(bytes + at + 1, 1, size - at - 1, file), size - at - 1);
	}
	assert_int_equal(fclose(file), 0);
	error = open_checkpoint("one", true);
	if (!error) {
		/* What is left of it is the beginning of what it was. */
		assert_true(explore_checkpoint_from(test.options.checkpoint) < FIRST_STATES);
		for (size_t i = 0; i < test.failures.count; i++)
			assert_true(test.failures.items[i].sequence <
				    explore_checkpoint_from(test.options.checkpoint));
		explore_checkpoint_close(test.options.checkpoint);
	}
	forget_results();
	return error;
}

static void damaged_progress_is_cut_off_and_progress_of_another_search_is_refused(void **state)
{
	char *text = large_trace(20);
	char *checker[] = { (char *)(uintptr_t)exploretest_object("checker_commit.so"), NULL };
	static unsigned char bytes[1 << 20];
	const size_t head = 80;
	FILE *file;
	size_t size;

	interrupted_search(text, checker);
	assert_int_equal(open_checkpoint("another", true), -EINVAL);
	assert_int_equal(open_checkpoint("one", true), 0);
	explore_checkpoint_close(test.options.checkpoint);
	forget_results();
	file = fopen(checkpoint_path, "re");
	assert_non_null(file);
	size = fread(bytes, 1, sizeof(bytes), file);
	assert_true(size > head && size < sizeof(bytes));
	fclose(file);
	for (size_t at = 0; at < head; at += 7)
		assert_int_equal(open_damaged(bytes, size, at, false), -EINVAL);
	for (size_t at = head; at < size; at += size / 97 + 1) {
		assert_int_equal(open_damaged(bytes, size, at, false), 0);
		assert_int_equal(open_damaged(bytes, size, at, true), 0);
	}
	exploretest_clear(&test);
	free(text);
}

static void a_checker_that_crashes_or_hangs_or_exits_is_a_finding(void **state)
{
	explore(bugs[0].text, "crash");
	assert_int_equal(test.findings.count, 1);
	assert_int_equal(test.findings.items[0].verdict.result, EXPLORE_SIGNALED);
	assert_int_equal(test.findings.items[0].verdict.code, SIGABRT);
	exploretest_clear(&test);

	explore(bugs[0].text, "hang");
	assert_int_equal(test.findings.count, 1);
	assert_int_equal(test.findings.items[0].verdict.result, EXPLORE_TIMED_OUT);
	exploretest_clear(&test);

	explore(bugs[0].text, "exit");
	assert_int_equal(test.findings.count, 1);
	assert_int_equal(test.findings.items[0].verdict.result, EXPLORE_FAILED);
	assert_int_equal(test.findings.items[0].verdict.code, 7);
	exploretest_clear(&test);
}

static void expect_one_finding(enum explore_result result, int code)
{
	assert_int_equal(test.findings.count, 1);
	assert_int_equal(test.findings.items[0].verdict.result, result);
	assert_int_equal(test.findings.items[0].verdict.code, code);
	exploretest_clear(&test);
}

static void a_fork_server_finds_the_failures_that_a_loaded_checker_finds(void **state)
{
	explore_forked(correct, NULL);
	assert_int_equal(test.failures.count, 0);
	assert_true(test.summary.checked > 4);
	exploretest_clear(&test);
	for (size_t i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++) {
		struct explore_failures loaded;

		explore(bugs[i].text, NULL);
		loaded = take_failures();
		explore_forked(bugs[i].text, NULL);
		expect_failures(&loaded);
		for (size_t j = 0; j < loaded.count; j++)
			assert_int_equal(test.failures.items[j].verdict.result, EXPLORE_FAILED);
		explore_failures_clear(&loaded);
		exploretest_clear(&test);
	}
}

static void a_fork_server_whose_child_crashes_or_hangs_or_exits_is_a_finding(void **state)
{
	explore_forked(bugs[0].text, "crash");
	expect_one_finding(EXPLORE_SIGNALED, SIGABRT);
	explore_forked(bugs[0].text, "hang");
	expect_one_finding(EXPLORE_TIMED_OUT, 0);
	explore_forked(bugs[0].text, "exit");
	expect_one_finding(EXPLORE_FAILED, 7);
	/* A check that does not return has not passed, whatever its process ends with. */
	explore_forked(bugs[0].text, "succeed");
	expect_one_finding(EXPLORE_FAILED, 0);
}

static void what_a_fork_server_prints_is_in_the_finding(void **state)
{
	explore_forked(bugs[0].text, "print");
	assert_string_equal(test.findings.items[0].verdict.output, "a record is missing\n");
	expect_one_finding(EXPLORE_FAILED, 1);
}

static void states_of_a_fork_server_do_not_see_what_earlier_ones_leaked(void **state)
{
	explore_forked(correct, "leak");
	assert_true(test.summary.checked > 4);
	assert_int_equal(test.failures.count, 0);
	exploretest_clear(&test);

	/* Negative control: a checker that is loaded keeps what it leaks. */
	explore(correct, "leak");
	assert_true(test.failures.count > 0);
	exploretest_clear(&test);
}

static int create_forked(const char *program, char *trick)
{
	char *words[] = { (char *)(uintptr_t)program, trick, NULL };
	const struct explore_checker_options options = { .argv = words,
							 .how = EXPLORE_CHECKER_FORK_SERVER,
							 .timeout_ms = 5000 };
	struct explore_checker *checker = NULL;
	struct message message = { "" };
	const int error = explore_checker_create(&options, &checker, &message);

	explore_checker_destroy(checker);
	assert_int_equal(!!message.text[0], !!error);
	return error;
}

static void a_program_that_is_no_fork_server_is_refused(void **state)
{
	static char refuse[] = "refuse";

	assert_int_equal(create_forked(exploretest_object("checker_commit"), NULL), 0);
	assert_int_equal(create_forked(exploretest_object("checker_commit"), refuse), -ECANCELED);
	assert_int_equal(create_forked("true", NULL), -EPROTO);
	assert_int_equal(create_forked("/nonexistent/checker", NULL), -ENOENT);
}

static void a_command_gets_the_state_as_files(void **state)
{
	/* The record is the 8 bytes at 64: valid if the first byte of the log is 0, or that is 1. */
	char *checker[] = { "sh",
			    "-c",
			    "test $(od -An -tu1 -N1 \"$1\") = 0 || test $(od -An -tu1 -j64 -N1 \"$1\") = 1",
			    "check",
			    "{}",
			    NULL };

	exploretest_init(&test, bugs[0].text, checker);
	test.options.timeout_ms = 10000;
	exploretest_run(&test);
	assert_int_equal(test.findings.count, 1);
	assert_int_equal(test.findings.items[0].evidence.items[0].offset, 0x40);
	exploretest_clear(&test);

	exploretest_init(&test, correct, checker);
	test.options.timeout_ms = 10000;
	exploretest_run(&test);
	assert_int_equal(test.findings.count, 0);
	exploretest_clear(&test);
}

static void a_command_gets_the_acknowledged_marks(void **state)
{
	char *checker[] = {
		"sh", "-c",
		"grep -q 'done 1' \"$SOFTPMEM_MARKS\" || exit 0; test $(od -An -tu1 -N1 {}) -ge 1", NULL
	};

	exploretest_init(&test, bugs[5].text, checker);
	test.options.timeout_ms = 10000;
	exploretest_run(&test);
	assert_int_equal(test.findings.count, 1);
	assert_string_equal(test.findings.items[0].last_mark, "done 1");
	exploretest_clear(&test);
}

static void a_finding_replays_by_its_name(void **state)
{
	struct message message = { "" };
	struct explore_verdict verdict;
	struct explore_trial *trial;
	uint64_t after, *versions = NULL;

	explore(bugs[0].text, NULL);
	assert_int_equal(test.findings.count, 1);
	assert_int_equal(explore_state_name_event(test.findings.items[0].name, &after), 0);
	assert_int_equal(explore_trial_open(test.fd, "test", after, &test.options, &trial, &message), 0);
	assert_int_equal(explore_state_name_parse(trial, test.findings.items[0].name, &versions, &message),
			 0);
	assert_int_equal(explore_trial_check(trial, versions, &verdict, &message), 0);
	assert_int_equal(verdict.result, EXPLORE_FAILED);
	free(versions);
	/* Negative control: with everything durable the checker passes. */
	assert_int_equal(explore_state_name_parse(trial, "3n", &versions, &message), 0);
	assert_int_equal(explore_trial_check(trial, versions, &verdict, &message), 0);
	assert_int_equal(verdict.result, EXPLORE_PASSED);
	free(versions);
	explore_trial_close(trial);
	exploretest_clear(&test);
}

static void wrong_names_of_states_are_refused(void **state)
{
	static const char *const wrong[] = { "",	"n",	    "x3n",    "3",	 "3x",
					     "3n:",	"3n:40",    "3n:40=", "3n:40=9", "3n:41=0",
					     "3n:s0=0", "3n:40=0x", "3n40=0" };
	struct message message = { "" };
	struct explore_trial *trial;

	explore(bugs[0].text, NULL);
	assert_int_equal(explore_trial_open(test.fd, "test", 3, &test.options, &trial, &message), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint64_t after, *versions = NULL;

		if (explore_state_name_event(wrong[i], &after) != 0)
			continue;
		assert_int_equal(explore_state_name_parse(trial, wrong[i], &versions, &message), -EINVAL);
		assert_null(versions);
	}
	explore_trial_close(trial);
	assert_int_equal(explore_trial_open(test.fd, "test", 1000, &test.options, &trial, &message), -EINVAL);
	exploretest_clear(&test);
}

static void a_file_that_grows_by_writes_may_come_back_with_any_of_its_sizes(void **state)
{
	/* Fails if the size is 4: "abcd" is there, "efgh" is not. */
	char *checker[] = { "sh", "-c", "test $(stat -c %s {}) != 4", NULL };

	exploretest_init(&test,
			 "file file=9 mode=040755\n"
			 "create file=1 parent=9 name=\"log\" mode=0100644\n"
			 "write 1+0x0 text=\"abcd\"\nwrite 1+0x4 text=\"efgh\"\nfsync file=1\n",
			 checker);
	test.options.timeout_ms = 10000;
	exploretest_run(&test);
	assert_int_equal(test.findings.count, 1);
	exploretest_clear(&test);
}

static void a_point_of_which_chance_finds_no_new_state_ends(void **state)
{
	/* Ten words that are stored with the same value again and again: 4^10 combinations, 2^10 states. */
	char *checker[] = { (char *)(uintptr_t)exploretest_object("checker_commit.so"), NULL };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	fputs(FILE_LINE, out);
	for (unsigned line = 2; line < 12; line++)
		for (unsigned i = 0; i < 3; i++)
			fprintf(out, "t1 store 1+0x%x u64=5\n", 64 * line);
	fclose(out);
	exploretest_init(&test, text, checker);
	test.options.exhaustive = 16;
	exploretest_run(&test);
	assert_in_range(test.summary.checked, 1000, 1025);
	assert_int_equal(test.summary.limit, EXPLORE_LIMIT_CHANCE);
	exploretest_clear(&test);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_correct_log_has_no_finding),
		cmocka_unit_test(each_seeded_bug_is_found),
		cmocka_unit_test(a_finding_names_the_store_that_was_lost),
		cmocka_unit_test(a_finding_in_many_lines_is_reduced_to_one),
		cmocka_unit_test(what_is_found_does_not_depend_on_the_number_of_workers),
		cmocka_unit_test(a_search_that_is_resumed_has_the_result_of_one_that_was_not_interrupted),
		cmocka_unit_test(damaged_progress_is_cut_off_and_progress_of_another_search_is_refused),
		cmocka_unit_test(a_checker_that_crashes_or_hangs_or_exits_is_a_finding),
		cmocka_unit_test(a_fork_server_finds_the_failures_that_a_loaded_checker_finds),
		cmocka_unit_test(a_fork_server_whose_child_crashes_or_hangs_or_exits_is_a_finding),
		cmocka_unit_test(what_a_fork_server_prints_is_in_the_finding),
		cmocka_unit_test(states_of_a_fork_server_do_not_see_what_earlier_ones_leaked),
		cmocka_unit_test(a_program_that_is_no_fork_server_is_refused),
		cmocka_unit_test(a_command_gets_the_state_as_files),
		cmocka_unit_test(a_command_gets_the_acknowledged_marks),
		cmocka_unit_test(a_finding_replays_by_its_name),
		cmocka_unit_test(wrong_names_of_states_are_refused),
		cmocka_unit_test(a_file_that_grows_by_writes_may_come_back_with_any_of_its_sizes),
		cmocka_unit_test(a_point_of_which_chance_finds_no_new_state_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
