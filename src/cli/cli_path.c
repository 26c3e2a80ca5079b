/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <stdio.h>

#include "wire/frame.h"

struct path_options {
	const char *region;
};

static const struct command_option options_table[] = {
	CLI_PATH_REGION(struct path_options),
	{ .name = NULL },
};

static int run(struct cli *cli, const void *values)
{
	const struct path_options *options = values;
	CLEANUP_JSON struct json_object *request = cli_request("path");
	CLEANUP_JSON struct json_object *result = NULL;
	int status;

	cli_put(request, "path", cli->argument);
	cli_put(request, "region", options->region);
	status = cli_ask(cli, request, NULL, NULL, &result);
	/* Not escaped: the output is for $(...), not for reading. */
	if (status == CLI_OK)
		puts(output_string(result, "path"));
	return status;
}

const struct cli_verb cli_path = {
	.name = "path",
	.summary = "Print the file name by which programs open a pool",
	.arguments = "PATH",
	.details = CLI_PATH_DETAILS,
	.least = 1,
	.most = 1,
	.options = options_table,
	.options_bytes = sizeof(struct path_options),
	.run = run,
};
