/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <string.h>

#include "wire/frame.h"
#include "wire/request.h"

static const struct command_option options_table[] = { { .name = NULL } };

static int run(struct cli *cli, const void *values)
{
	CLEANUP_JSON struct json_object *request = NULL;
	size_t length = strlen(cli->argument);

	if (length == 0 || length > REQUEST_MARK_MAX)
		return cli_usage(cli, "the text must have 1 to %d bytes", REQUEST_MARK_MAX);
	request = cli_request("mark");
	cli_put(request, "text", cli->argument);
	return cli_ask_only(cli, request);
}

const struct cli_verb cli_mark = {
	.name = "mark",
	.summary = "Write a text to the daemon's log, and name this moment by it",
	.arguments = "TEXT",
	.least = 1,
	.most = 1,
	.options = options_table,
	.run = run,
};
