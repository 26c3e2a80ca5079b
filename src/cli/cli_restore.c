/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include "wire/frame.h"

struct restore_options {
	const char *region;
};

static const struct command_option options_table[] = {
	COMMAND_VALUE(struct restore_options, region, "region", "REGION", "PATH is one in this region"),
	{ .name = NULL },
};

static int run(struct cli *cli, const void *values)
{
	const struct restore_options *options = values;
	const char *first = cli->arguments[0], *second = cli->arguments[1];
	CLEANUP_JSON struct json_object *request = NULL;

	if (options->region && !second)
		return cli_usage(cli, "--region '%s': give a PATH in it, and the NAME", options->region);
	request = cli_request("restore");
	cli_put(request, "name", second ? second : first);
	cli_put(request, "path", second ? first : NULL);
	cli_put(request, "region", options->region);
	return cli_ask_only(cli, request);
}

const struct cli_verb cli_restore = {
	.name = "restore",
	.summary = "Go back to a snapshot",
	.arguments = "[PATH] NAME",
	.details = "  PATH                  of the pool, or /: refuse a snapshot of something else\n"
		   "  NAME                  of the snapshot\n",
	.least = 1,
	.most = 2,
	.options = options_table,
	.options_bytes = sizeof(struct restore_options),
	.run = run,
};
