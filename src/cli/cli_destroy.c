/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include "wire/frame.h"

struct destroy_options {
	bool recursive;
	const char *region;
};

static const struct command_option options_table[] = {
	COMMAND_SWITCH(struct destroy_options, recursive, "recursive", "also what a directory contains"),
	CLI_PATH_REGION(struct destroy_options),
	{ .name = NULL },
};

static int run(struct cli *cli, const void *values)
{
	const struct destroy_options *options = values;
	CLEANUP_JSON struct json_object *request = cli_request("destroy");

	cli_put(request, "path", cli->argument);
	cli_put(request, "region", options->region);
	cli_put_true(request, "recursive", options->recursive);
	return cli_ask_only(cli, request);
}

const struct cli_verb cli_destroy = {
	.name = "destroy",
	.summary = "Remove a pool or a directory",
	.arguments = "PATH",
	.details = CLI_PATH_DETAILS,
	.least = 1,
	.most = 1,
	.options = options_table,
	.options_bytes = sizeof(struct destroy_options),
	.run = run,
};
