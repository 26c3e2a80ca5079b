/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include "wire/frame.h"

static const struct command_option options_table[] = { { .name = NULL } };

static int run(struct cli *cli, const void *values)
{
	CLEANUP_JSON struct json_object *request = cli_request("restore");

	(void)values;
	cli_put(request, "name", cli->argument);
	return cli_ask_only(cli, request);
}

const struct cli_verb cli_restore = {
	.name = "restore",
	.summary = "Go back to a snapshot",
	.arguments = "NAME",
	.details = "  NAME                  of the snapshot\n",
	.least = 1,
	.most = 1,
	.options = options_table,
	.run = run,
};
