/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <limits.h>

#include "cli/run_program.h"

static const struct command_option options_table[] = {
	COMMAND_SWITCH(struct run_program, through, "through",
		   "a fence waits until the media has what was flushed"),
	COMMAND_SWITCH(struct run_program, allow_unattached, "allow-unattached",
		       "run it even if the daemon refuses to attach it"),
	COMMAND_SWITCH(struct run_program, no_inline, "no-inline",
		   "leave flush and fence instructions alone"),
	{ .name = NULL },
};

static int run(struct cli *cli, const void *values)
{
	int status = run_program_prepare(cli, values);

	return status == CLI_OK ? run_program(cli) : status;
}

const struct cli_verb cli_run = {
	.name = "run",
	.summary = "Run a program that maps pools through libpmem",
	.arguments = "[--] PROGRAM [ARGUMENT]...",
	.details = "The exit status is the program's. PROGRAM is found as a shell finds it.\n",
	.least = 1,
	.most = INT_MAX,
	.options = options_table,
	.options_bytes = sizeof(struct run_program),
	.run = run,
};
