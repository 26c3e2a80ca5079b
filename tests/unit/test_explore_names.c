/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Random small traces with names: what `softpmem explore --list-states` prints must be what two
 * interpreters allow that were written from the rules alone, brute_lines.c for bytes and brute_names.c for
 * names, sizes and attributes. The interpreters are asked after every event, not at crash points only. The
 * seeds are fixed; a failure prints the trace.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "brute_trace.h"
#include "explore/list.h"
#include "exploretest.h"
#include "rounds.h"

#ifdef __SANITIZE_ADDRESS__
#define TRACES 150
#define MORE_TRACES 3000
#else
#define TRACES 1500
#define MORE_TRACES 100000
#endif
#define CONTROL_TRACES 400

/* What the explorer lists. */
static void list(const char *text, enum brute_mode mode, struct trees *trees)
{
	static const enum metadata_mode modes[] = { METADATA_DURABLE, METADATA_ORDERED, METADATA_STRICT };
	const struct explore_walk_options options = { .metadata = modes[mode] };
	struct message message = { "" };
	char *listed = NULL, *save = NULL;
	int fd = exploretest_trace(text), error;
	size_t size;
	FILE *out = open_memstream(&listed, &size);

	assert_non_null(out);
	error = explore_list_states(fd, "trace", &options, 1 << 24, out, &message);
	fclose(out);
	close(fd);
	if (error)
		fail_msg("%s\n%s", message.text, text);
	/* A state without names is an empty line. */
	for (char *line = listed; *line; line = save + 1) {
		save = strchr(line, '\n');
		*save = '\0';
		trees_add(trees, line);
	}
	free(listed);
	trees_finish(trees);
}

static void print_difference(const struct trees *allowed, const struct trees *listed)
{
	for (size_t i = 0; i < allowed->count; i++)
		if (!trees_contain(listed, allowed->items[i]))
			print_message("missing: %s\n", allowed->items[i]);
	for (size_t i = 0; i < listed->count; i++)
		if (!trees_contain(allowed, listed->items[i]))
			print_message("not allowed: %s\n", listed->items[i]);
}

/* 1 if the trace has other states; -1 if it was too large to compare. */
static int compare(uint64_t seed, enum brute_mode mode, enum brute_names_rules rules,
		   enum brute_feature feature, bool print)
{
	struct trees allowed = { 0 }, listed = { 0 };
	char *text = brute_trace_random(seed, mode, rules, feature, &allowed);
	int differ = -1;

	if (text) {
		list(text, mode, &listed);
		differ = !trees_equal(&allowed, &listed);
		if (differ && print) {
			print_message("%s", text);
			print_difference(&allowed, &listed);
		}
	}
	trees_free(&listed);
	trees_free(&allowed);
	free(text);
	return differ;
}

static void compare_all(enum brute_feature feature, unsigned traces)
{
	unsigned compared = 0;

	for (unsigned i = 0; i < traces; i++) {
		const int differ = compare(i, (enum brute_mode)(i % 3), BRUTE_NAMES_RIGHT, feature, true);

		if (differ > 0)
			fail_msg("trace %u has other states", i);
		compared += differ == 0;
	}
	print_message("# %u of %u traces compared\n", compared, traces);
	assert_true(compared > traces / 2);
}

static void the_listed_states_of_random_traces_are_those_of_the_interpreters(void **state)
{
	compare_all(BRUTE_PLAIN, rounds(TRACES, MORE_TRACES));
}

static void the_states_with_auto_da_alloc_are_those_of_the_interpreters(void **state)
{
	compare_all(BRUTE_DA_ALLOC, rounds(TRACES / 3, MORE_TRACES));
}

static void the_states_with_modes_of_directories_are_those_of_the_interpreters(void **state)
{
	compare_all(BRUTE_MODES, rounds(TRACES / 3, MORE_TRACES));
}

static void the_states_of_files_in_sectors_are_those_of_the_interpreters(void **state)
{
	compare_all(BRUTE_SECTORS, rounds(TRACES / 3, MORE_TRACES));
}

/* Negative control: with a wrong rule in the interpreter some trace has other states. */
static void a_wrong_rule_of_names_is_noticed(void **state)
{
	static const struct control {
		enum brute_mode mode;
		enum brute_names_rules rules;
		enum brute_feature feature;
	} controls[] = {
		{ BRUTE_ORDERED, BRUTE_NAMES_NO_LOG_ORDER, BRUTE_PLAIN },
		{ BRUTE_ORDERED, BRUTE_NAMES_APPENDS_IN_LOG, BRUTE_PLAIN },
		{ BRUTE_ORDERED, BRUTE_NAMES_APPENDS_WITHOUT_LOG, BRUTE_PLAIN },
		{ BRUTE_ORDERED, BRUTE_NAMES_FSYNC_COMMITS_ALL, BRUTE_PLAIN },
		{ BRUTE_ORDERED, BRUTE_NAMES_FSYNC_IGNORES_WRITES, BRUTE_PLAIN },
		{ BRUTE_ORDERED, BRUTE_NAMES_FDATASYNC_IS_FSYNC, BRUTE_PLAIN },
		{ BRUTE_STRICT, BRUTE_NAMES_STRICT_FSYNC_COVERS_NAME, BRUTE_PLAIN },
		{ BRUTE_STRICT, BRUTE_NAMES_STRICT_DIRECTORY_IS_ORDERED, BRUTE_PLAIN },
		{ BRUTE_STRICT, BRUTE_NAMES_STRICT_RENAME_NEEDS_BOTH, BRUTE_PLAIN },
		{ BRUTE_ORDERED, BRUTE_NAMES_NO_DA_ALLOC, BRUTE_DA_ALLOC },
		{ BRUTE_ORDERED, BRUTE_NAMES_MIXED_WEAKER_OF_TWO, BRUTE_MODES },
		{ BRUTE_ORDERED, BRUTE_NAMES_MIXED_LINK_OF_DIRECTORY, BRUTE_MODES },
		{ BRUTE_ORDERED, BRUTE_NAMES_RIGHT, BRUTE_SECTORS_TEAR },
	};

	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {
		bool noticed = false;

		for (uint64_t seed = 0; seed < CONTROL_TRACES * 10 && !noticed; seed++)
			noticed = compare(seed, controls[i].mode, controls[i].rules, controls[i].feature,
					  false) > 0;
		if (!noticed)
			fail_msg("wrong rule %zu was not noticed", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_listed_states_of_random_traces_are_those_of_the_interpreters),
		cmocka_unit_test(the_states_with_auto_da_alloc_are_those_of_the_interpreters),
		cmocka_unit_test(the_states_with_modes_of_directories_are_those_of_the_interpreters),
		cmocka_unit_test(the_states_of_files_in_sectors_are_those_of_the_interpreters),
		cmocka_unit_test(a_wrong_rule_of_names_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
