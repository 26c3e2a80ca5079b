/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

int explore_spawn(const struct explore_spawn *spawn, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int error;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, spawn->output, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, spawn->errors, STDERR_FILENO);
	for (size_t i = 0; i < spawn->more_count; i++)
		posix_spawn_file_actions_adddup2(&actions, spawn->more[i].own, spawn->more[i].number);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | (spawn->session ? POSIX_SPAWN_SETSID :
									     POSIX_SPAWN_SETPGROUP));
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	error = posix_spawnp(pid, spawn->argv[0], &actions, &attributes, spawn->argv, spawn->environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

char **explore_environment(size_t first)
{
	size_t count = 0;
	char **out;

	while (environ[count])
		count++;
	out = calloc(first + count + 1, sizeof(*out));
	if (out)
		memcpy(out + first, environ, count * sizeof(*out));
	return out;
}
