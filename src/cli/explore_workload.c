/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/explore_workload.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/torture_daemon.h"
#include "common/cleanup.h"

#define REGION_BYTES (256u << 20)

/* In the child: this program once more, as `softpmem record`. */
static _Noreturn void record(const struct torture_daemon *daemon, const char *command, const char *trace)
{
	char *const arguments[] = {
		(char *)"softpmem", (char *)"--socket", daemon->socket, (char *)"record", (char *)"-o",
		(char *)(uintptr_t)trace, (char *)"--", (char *)"sh", (char *)"-c",
		(char *)(uintptr_t)command, NULL,
	};

	if (chdir(daemon->mount) == 0 && setenv("SOFTPMEM_MOUNT", daemon->mount, 1) == 0)
		execv("/proc/self/exe", arguments);
	_exit(CLI_FAILED);
}

static int explain(int status, struct message *message)
{
	if (WIFSIGNALED(status))
		return message_fail(message, -ECANCELED, "the workload was killed by signal %d",
				    WTERMSIG(status));
	return message_fail(message, -ECANCELED,
			    "the workload has failed with status %d, though no power failed",
			    WEXITSTATUS(status));
}

static int run(const struct torture_daemon *daemon, const char *command, const char *trace,
	       struct message *message)
{
	pid_t child;
	int status = 0;

	fflush(NULL);
	child = fork();
	if (child == 0)
		record(daemon, command, trace);
	if (child < 0)
		return message_fail(message, -errno, "cannot start the workload: %s", strerror(errno));
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return message_fail(message, -errno, "waiting for the workload: %s", strerror(errno));
	return status ? explain(status, message) : 0;
}

/* The workload runs in another directory. */
static char *absolute(const char *path)
{
	CLEANUP_FREE char *here = NULL;
	char *whole;

	if (*path == '/')
		return strdup(path);
	here = getcwd(NULL, 0);
	return here && asprintf(&whole, "%s/%s", here, path) >= 0 ? whole : NULL;
}

int explore_workload_record(const struct explore_workload *workload, const char *trace,
			    const char *directory, struct message *message)
{
	CLEANUP_FREE char *program = torture_daemon_program(), *place = NULL, *file = absolute(trace);
	struct torture_daemon daemon;
	int error;

	if (asprintf(&place, "%s/daemon", directory) < 0)
		place = NULL;
	if (!place || !file)
		return message_fail(message, -errno, "%s: cannot write it in the working directory: %s",
				    trace, strerror(errno));
	if (!program)
		return message_fail(message, -ENOENT, "there is no softpmemd beside this program");
	error = torture_daemon_create(&daemon, program, "ordered", place, message);
	daemon.auto_da_alloc = workload->auto_da_alloc;
	if (!error)
		error = torture_daemon_start(&daemon, REGION_BYTES, NULL, message);
	if (!error)
		error = run(&daemon, workload->command, file, message);
	torture_daemon_destroy(&daemon);
	return error;
}
