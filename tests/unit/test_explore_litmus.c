/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The explorer lists exactly the outcomes that the litmus tests allow (tests/data/litmus), so that what
 * a checker gets to see is the model's set of states, neither more nor less.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "explore/input.h"
#include "explore/list.h"

#define VARIABLES 3
#define OUTCOMES 64

struct litmus {
	struct explore_walk_options options;
	unsigned variables;
	char names[VARIABLES][8];
	unsigned long offsets[VARIABLES];
	bool allowed[OUTCOMES];
};

static unsigned outcome_of_words(const struct litmus *litmus, const char *words)
{
	unsigned outcome = 0;

	for (unsigned v = 0; v < litmus->variables; v++) {
		char key[16];
		const char *at;

		snprintf(key, sizeof(key), "%s=", litmus->names[v]);
		at = strstr(words, key);
		assert_non_null(at);
		outcome |= (unsigned)atoi(at + strlen(key)) << (2 * v);
	}
	return outcome;
}

static void read_comments(struct litmus *litmus, const char *path)
{
	FILE *in = fopen(path, "r");
	char line[256];

	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		if (sscanf(line, "# var %7s 1+%lx", litmus->names[litmus->variables],
			   &litmus->offsets[litmus->variables]) == 2)
			litmus->variables++;
		else if (strncmp(line, "# allowed ", 10) == 0)
			litmus->allowed[outcome_of_words(litmus, line + 10)] = true;
		else if (strcmp(line, "# domain cpu_cache\n") == 0)
			litmus->options.domain = PERSISTENCE_CPU_CACHE;
	}
	fclose(in);
	assert_true(litmus->variables > 0);
}

/* The outcome that a listed state is. */
static unsigned outcome_of_state(const struct litmus *litmus, const char *state)
{
	unsigned outcome = 0;

	for (unsigned v = 0; v < litmus->variables; v++) {
		char key[32];
		const char *at;

		snprintf(key, sizeof(key), " 0x%lx=", litmus->offsets[v]);
		at = strstr(state, key);
		if (at)
			outcome |= (unsigned)atoi(at + strlen(key)) << (2 * v);
	}
	return outcome;
}

/* The states as bits of outcomes. */
static void list(const struct litmus *litmus, const char *path, bool *reached)
{
	struct message message = { "" };
	char *text = NULL, *save = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int fd;

	assert_non_null(out);
	assert_int_equal(explore_input_open(path, &fd, &message), 0);
	if (explore_list_states(fd, path, &litmus->options, 1000, out, &message) != 0)
		fail_msg("%s", message.text);
	fclose(out);
	close(fd);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		reached[outcome_of_state(litmus, line)] = true;
	free(text);
}

static void the_listed_states_are_exactly_the_allowed_outcomes(void **state)
{
	const char *source = getenv("abs_top_srcdir");
	char directory[4096];
	struct dirent *entry;
	unsigned files = 0;
	DIR *all;

	snprintf(directory, sizeof(directory), "%s/tests/data/litmus", source ? source : ".");
	all = opendir(directory);
	assert_non_null(all);
	while ((entry = readdir(all))) {
		struct litmus litmus = { .variables = 0 };
		bool reached[OUTCOMES] = { false };
		char path[8192];

		if (!strstr(entry->d_name, ".txt"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		read_comments(&litmus, path);
		list(&litmus, path, reached);
		for (unsigned outcome = 0; outcome < OUTCOMES; outcome++)
			if (reached[outcome] != litmus.allowed[outcome])
				fail_msg("%s: outcome %u: reached %d, allowed %d", entry->d_name, outcome,
					 reached[outcome], litmus.allowed[outcome]);
		files++;
	}
	closedir(all);
	/* All rows of the table of litmus tests. */
	assert_true(files >= 23);
}

/* Negative control: under eADR a test that expects stores to be lost does not agree. */
static void another_persistence_domain_has_other_states(void **state)
{
	const char *source = getenv("abs_top_srcdir");
	struct litmus litmus = { .variables = 0 };
	bool adr[OUTCOMES] = { false }, eadr[OUTCOMES] = { false };
	char path[4096];

	snprintf(path, sizeof(path), "%s/tests/data/litmus/no-order.txt", source ? source : ".");
	read_comments(&litmus, path);
	list(&litmus, path, adr);
	litmus.options.domain = PERSISTENCE_CPU_CACHE;
	list(&litmus, path, eadr);
	assert_memory_not_equal(adr, eadr, sizeof(adr));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_listed_states_are_exactly_the_allowed_outcomes),
		cmocka_unit_test(another_persistence_domain_has_other_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
