/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "cli/trace_commands.h"
#include "command/suggest.h"
#include "common/cleanup.h"
#include "trace/event_stream.h"

static const struct command_option options_table[] = {
	{ .name = "output",
	  .letter = 'o',
	  .value = "FILE",
	  .offset = offsetof(struct trace_cli_options, output),
	  .help = "dump, export, import: write there" },
	COMMAND_SWITCH(struct trace_cli_options, pmemcheck, "pmemcheck",
		       "export, import: the log of pmemcheck"),
	COMMAND_VALUE(struct trace_cli_options, images, "images", "DIRECTORY",
		      "export: write the initial image of each pool there"),
	COMMAND_SWITCH(struct trace_cli_options, no_source, "no-source",
		       "dump, stat: do not look for functions and source lines"),
	COMMAND_VALUE(struct trace_cli_options, sites, "sites", "N",
		      "stat: print at most N sites; default 20"),
	COMMAND_SWITCH(struct trace_cli_options, json, "json", "info, stat: print a JSON object"),
	COMMAND_SWITCH(struct trace_cli_options, ndjson, "ndjson",
		       "stat: print a JSON object on a line for each row"),
	{ .name = NULL },
};

static const struct trace_command {
	const char *name;
	int (*run)(struct cli *cli, const char *path, const struct trace_cli_options *options);
	const char *takes; /* its options */
} commands[] = {
	{ "info", trace_info, "json" },
	{ "dump", trace_dump, "output no-source" },
	{ "stat", trace_statistics, "json ndjson no-source sites" },
	{ "export", trace_export, "output pmemcheck images" },
	{ "import", trace_import, "output pmemcheck" },
};

static bool is_listed(const char *words, const char *word)
{
	const size_t length = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += length)
		if ((at == words || at[-1] == ' ') && (!at[length] || at[length] == ' '))
			return true;
	return false;
}

static int options_valid(const struct cli *cli, const struct trace_command *command,
			 const struct trace_cli_options *options)
{
	const struct {
		const char *name;
		bool given;
	} all[] = {
		{ "output", options->output },	     { "images", options->images },
		{ "sites", options->sites },	     { "json", options->json },
		{ "ndjson", options->ndjson },	     { "pmemcheck", options->pmemcheck },
		{ "no-source", options->no_source },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].given && !is_listed(command->takes, all[i].name))
			return cli_usage(cli, "%s does not take --%s", command->name, all[i].name);
	return CLI_OK;
}

int trace_open(struct cli *cli, const char *path, struct trace_events **events)
{
	struct message message = { "" };

	return trace_events_open(path, events, &message) < 0 ? cli_fail(cli, message.text) : CLI_OK;
}

int trace_each(struct cli *cli, struct trace_events *events,
	       int (*visit)(void *context, const struct trace_event *event, struct message *message),
	       void *context)
{
	struct trace_event event;
	struct message message = { "" };
	int result;

	while ((result = trace_events_next(events, &event, &message)) == 1) {
		result = visit(context, &event, &message);
		if (result < 0)
			break;
	}
	if (result >= 0)
		return CLI_OK;
	fflush(stdout);
	return cli_fail(cli, *message.text ? message.text : "out of memory");
}

bool trace_is_other_text(const struct trace_events *events, uint64_t good)
{
	return trace_events_are_text(events) && !good;
}

static int run_command(struct cli *cli, const struct trace_command *command,
		       const struct trace_cli_options *options)
{
	int status;

	if (!cli->arguments[1])
		return cli_usage(cli, "an argument is missing: usage: softpmem trace [OPTION]... %s",
				 cli->verb->arguments);
	status = options_valid(cli, command, options);
	return status ? status : command->run(cli, cli->arguments[1], options);
}

static int run(struct cli *cli, const void *values)
{
	const struct trace_cli_options *options = values;
	struct suggestion suggestion = { .word = cli->argument };

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, cli->argument) == 0)
			return run_command(cli, &commands[i], options);
		suggest(&suggestion, commands[i].name);
	}
	if (suggestion.best)
		return cli_usage(cli, "unknown command '%s': did you mean '%s'?", cli->argument,
				 suggestion.best);
	return cli_usage(cli, "unknown command '%s': info, dump, stat, export or import", cli->argument);
}

const struct cli_verb cli_trace = {
	.name = "trace",
	.summary = "Look into the trace of a recorded run",
	.arguments = "COMMAND TRACE",
	.details =
		"  info                  processes, threads, pools, kinds of events\n"
		"  dump                  the text form: one event a line, with source lines\n"
		"  stat                  counts, useless flushes and fences, missing ones\n"
		"  export                --pmemcheck: a log that PMDK's pmreorder reads\n"
		"  import                make a trace of a text form, or of a log\n",
	.least = 1, /* a command that is unknown is told of before a file is asked for */
	.most = 2,
	.options = options_table,
	.options_bytes = sizeof(struct trace_cli_options),
	.run = run,
};
