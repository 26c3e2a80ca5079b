/* SPDX-License-Identifier: BSD-3-Clause */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "command/standard_files.h"
#include "command/suggest.h"
#include "common/cleanup.h"

/* In the order of the help: the verbs that a newcomer needs come first. */
static const struct cli_verb *const verbs[] = {
	&cli_run,     &cli_stat,      &cli_status,    &cli_list,      &cli_create, &cli_destroy,
	&cli_rename,  &cli_resize,    &cli_path,      &cli_powerfail, &cli_mark,   &cli_record,
	&cli_explore, &cli_report,    &cli_torture,   &cli_trace,     &cli_format, &cli_regions,
	&cli_check,   &cli_sync,      &cli_snapshot,  &cli_restore,   &cli_stop,
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

/* Options of all verbs, which may be given before or after the verb. */
struct common_options {
	const char *socket;
	bool verbose, help, version;
};

static const struct command_option common[] = {
	COMMAND_VALUE(struct common_options, socket, "socket", "PATH", "the daemon's socket"),
	{ .name = "verbose", .letter = 'v', .offset = offsetof(struct common_options, verbose),
	  .help = "print more" },
	{ .name = "help", .letter = 'h', .offset = offsetof(struct common_options, help),
	  .help = "print this help" },
	{ .name = NULL },
};
static const struct command_option version_only[] = {
	{ .name = "version", .letter = 'V', .offset = offsetof(struct common_options, version),
	  .help = "print the version" },
	{ .name = NULL },
};

static void print_help(void)
{
	puts("Usage: softpmem [--socket PATH] VERB [OPTION]... [ARGUMENT]... See softpmem(1).");
	for (size_t i = 0; i < VERBS; i++)
		printf("  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
}

static void print_verb_help(const struct cli_verb *verb)
{
	printf("Usage: softpmem %s [OPTION]...%s%s\n%s.\n\n", verb->name, *verb->arguments ? " " : "",
	       verb->arguments, verb->summary);
	if (verb->details)
		printf("%s\n", verb->details);
	command_print_options(verb->options);
	command_print_options(common);
	printf("\nSee softpmem-%s(1).\n", verb->name);
}

static const struct cli_verb *find_verb(const char *name)
{
	struct suggestion suggestion = { .word = name };
	char word[COMMAND_WORD_BYTES];

	for (size_t i = 0; i < VERBS; i++) {
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
		suggest(&suggestion, verbs[i]->name);
	}
	if (suggestion.best)
		fprintf(stderr, "softpmem: unknown command '%s': did you mean '%s'?\n",
			command_word(name, word), suggestion.best);
	else
		fprintf(stderr, "softpmem: unknown command '%s': see 'softpmem --help'\n",
			command_word(name, word));
	return NULL;
}

static int set_common(struct cli *cli, const struct common_options *options)
{
	cli->verbose |= options->verbose;
	if (!options->socket)
		return CLI_OK;
	free(cli->socket);
	cli->socket = strdup(options->socket);
	return cli->socket ? CLI_OK : cli_fail(cli, "out of memory");
}

static int run_verb(struct cli *cli, int argc, char **argv)
{
	const struct cli_verb *verb = cli->verb;
	struct common_options options = { 0 };
	CLEANUP_FREE void *values = calloc(1, verb->options_bytes + 1);
	char command[64];
	const struct command_line parse = {
		.command = command,
		.options = { verb->options, common },
		.values = { values, &options },
		.to_first = verb->most == INT_MAX,
	};
	int first, count;

	if (!values)
		return cli_fail(cli, "out of memory");
	snprintf(command, sizeof(command), "softpmem %s", verb->name);
	first = command_parse(&parse, argc, argv);
	if (first < 0)
		return CLI_USAGE;
	if (options.help) {
		print_verb_help(verb);
		return CLI_OK;
	}
	count = argc - first;
	if (count < verb->least || count > verb->most)
		return cli_usage(cli, "%s: usage: softpmem %s [OPTION]...%s%s",
				 count < verb->least ? "an argument is missing" : "too many arguments",
				 verb->name, *verb->arguments ? " " : "", verb->arguments);
	/* The other arguments of a program that is run may be empty. */
	for (int i = first; i < argc && (!parse.to_first || i == first); i++)
		if (!*argv[i])
			return cli_usage(cli, "an argument is empty: usage: softpmem %s [OPTION]... %s",
					 verb->name, verb->arguments);
	if (set_common(cli, &options) != CLI_OK)
		return CLI_FAILED;
	cli->argument = argv[first];
	cli->arguments = argv + first;
	return verb->run(cli, values);
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct common_options options = { 0 };
	const struct command_line parse = {
		.command = "softpmem",
		.options = { common, version_only },
		.values = { &options, &options },
		.to_first = true,
	};
	int first = command_parse(&parse, argc, argv);

	if (first < 0)
		return CLI_USAGE;
	if (options.version) {
		puts("softpmem " PACKAGE_VERSION);
		return CLI_OK;
	}
	if (options.help) {
		print_help();
		return CLI_OK;
	}
	if (first == argc) {
		fputs("softpmem: a command is missing: see 'softpmem --help'\n", stderr);
		return CLI_USAGE;
	}
	if (set_common(cli, &options) != CLI_OK)
		return CLI_FAILED;
	cli->verb = find_verb(argv[first]);
	return cli->verb ? run_verb(cli, argc - first, argv + first) : CLI_USAGE;
}

static void ignore(int signal)
{
	(void)signal;
}

int main(int argc, char **argv)
{
	struct cli cli = { 0 };
	int status;

	if (standard_files_reserve() < 0)
		return CLI_FAILED;
	/* write(2) at the limit of file sizes fails then. Programs that are executed get the default. */
	signal(SIGXFSZ, ignore);
	status = run(&cli, argc, argv);
	if (standard_output_finish() < 0)
		status = cli_fail(&cli, "standard output: cannot write all of it");
	free(cli.socket);
	return status;
}
