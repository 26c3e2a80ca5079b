/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include "wire/frame.h"

struct rename_options {
	bool replace;
	const char *region;
};

static const struct command_option options_table[] = {
	COMMAND_SWITCH(struct rename_options, replace, "replace", "replace what has the new name"),
	COMMAND_VALUE(struct rename_options, region, "region", "NAME",
		      "in this region; both are then paths in it"),
	{ .name = NULL },
};

static int run(struct cli *cli, const void *values)
{
	const struct rename_options *options = values;
	CLEANUP_JSON struct json_object *request = cli_request("rename");

	cli_put(request, "path", cli->arguments[0]);
	cli_put(request, "to", cli->arguments[1]);
	cli_put(request, "region", options->region);
	cli_put_true(request, "replace", options->replace);
	return cli_ask_only(cli, request);
}

const struct cli_verb cli_rename = {
	.name = "rename",
	.summary = "Give a pool or a directory another name",
	.arguments = "PATH NEW-PATH",
	.details = "  PATH, NEW-PATH        from the root of the tree: /db/wal\n",
	.least = 2,
	.most = 2,
	.options = options_table,
	.options_bytes = sizeof(struct rename_options),
	.run = run,
};
