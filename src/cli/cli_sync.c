/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "wire/frame.h"

/* The kernel writes dirty pages of mappings back to the daemon. It does not tell the daemon to sync them. */
static int write_back(struct cli *cli, const char *mount)
{
	CLEANUP_FD int fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char text[512];

	if (fd >= 0 && syncfs(fd) == 0)
		return CLI_OK;
	snprintf(text, sizeof(text), "sync: stores through mappings are not durable: %.256s: %s", mount,
		 strerror(errno));
	return cli_fail(cli, text);
}

static int run(struct cli *cli, const void *values)
{
	CLEANUP_JSON struct json_object *request = NULL;
	CLEANUP_JSON struct json_object *answer = NULL;
	int status = cli_ask_status(cli, &answer), written = CLI_OK;
	const char *mount;

	if (status != CLI_OK)
		return status;
	mount = output_string(answer, "mount");
	if (*mount)
		written = write_back(cli, mount);
	request = cli_request("sync");
	status = cli_ask_only(cli, request);
	return status == CLI_OK ? written : status;
}

static const struct command_option options_table[] = { { .name = NULL } };

const struct cli_verb cli_sync = {
	.name = "sync",
	.summary = "Make everything on the mount durable",
	.arguments = "",
	.options = options_table,
	.run = run,
};
