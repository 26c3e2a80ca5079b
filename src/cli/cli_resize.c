/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include "common/size.h"
#include "wire/frame.h"

struct resize_options {
	const char *region;
};

static const struct command_option options_table[] = {
	CLI_PATH_REGION(struct resize_options),
	{ .name = NULL },
};

static int run(struct cli *cli, const void *values)
{
	const struct resize_options *options = values;
	CLEANUP_JSON struct json_object *request = NULL;
	uint64_t size;

	if (size_parse(cli->arguments[1], &size) < 0)
		return cli_usage(cli, "the size '%s': write bytes, or 64M, 16G", cli->arguments[1]);
	request = cli_request("resize");
	cli_put(request, "path", cli->arguments[0]);
	cli_put(request, "region", options->region);
	if (request)
		control_put_u64(request, "size", size);
	return cli_ask_only(cli, request);
}

const struct cli_verb cli_resize = {
	.name = "resize",
	.summary = "Change the size of a pool",
	.arguments = "PATH SIZE",
	.details = CLI_PATH_DETAILS
		   "  SIZE                  bytes, or 64M, 16G; all of it is reserved\n",
	.least = 2,
	.most = 2,
	.options = options_table,
	.options_bytes = sizeof(struct resize_options),
	.run = run,
};
