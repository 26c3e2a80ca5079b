/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <stdio.h>
#include <time.h>

#include "wire/frame.h"

struct snapshot_options {
	const char *region;
	bool drop, json;
};

static const struct command_option options_table[] = {
	COMMAND_SWITCH(struct snapshot_options, drop, "drop", "drop the snapshot NAME"),
	COMMAND_VALUE(struct snapshot_options, region, "region", "REGION",
		      "of this region; PATH is one in it"),
	COMMAND_SWITCH(struct snapshot_options, json, "json", "print the list as a JSON array"),
	{ .name = NULL },
};

static void print_row(struct json_object *item)
{
	const time_t taken = (time_t)output_u64(item, "taken");
	bool whole = true;
	struct tm parts;
	char text[32];

	control_get_bool(item, "whole", &whole);
	strftime(text, sizeof(text), "%F %T", localtime_r(&taken, &parts));
	printf("%-19s %9s %-6s ", text, output_size(item, "memory"), whole ? "whole" : "lost");
	output_name(output_string(item, "region"), " ");
	output_name(output_string(item, "path"), " ");
	output_name(output_string(item, "name"), "\n");
}

static void receive_json(void *context, struct json_object *item)
{
	output_array_item(context, item);
}

static void print_header(bool *printed)
{
	if (!*printed)
		printf("%-19s %9s %-6s %s %s %s\n", "TAKEN", "MEMORY", "STATE", "REGION", "PATH", "NAME");
	*printed = true;
}

static void receive_row(void *context, struct json_object *item)
{
	print_header(context);
	print_row(item);
}

static int list(struct cli *cli, const struct snapshot_options *options)
{
	CLEANUP_JSON struct json_object *request = cli_request("snapshot");
	CLEANUP_JSON struct json_object *result = NULL;
	struct output_array array = { 0 };
	bool header = false;
	int status;

	if (options->json) {
		status = cli_ask(cli, request, receive_json, &array, &result);
		output_array_end(&array, status == CLI_OK);
		return status;
	}
	status = cli_ask(cli, request, receive_row, &header, &result);
	if (status == CLI_OK)
		print_header(&header);
	return status;
}

static int run(struct cli *cli, const void *values)
{
	const struct snapshot_options *options = values;
	const char *first = cli->arguments[0], *second = first ? cli->arguments[1] : NULL;
	CLEANUP_JSON struct json_object *request = NULL;

	if (options->region && !first && !options->drop)
		return cli_usage(cli, "--region is the region of a PATH: the list has all regions");
	if (!first && !options->drop)
		return list(cli, options);
	if (options->json)
		return cli_usage(cli, "--json is for the list of snapshots");
	if (options->drop ? !first || second : !second)
		return cli_usage(cli, options->drop ? "--drop takes the NAME of a snapshot" :
						      "a snapshot needs a PATH, of a pool or /, and a NAME");
	request = cli_request("snapshot");
	cli_put(request, "path", options->drop ? NULL : first);
	cli_put(request, "name", options->drop ? first : second);
	cli_put(request, "region", options->region);
	cli_put_true(request, "drop", options->drop);
	return cli_ask_only(cli, request);
}

const struct cli_verb cli_snapshot = {
	.name = "snapshot",
	.summary = "Remember the state of a pool or a region, for restore",
	.arguments = "[PATH NAME]",
	.details = "  PATH                  of a pool, or / (of several regions, /REGION)\n"
		   "  NAME                  of the snapshot; without it, list the snapshots\n",
	.least = 0,
	.most = 2,
	.options = options_table,
	.options_bytes = sizeof(struct snapshot_options),
	.run = run,
};
