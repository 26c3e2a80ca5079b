/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The litmus tests in tests/data/litmus: each file is a trace in the text form, with the outcomes that
 * are allowed and forbidden as comments. A brute-force interpreter, written from the model's rules alone,
 * computes the set of reachable outcomes and compares.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/text_form.h"

#define VARIABLES 3
#define STORES 8
#define OUTCOMES 64

/* An outcome is the value of each variable, 2 bits each. */
struct litmus {
	bool eadr;
	unsigned variables;
	char names[VARIABLES][8];
	uint64_t offsets[VARIABLES];
	bool allowed[OUTCOMES], forbidden[OUTCOMES], reached[OUTCOMES];
};

/* A store of one aligned word, or one word of a wider store: those have the same number. */
struct word {
	uint64_t offset, value;
	unsigned number, thread;
	bool nontemporal;
	bool guaranteed; /* in every state from here on */
	bool flushed;	 /* guaranteed after the next fence of `flusher` */
	unsigned flusher;
};

struct machine {
	struct word words[STORES];
	unsigned count, stores;
};

static uint64_t line_of(uint64_t offset)
{
	return offset / 64;
}

/* ---- The rules --------------------------------------------------------------------- */

static void fence(struct machine *machine, unsigned thread)
{
	for (unsigned i = 0; i < machine->count; i++)
		if (machine->words[i].flushed && machine->words[i].flusher == thread)
			machine->words[i].guaranteed = true;
}

static void flush(struct machine *machine, const struct trace_event *event)
{
	for (unsigned i = 0; i < machine->count; i++) {
		struct word *word = &machine->words[i];

		if (line_of(word->offset) != line_of(event->flush.offset))
			continue;
		if (event->op == TRACE_CLFLUSH)
			word->guaranteed = true;
		word->flushed = true;
		word->flusher = event->thread;
	}
}

static void store(struct machine *machine, const struct trace_event *event)
{
	for (uint32_t at = 0; at < event->store.bytes.length; at += 8) {
		struct word *word = &machine->words[machine->count++];

		assert_in_range(machine->count, 1, STORES);
		*word = (struct word){ .offset = event->store.offset + at,
				       .number = machine->stores,
				       .thread = event->thread,
				       .nontemporal = event->flags & TRACE_NONTEMPORAL };
		memcpy(&word->value, event->store.bytes.at + at, 8);
		word->flushed = word->nontemporal;
		word->flusher = event->thread;
	}
	machine->stores++;
}

/* Is the set of durable words (a bit each) legal? */
static bool set_legal(const struct litmus *litmus, const struct machine *machine, unsigned set)
{
	for (unsigned i = 0; i < machine->count; i++) {
		const struct word *word = &machine->words[i];

		if (set >> i & 1)
			continue;
		if (word->guaranteed || (litmus->eadr && !word->nontemporal))
			return false;
		/* It is missing: then so is what was stored to its line after it. */
		for (unsigned j = i + 1; j < machine->count; j++)
			if (set >> j & 1 && machine->words[j].number > word->number &&
			    line_of(machine->words[j].offset) == line_of(word->offset))
				return false;
	}
	return true;
}

static unsigned outcome_of(const struct litmus *litmus, const struct machine *machine, unsigned set)
{
	unsigned outcome = 0;

	for (unsigned v = 0; v < litmus->variables; v++) {
		uint64_t value = 0;

		for (unsigned i = 0; i < machine->count; i++)
			if (set >> i & 1 && machine->words[i].offset == litmus->offsets[v])
				value = machine->words[i].value;
		outcome |= (unsigned)value << (2 * v);
	}
	return outcome;
}

/* Power fails here: note every state. */
static void crash(struct litmus *litmus, const struct machine *machine)
{
	for (unsigned set = 0; set < 1u << machine->count; set++)
		if (set_legal(litmus, machine, set))
			litmus->reached[outcome_of(litmus, machine, set)] = true;
}

static void step(struct machine *machine, const struct trace_event *event)
{
	if (event->kind == TRACE_FENCE || (event->kind == TRACE_STORE && event->flags & TRACE_LOCKED))
		fence(machine, event->thread);
	if (event->kind == TRACE_STORE)
		store(machine, event);
	if (event->kind == TRACE_FLUSH)
		flush(machine, event);
}

