/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/cleanup.h"
#include "wire/frame.h"
#include "wire/socketpath.h"
#include "wire/text.h"

static const char help_head[] = "Usage: softpmem [--socket PATH] [--verbose] VERB [OPTION]... [ARGUMENT]\n"
				"Talk to softpmemd, the software NVDIMM.\n"
				"\n";
static const char help_foot[] =
	"\n"
	"The daemon is found at --socket, else at $SOFTPMEM_SOCKET.\n"
	"'softpmem VERB --help' tells a verb's options; softpmem-VERB(1) says more.\n";

/* What stands for a value in a verb's usage. */
static const struct {
	const char *word;
	const char *what;
} placeholders[] = {
	{ "SIZE", "bytes, or 64M, 16G" },
	{ "MODE", "fsdax, sector or sector:512: how file writes tear" },
	{ "OCTAL", "permissions, such as 0640" },
	{ "PATH", "of a pool, from the root of the tree: /db/wal" },
	{ "POLICY", "what becomes of lines not yet durable: lose (default), keep or random" },
	{ " N", "the seed of --policy random: the same state and seed leave the same bytes" },
	{ "PROGRAM", "found as a shell finds it; its exit status is ours" },
	{ "--through", "a fence waits until the media has what was flushed" },
	{ "--follow", "again and again: a view of it in a terminal, else a line each time" },
	{ "SECONDS", "between two looks, 1 if it is not said" },
	{ "--dirty", "also compare pools with their media: lines that are not durable now" },
	{ "SWITCH", "on or off: count flushed lines that the media had already, which slows drains" },
	{ "TEXT", "what a person is to read" },
	{ "RANGE", "memory to be tested, START+SIZE or a region; what is in it is lost" },
	{ "REGION", "its name, as list -R shows it; PATH is then one of its own" },
	{ "--regions", "(-R) the regions themselves" },
	{ "SPEC", "a region: file:PATH[,SIZE], devmem:START+SIZE, dax:, ndctl: or auto" },
};

#define PATHS_MAX 1024

/* The usage is also the list of the options that a verb takes. */
static const struct verb {
	const char *name;
	const char *usage;
	const char *what;
	cli_verb_fn *run;
	int least, most; /* arguments; INT_MAX: a program's, which may look like options of ours */
} verbs[] = {
	{ "run", "[--through] [--] PROGRAM [ARGUMENT]...", "Run a program that maps pools through libpmem",
	  cli_run, 1, INT_MAX },
	{ "stat",
	  "[--follow] [--interval SECONDS] [--json] [--dirty] [--clean SWITCH] [--region REGION] [PATH]...",
	  "Count what programs persist, by pool and by process", cli_stat, 0, PATHS_MAX },
	{ "status", "[--json]", "Tell what the daemon serves", cli_status, 0, 0 },
	{ "list", "[--json] [--region REGION] [--regions] [PATH]", "List pools and directories, or regions",
	  cli_list, 0, 1 },
	{ "create",
	  "[--size SIZE] [--mode MODE] [--directory] [--perm OCTAL] [--parents] [--region REGION] PATH",
	  "Make a pool, all of SIZE reserved, or a directory", cli_create, 1, 1 },
	{ "destroy", "[--recursive] [--region REGION] PATH", "Remove a pool or directory",
	  cli_destroy, 1, 1 },
	{ "path", "[--region REGION] PATH", "Tell where a pool is to be opened", cli_path, 1, 1 },
	{ "powerfail", "[--policy POLICY] [--seed N] [--json]", "Let the power fail", cli_powerfail, 0, 0 },
	{ "mark", "TEXT", "Name this moment in the daemon's log", cli_mark, 1, 1 },
	{ "format", "[--label TEXT] [--mode MODE] [--force] SPEC",
	  "Lay an empty tree on a region nobody serves", cli_format, 1, 1 },
	{ "regions", "[--json] [-v] [--test RANGE [--force]]",
	  "Show what memory can be a region, and what cannot and why", cli_regions, 0, 0 },
	{ "check", "[--json] [--region REGION] [SPEC]", "Find damage: in SPEC, or in what the daemon serves",
	  cli_check, 0, 1 },
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

/* ---- The context --------------------------------------------------------------------- */

int cli_fail(struct cli *cli, const char *text)
{
	CLEANUP_FREE char *printable = text_printable(text);

	if (cli->holds) {
		free(cli->held);
		cli->held = strdup(text);
		return CLI_FAILED;
	}
	output_progress_end(&cli->progress);
	fflush(stdout);
	fprintf(stderr, "softpmem: %s\n", printable ? printable : "out of memory");
	return CLI_FAILED;
}

int cli_wrong(const char *option, const char *value, const char *way_out)
{
	fprintf(stderr, "softpmem: --%s: '%s' will not do: %s\n", option, value, way_out);
	return CLI_WRONG_WORDS;
}

int cli_parse_mode(struct cli *cli, enum pool_mode *mode)
{
	if (!cli->mode || pool_mode_parse(cli->mode, mode) == 0)
		return 0;
	cli_wrong("mode", cli->mode, "give fsdax, sector or sector:512");
	return -EINVAL;
}

struct asking {
	struct cli *cli;
	void (*item)(void *context, struct json_object *item);
	void *item_context;
};

static void hand_item(void *context, struct json_object *item)
{
	struct asking *asking = context;

	if (asking->item)
		asking->item(asking->item_context, item);
}

static void hand_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	struct asking *asking = context;

	output_progress(&asking->cli->progress, what, done, total);
}

