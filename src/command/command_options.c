/* SPDX-License-Identifier: BSD-3-Clause */
#include "command/command_options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "command/suggest.h"
#include "common/vector.h"

#define FIRST_LONG 256 /* The value that getopt_long() returns for the first option, above all letters. */

/* Both tables as one list. */
struct table {
	const struct command_line *parse;
	struct {
		VECTOR_FIELDS(struct option);
	} getopt;
	struct {
		VECTOR_FIELDS(const struct command_option *);
	} options;
	char letters[64];
};

static int table_fill(struct table *table)
{
	char *letter = table->letters;

	/* ':' has a missing value reported as such; '+' stops at the first argument. */
	if (table->parse->to_first)
		*letter++ = '+';
	*letter++ = ':';
	for (int i = 0; i < 2; i++) {
		for (const struct command_option *option = table->parse->options[i]; option && option->name;
		     option++) {
			const struct option row = {
				.name = option->name,
				.has_arg = option->value ? required_argument : no_argument,
				.val = FIRST_LONG + (int)table->options.count,
			};

			if (vector_append(&table->getopt, row) < 0 ||
			    vector_append(&table->options, option) < 0)
				return -1;
			if (!option->letter)
				continue;
			*letter++ = option->letter;
			if (option->value)
				*letter++ = ':';
		}
	}
	return vector_append(&table->getopt, (struct option){ 0 });
}

static void table_free(struct table *table)
{
	vector_free(&table->getopt);
	vector_free(&table->options);
}

static const struct command_option *find_option(const struct table *table, int id)
{
	if (id >= FIRST_LONG)
		return table->options.items[id - FIRST_LONG];
	for (size_t i = 0; i < table->options.count; i++)
		if (id && table->options.items[i]->letter == id)
			return table->options.items[i];
	return NULL;
}

/* The structure of values of the option's table. */
static void *values_of(const struct table *table, const struct command_option *option)
{
	for (const struct command_option *row = table->parse->options[0]; row->name; row++)
		if (row == option)
			return table->parse->values[0];
	return table->parse->values[1];
}

char *command_choices_text(const char *choices, char *text, size_t size)
{
	size_t used = 0;

	*text = '\0';
	while (*choices && used < size) {
		size_t length = strcspn(choices, " ");
		const char *rest = choices + length + (choices[length] == ' ');
		const char *before = !used ? "" : *rest ? ", " : " or ";

		used += (size_t)snprintf(text + used, size - used, "%s%.*s", before, (int)length, choices);
		choices = rest;
	}
	return text;
}

static bool is_choice(const char *choices, const char *value)
{
	while (*choices) {
		size_t length = strcspn(choices, " ");

		if (strlen(value) == length && strncmp(choices, value, length) == 0)
			return true;
		choices += length + (choices[length] == ' ');
	}
	return false;
}

const char *command_word(const char *word, char *text)
{
	static const char more[] = "...";
	const size_t most = COMMAND_WORD_BYTES - sizeof(more) - 4;
	size_t used = 0;

	for (; *word && used < most; word++) {
		if ((unsigned char)*word < ' ' || *word == 0x7f)
			used += (size_t)sprintf(text + used, "\\%03o", (unsigned char)*word);
		else
			text[used++] = *word;
	}
	strcpy(text + used, *word ? more : "");
	return text;
}

static int reject(const struct table *table, const struct command_option *option, const char *reason)
{
	char word[COMMAND_WORD_BYTES];

	if (option->value)
		fprintf(stderr, "%s: --%s '%s': %s\n", table->parse->command, option->name,
			command_word(optarg, word), reason);
	else
		fprintf(stderr, "%s: --%s: %s\n", table->parse->command, option->name, reason);
	return -1;
}

static int report_missing(const struct table *table, const struct command_option *option)
{
	fprintf(stderr, "%s: --%s needs a value: %s\n", table->parse->command, option->name, option->value);
	return -1;
}

static int set_value(const struct table *table, const struct command_option *option)
{
	const char *reason = "";
	char text[256] = "give ";

	if (option->value && !*optarg && !option->may_be_empty)
		return report_missing(table, option);
	if (option->choices && !is_choice(option->choices, optarg)) {
		command_choices_text(option->choices, text + strlen(text), sizeof(text) - strlen(text));
		return reject(table, option, text);
	}
	if (option->set)
		return option->set(values_of(table, option), option->value ? optarg : NULL, &reason) < 0 ?
			       reject(table, option, reason) :
			       0;
	if (option->value)
		*(const char **)((char *)values_of(table, option) + option->offset) = optarg;
	else
		*(bool *)((char *)values_of(table, option) + option->offset) = true;
	return 0;
}

/* The name of a long option that getopt does not know, without dashes and value. */
static void report_unknown(const struct table *table, const char *word)
{
	const char *command = table->parse->command, *similar = NULL;
	struct suggestion suggestion = { 0 };
	char name[64], printable[COMMAND_WORD_BYTES];

	if (optopt >= FIRST_LONG) {
		fprintf(stderr, "%s: --%s takes no value\n", command, find_option(table, optopt)->name);
		return;
	}
	/* In a group such as -xv, only getopt knows which letter is unknown. */
	if (optopt) {
		const char letter[] = { (char)optopt, '\0' };

		fprintf(stderr, "%s: unknown option -%s: see '%s --help'\n", command,
			command_word(letter, printable), command);
		return;
	}
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	suggestion.word = name;
	for (size_t i = 0; i < table->options.count; i++)
		suggest(&suggestion, table->options.items[i]->name);
	similar = suggestion.best;
	if (similar)
		fprintf(stderr, "%s: unknown option --%s: did you mean --%s?\n", command,
			command_word(name, printable), similar);
	else
		fprintf(stderr, "%s: unknown option --%s: see '%s --help'\n", command,
			command_word(name, printable), command);
}

static int parse_all(struct table *table, int argc, char **argv)
{
	int id;

	optind = 0; /* glibc: restart the scan */
	opterr = 0;
	while ((id = getopt_long(argc, argv, table->letters, table->getopt.items, NULL)) != -1) {
		const struct command_option *option;

		if (id == ':')
			return report_missing(table, find_option(table, optopt));
		option = id == '?' ? NULL : find_option(table, id);
		if (!option) {
			report_unknown(table, argv[optind - 1]);
			return -1;
		}
		if (set_value(table, option) < 0)
			return -1;
	}
	return optind;
}

int command_parse(const struct command_line *parse, int argc, char **argv)
{
	struct table table = { .parse = parse };
	int result = -1;

	if (table_fill(&table) < 0)
		fprintf(stderr, "%s: out of memory\n", parse->command);
	else
		result = parse_all(&table, argc, argv);
	table_free(&table);
	return result;
}

void command_print_options(const struct command_option *options)
{
	for (; options->name; options++) {
		const char *value = options->value ? options->value : "";
		char letter[8] = "", text[64];

		if (!options->help)
			continue;
		if (options->letter)
			snprintf(letter, sizeof(letter), "-%c, ", options->letter);
		snprintf(text, sizeof(text), "%s--%s%s%s", letter, options->name, *value ? " " : "", value);
		printf("  %-20s  %s\n", text, options->help);
	}
}