/* ---- The files ---------------------------------------------------------------------- */

static unsigned outcome_in(const struct litmus *litmus, char *words)
{
	unsigned outcome = 0, found = 0;

	for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
		char name[8];
		unsigned value;

		assert_int_equal(sscanf(word, "%7[^=]=%u", name, &value), 2);
		assert_in_range(value, 0, 3);
		for (unsigned v = 0; v < litmus->variables; v++) {
			if (strcmp(litmus->names[v], name) != 0)
				continue;
			outcome |= value << (2 * v);
			found++;
		}
	}
	assert_int_equal(found, litmus->variables);
	return outcome;
}

static void read_comment(struct litmus *litmus, char *line)
{
	char name[8];
	unsigned long offset;

	line[strcspn(line, "\n")] = 0;
	if (sscanf(line, "# var %7s 1+%lx", name, &offset) == 2) {
		assert_in_range(litmus->variables, 0, VARIABLES - 1);
		strcpy(litmus->names[litmus->variables], name);
		litmus->offsets[litmus->variables++] = offset;
	} else if (strncmp(line, "# allowed ", 10) == 0) {
		litmus->allowed[outcome_in(litmus, line + 10)] = true;
	} else if (strncmp(line, "# forbidden ", 12) == 0) {
		litmus->forbidden[outcome_in(litmus, line + 12)] = true;
	} else if (strcmp(line, "# domain cpu_cache") == 0) {
		litmus->eadr = true;
	}
}

static void run(struct litmus *litmus, const char *path)
{
	char line[256];
	FILE *in = fopen(path, "r");
	struct machine machine = { 0 };
	struct trace_text *text;
	struct trace_event event;
	struct message message = { "" };
	int result;

	assert_non_null(in);
	while (fgets(line, sizeof(line), in))
		read_comment(litmus, line);
	rewind(in);
	assert_int_equal(trace_text_create(in, path, &text, &message), 0);
	crash(litmus, &machine);
	while ((result = trace_text_next(text, &event, &message)) == 1) {
		step(&machine, &event);
		crash(litmus, &machine);
	}
	if (result < 0)
		fail_msg("%s", message.text);
	trace_text_destroy(text);
	fclose(in);
}

static bool matches(const struct litmus *litmus)
{
	for (unsigned outcome = 0; outcome < OUTCOMES; outcome++)
		if (litmus->allowed[outcome] != litmus->reached[outcome] ||
		    (litmus->forbidden[outcome] && litmus->reached[outcome]))
			return false;
	return true;
}

static int is_text(const struct dirent *entry)
{
	return strstr(entry->d_name, ".txt") != NULL;
}

static const char *path_of(const char *name)
{
	static char path[8192];

	snprintf(path, sizeof(path), "%s/tests/data/litmus/%s", getenv("abs_top_srcdir"), name);
	return path;
}

static void test_the_outcomes_of_each_litmus_test_are_those_of_the_model(void **state)
{
	struct dirent **names;
	int count = scandir(path_of(""), &names, is_text, alphasort);

	assert_in_range(count, 23, 100);
	for (int i = 0; i < count; i++) {
		struct litmus litmus = { 0 };

		run(&litmus, path_of(names[i]->d_name));
		assert_in_range(litmus.variables, 2, VARIABLES);
		if (!matches(&litmus))
			fail_msg("%s: the model reaches other outcomes", names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

static void test_outcomes_of_another_model_are_noticed(void **state)
{
	struct litmus eadr = { .eadr = true }, fewer = { 0 };

	run(&eadr, path_of("no-order.txt"));
	assert_false(matches(&eadr));
	run(&fewer, path_of("clwb-sfence.txt"));
	assert_true(matches(&fewer));
	fewer.allowed[0] = false;
	assert_false(matches(&fewer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_outcomes_of_each_litmus_test_are_those_of_the_model),
		cmocka_unit_test(test_outcomes_of_another_model_are_noticed),
	};

	return cmocka_run_group_tests_name("trace_litmus", tests, NULL, NULL);
}