int cli_ask(struct cli *cli, const struct request *request, void (*item)(void *, struct json_object *),
	    void *item_context, struct json_object **result)
{
	struct asking asking = { .cli = cli, .item = item, .item_context = item_context };
	struct client_answer answer = { .item = hand_item, .progress = hand_progress, .context = &asking };
	struct message message = { "" };
	struct client *client;
	int error = cli->socket ? 0 : socketpath_default(&cli->socket, &message);

	*result = NULL;
	if (!error)
		error = client_connect(cli->socket, &client, &message);
	if (error)
		return cli_fail(cli, message.text);
	if (!cli->holds)
		output_progress_start(&cli->progress, cli->verbose);
	error = client_ask(client, request, &answer, result, &message);
	output_progress_end(&cli->progress);
	client_close(client);
	if (error)
		return cli_fail(cli, message.text);
	if (!*result)
		*result = json_object_new_object();
	return *result ? CLI_OK : cli_fail(cli, "out of memory");
}

/* ---- The command line ----------------------------------------------------------------- */

/* Options of verbs: where their value goes, a const char * or a bool. */
static const struct {
	const char *name;
	size_t offset;
} values[] = {
	{ "json", offsetof(struct cli, json) },	      { "directory", offsetof(struct cli, directory) },
	{ "parents", offsetof(struct cli, parents) }, { "recursive", offsetof(struct cli, recursive) },
	{ "force", offsetof(struct cli, force) },     { "size", offsetof(struct cli, size) },
	{ "mode", offsetof(struct cli, mode) },	      { "perm", offsetof(struct cli, perm) },
	{ "policy", offsetof(struct cli, policy) },   { "seed", offsetof(struct cli, seed) },
	{ "label", offsetof(struct cli, label) },	      { "through", offsetof(struct cli, through) },
	{ "test", offsetof(struct cli, test) },
	{ "follow", offsetof(struct cli, follow) },	      { "dirty", offsetof(struct cli, dirty) },
	{ "interval", offsetof(struct cli, interval) },     { "clean", offsetof(struct cli, clean) },
	{ "region", offsetof(struct cli, region) },   { "regions", offsetof(struct cli, regions) },
};
#define FIRST_VALUE 256 /* getopt's number of values[0] */
#define REGIONS_VALUE (FIRST_VALUE + 18) /* -R */

