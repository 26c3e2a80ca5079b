/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "common/size.h"
#include "wire/frame.h"

struct create_options {
	const char *size, *mode, *metadata, *perm, *region;
	bool directory, change, parents;
};

static const struct command_option options_table[] = {
	COMMAND_VALUE(struct create_options, size, "size", "SIZE",
		      "bytes, or 64M, 16G; all of it is reserved"),
	COMMAND_CHOICE(struct create_options, mode, "mode", "MODE", COMMAND_MODE_CHOICES,
		       "fsdax, sector or sector:512: how file writes tear"),
	COMMAND_SWITCH(struct create_options, directory, "directory", "create a directory"),
	COMMAND_CHOICE(struct create_options, metadata, "metadata", "MODE", "durable ordered strict",
		       "of a directory: which names in it may be lost"),
	COMMAND_SWITCH(struct create_options, change, "change",
		       "give that mode to a directory that exists"),
	COMMAND_VALUE(struct create_options, perm, "perm", "OCTAL", "permissions, such as 0640"),
	COMMAND_SWITCH(struct create_options, parents, "parents", "create missing parent directories"),
	CLI_PATH_REGION(struct create_options),
	{ .name = NULL },
};

static mode_t current_umask(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return mask;
}

static int run(struct cli *cli, const void *values)
{
	const struct create_options *options = values;
	CLEANUP_JSON struct json_object *request = NULL;
	uint64_t size = 0, perm = (options->directory ? 0777 : 0666) & ~current_umask();
	char *end;

	if (options->directory && options->size)
		return cli_usage(cli, "--size '%s': a directory has none", options->size);
	if (options->metadata && !options->directory)
		return cli_usage(cli, "--metadata '%s': a pool has that of its directory: give --directory",
				 options->metadata);
	if (options->change && !options->metadata)
		return cli_usage(cli,
				 "--change: of a directory that exists, --metadata alone can be changed");
	if (options->change && (options->mode || options->perm || options->parents))
		return cli_usage(cli, "--change: --mode, --perm and --parents are for what is created");
	if (options->size && size_parse(options->size, &size) < 0)
		return cli_usage(cli, "--size '%s': write bytes, or 64M, 16G", options->size);
	if (options->perm) {
		perm = strtoul(options->perm, &end, 8);
		if (*options->perm < '0' || *options->perm > '7' || *end || perm > 07777)
			return cli_usage(cli, "--perm '%s': write octal digits, such as 0640", options->perm);
	}
	request = cli_request("create");
	cli_put(request, "path", cli->argument);
	cli_put(request, "region", options->region);
	cli_put(request, "mode", options->mode);
	cli_put(request, "metadata", options->metadata);
	cli_put_true(request, "directory", options->directory);
	cli_put_true(request, "change", options->change);
	cli_put_true(request, "parents", options->parents);
	if (request) {
		control_put_u64(request, "size", size);
		control_put_u64(request, "perm", perm);
	}
	return cli_ask_only(cli, request);
}

const struct cli_verb cli_create = {
	.name = "create",
	.summary = "Create a pool or a directory",
	.arguments = "PATH",
	.details = CLI_PATH_DETAILS,
	.least = 1,
	.most = 1,
	.options = options_table,
	.options_bytes = sizeof(struct create_options),
	.run = run,
};
