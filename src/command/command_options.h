/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMAND_OPTIONS_H
#define COMMAND_OPTIONS_H

/*
 * Options on a command line. A program or a verb declares its options as rows of a table, which is also
 * the source of their help, and gets the values in a structure of its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct command_option {
	const char *name;    /* "size", for --size; NULL ends the table */
	char letter;	     /* the letter 'R', for -R; 0: there is none */
	const char *value;   /* the value in the help: "SIZE"; NULL: the option takes none */
	const char *choices; /* "on off": the allowed values; NULL: any value */
	bool may_be_empty;   /* else an empty value is refused, as a missing one is */
	/* In the structure of values: of a const char * if the option takes a value, else of a bool. */
	size_t offset;
	/*
	 * Instead of the offset: put the value (NULL for a switch) into the structure. Called in the
	 * order of the command line. 0, or -1 with a reason that follows "--NAME 'VALUE': ".
	 */
	int (*set)(void *values, const char *value, const char **reason);
	const char *help; /* NULL: the help leaves the option out */
};

#define COMMAND_SWITCH(type, member, name_, help_)                                                           \
	{                                                                                                    \
		.name = (name_), .offset = offsetof(type, member), .help = (help_)                           \
	}
#define COMMAND_VALUE(type, member, name_, value_, help_)                                                    \
	{                                                                                                    \
		.name = (name_), .value = (value_), .offset = offsetof(type, member), .help = (help_)        \
	}
#define COMMAND_CHOICE(type, member, name_, value_, choices_, help_)                                         \
	{                                                                                                    \
		.name = (name_), .value = (value_), .choices = (choices_), .offset = offsetof(type, member), \
		.help = (help_)                                                                              \
	}
#define COMMAND_MODE_CHOICES "fsdax sector sector:512"

struct command_line {
	const char *command; /* "softpmem create": begins each message */
	/* Tables, each ended by a row without a name; the second may be NULL. */
	const struct command_option *options[2];
	void *values[2]; /* the structure of each table's values */
	bool to_first;	 /* stop at the first argument: options after it are arguments */
};

/*
 * Parse the options after argv[0], and move the arguments behind them. Returns the index of the first
 * argument, or -1 after printing a message. Not thread safe (getopt(3)).
 */
int command_parse(const struct command_line *parse, int argc, char **argv);

/* Print a line for each option, as help. */
void command_print_options(const struct command_option *options);

#define COMMAND_WORD_BYTES 160
/*
 * A word of a command line for a message: control characters become \ooo, and a long word ends in "...".
 * `text` has COMMAND_WORD_BYTES. Returns it.
 */
const char *command_word(const char *word, char *text);

/* "fsdax, sector or sector:512" of "fsdax sector sector:512". Returns text. */
char *command_choices_text(const char *choices, char *text, size_t size);

#endif