static const struct option long_options[] = {
	{ "json", no_argument, NULL, FIRST_VALUE },
	{ "directory", no_argument, NULL, FIRST_VALUE + 1 },
	{ "parents", no_argument, NULL, FIRST_VALUE + 2 },
	{ "recursive", no_argument, NULL, FIRST_VALUE + 3 },
	{ "force", no_argument, NULL, FIRST_VALUE + 4 },
	{ "size", required_argument, NULL, FIRST_VALUE + 5 },
	{ "mode", required_argument, NULL, FIRST_VALUE + 6 },
	{ "perm", required_argument, NULL, FIRST_VALUE + 7 },
	{ "policy", required_argument, NULL, FIRST_VALUE + 8 },
	{ "seed", required_argument, NULL, FIRST_VALUE + 9 },
	{ "label", required_argument, NULL, FIRST_VALUE + 10 },
	{ "through", no_argument, NULL, FIRST_VALUE + 11 },
	{ "test", required_argument, NULL, FIRST_VALUE + 12 },
	{ "follow", no_argument, NULL, FIRST_VALUE + 13 },
	{ "dirty", no_argument, NULL, FIRST_VALUE + 14 },
	{ "interval", required_argument, NULL, FIRST_VALUE + 15 },
	{ "clean", required_argument, NULL, FIRST_VALUE + 16 },
	{ "region", required_argument, NULL, FIRST_VALUE + 17 },
	{ "regions", no_argument, NULL, FIRST_VALUE + 18 },
	{ "socket", required_argument, NULL, 's' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void print_verb_help(const struct verb *verb)
{
	printf("Usage: softpmem %s %s\n%s.\n\n", verb->name, verb->usage, verb->what);
	for (size_t i = 0; i < sizeof(placeholders) / sizeof(placeholders[0]); i++)
		if (strstr(verb->usage, placeholders[i].word))
			printf("  %-9s %s\n", placeholders[i].word + (placeholders[i].word[0] == ' '),
			       placeholders[i].what);
	printf("See softpmem-%s(1).\n", verb->name);
}

static void print_help(const struct verb *verb)
{
	if (verb) {
		print_verb_help(verb);
		return;
	}
	fputs(help_head, stdout);
	for (size_t i = 0; i < VERBS; i++)
		printf("  %-10s %s\n", verbs[i].name, verbs[i].what);
	fputs(help_foot, stdout);
}

static bool verb_takes(const struct verb *verb, const char *option)
{
	char bracket[32];
	const char *found;

	snprintf(bracket, sizeof(bracket), "[--%s", option);
	found = verb ? strstr(verb->usage, bracket) : NULL;
	return found && strchr(" ]", found[strlen(bracket)]);
}

static int set_value(struct cli *cli, const struct verb *verb, int index)
{
	char *at = (char *)cli + values[index].offset;

	if (!verb_takes(verb, values[index].name)) {
		fprintf(stderr, "softpmem: --%s: %s does not take it: see softpmem --help\n",
			values[index].name, verb ? verb->name : "what comes before the verb");
		return CLI_WRONG_WORDS;
	}
	if (long_options[index].has_arg == required_argument)
		*(const char **)at = optarg;
	else
		*(bool *)at = true;
	return -1;
}

/*
 * Options of softpmem itself (verb is NULL: up to the first argument) or of a
 * verb. -1 to go on, else the exit status.
 */
static int parse(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
	const bool to_first = !verb || verb->most == INT_MAX;
	const char *letters = !verb ? "+vVh" : to_first ? "+vh" : "vhR";
	int id;

	optind = 0; /* glibc: begin anew */
	while ((id = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		int status = -1;

		if (id == 'R')
			id = REGIONS_VALUE;
		if (id >= FIRST_VALUE) {
			status = set_value(cli, verb, id - FIRST_VALUE);
		} else if (id == 's') {
			free(cli->socket);
			cli->socket = strdup(optarg);
		} else if (id == 'v') {
			cli->verbose = true;
		} else if (id == 'V') {
			puts("softpmem " PACKAGE_VERSION);
			status = CLI_OK;
		} else if (id == 'h') {
			print_help(verb);
			status = CLI_OK;
		} else { /* getopt has said what */
			fputs("softpmem: see softpmem --help\n", stderr);
			status = CLI_WRONG_WORDS;
		}
		if (status >= 0)
			return status;
	}
	return -1;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	fprintf(stderr, "softpmem: %s: there is no such verb: see softpmem --help\n", name);
	return NULL;
}

static int run_verb(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
	int status = parse(cli, verb, argc, argv);
	int count = argc - optind;

	if (status >= 0)
		return status;
	if (count < verb->least || count > verb->most) {
		fprintf(stderr, "softpmem: %s: %s: usage: softpmem %s %s\n", verb->name,
			count < verb->least ? "an argument is missing" : "there are too many arguments",
			verb->name, verb->usage);
		return CLI_WRONG_WORDS;
	}
	cli->argument = count ? argv[optind] : NULL;
	cli->arguments = argv + optind;
	return verb->run(cli);
}

int main(int argc, char **argv)
{
	struct cli cli = { 0 };
	const struct verb *verb;
	int status = parse(&cli, NULL, argc, argv);

	if (status < 0 && optind == argc) {
		fputs("softpmem: a verb is missing: see softpmem --help\n", stderr);
		status = CLI_WRONG_WORDS;
	}
	if (status < 0) {
		int first = optind;

		verb = find_verb(argv[first]);
		status = verb ? run_verb(&cli, verb, argc - first, argv + first) : CLI_WRONG_WORDS;
	}
	if (fflush(stdout) != 0 || ferror(stdout))
		status = cli_fail(&cli, "standard output: cannot write all of it");
	free(cli.socket);
	return status;
}
