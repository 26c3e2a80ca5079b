/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "wire/frame.h"

/* The daemon's process, by which its end can be noticed; -1 if it is in another PID namespace. */
static int open_daemon(struct cli *cli, int *status)
{
	CLEANUP_JSON struct json_object *answer = NULL;

	*status = cli_ask_status(cli, &answer);
	if (*status != CLI_OK)
		return -1;
	return (int)syscall(SYS_pidfd_open, (pid_t)output_u64(answer, "pid"), 0);
}

static int run(struct cli *cli, const void *values)
{
	CLEANUP_JSON struct json_object *request = cli_request("stop");
	int status;
	CLEANUP_FD int daemon = open_daemon(cli, &status);
	struct pollfd ended = { .fd = daemon, .events = POLLIN };

	if (status == CLI_OK)
		status = cli_ask_only(cli, request);
	if (status != CLI_OK)
		return status;
	if (daemon < 0)
		return cli_fail(cli, "stop: the daemon was told to stop; its end cannot be seen from here");
	while (poll(&ended, 1, -1) < 0)
		if (errno != EINTR)
			return cli_fail(cli, strerror(errno));
	return CLI_OK;
}

static const struct command_option options_table[] = { { .name = NULL } };

const struct cli_verb cli_stop = {
	.name = "stop",
	.summary = "Stop the daemon cleanly",
	.arguments = "",
	.options = options_table,
	.run = run,
};
