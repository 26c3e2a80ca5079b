/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_POWERFAIL_H
#define TESTS_POWERFAIL_H

#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Run a program and discard its output. Returns the wait status, or -1 if it was not run. */
static inline int run_quietly(char *const arguments[])
{
	posix_spawn_file_actions_t actions;
	pid_t child;
	int status;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	status = posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (status || waitpid(child, &status, 0) < 0)
		return -1;
	return status;
}

/* `PROGRAM powerfail --policy P [--seed N]` */
static inline int powerfail(const char *program, const char *policy, unsigned long seed)
{
	bool seeded = !strcmp(policy, "random");
	char number[32];
	char *arguments[] = { (char *)program,		"powerfail", "--policy", (char *)policy,
			      seeded ? "--seed" : NULL, number,	     NULL };

	snprintf(number, sizeof(number), "%lu", seed);
	return run_quietly(arguments);
}

#endif
