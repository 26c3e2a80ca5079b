/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <string.h>
#include <unistd.h>

#include "pool/pool.h"
#include "region/region.h"

struct format_options {
	const char *label, *mode;
	bool force;
};

static const struct command_option options_table[] = {
	{ .name = "label", .value = "TEXT", .may_be_empty = true,
	  .offset = offsetof(struct format_options, label),
	  .help = "the region's name, of at most 63 bytes" },
	COMMAND_CHOICE(struct format_options, mode, "mode", "MODE", COMMAND_MODE_CHOICES,
		       "of its pools: fsdax, sector or sector:512"),
	COMMAND_SWITCH(struct format_options, force, "force", "overwrite what the region holds"),
	{ .name = NULL },
};

static int run(struct cli *cli, const void *values)
{
	const struct format_options *options = values;
	struct pools_format_options format = {
		.label = options->label, .uid = getuid(), .gid = getgid(), .force = options->force
	};
	struct message message = { "" };
	struct region *region;
	int error;

	if (options->label && strlen(options->label) > POOL_LABEL_MAX)
		return cli_usage(cli, "--label '%s': give at most 63 bytes", options->label);
	if (strncmp(cli->argument, "copy:", 5) == 0)
		return cli_usage(cli, "%s: the copy would be gone when this command ends: name file:%s",
				 cli->argument, cli->argument + 5);
	if (!region_spec_outlives_process(cli->argument))
		return cli_usage(cli, "%s: it would be gone when this command ends: give it to softpmemd",
				 cli->argument);
	if (strcmp(cli->argument, "auto") == 0)
		return cli_usage(cli, "auto: it never formats: name a region that 'softpmem regions' shows");
	if (options->mode)
		pool_mode_parse(options->mode, &format.mode);
	error = region_open(cli->argument, REGION_CREATE, &region, &message);
	if (error)
		return cli_fail(cli, message.text);
	error = pools_format(region, &format, &message);
	if (!error)
		error = region_failure(region, &message);
	region_close(region);
	return error ? cli_fail(cli, message.text) : CLI_OK;
}

const struct cli_verb cli_format = {
	.name = "format",
	.summary = "Format a region that no daemon serves",
	.arguments = "SPEC",
	.details = "  SPEC                  file:PATH[,SIZE], devmem:START+SIZE, dax:DEVICE,\n"
		   "                        ndctl:NAME\n",
	.least = 1,
	.most = 1,
	.options = options_table,
	.options_bytes = sizeof(struct format_options),
	.run = run,
};
