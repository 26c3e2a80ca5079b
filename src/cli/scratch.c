/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/remove_tree.h"

/* The daemon of a search may need so long to unmount what is in the directory. */
#define REMOVE_TRIES 100
#define REMOVE_US 100000u

static bool is_there(const char *path, const struct stat *directory)
{
	struct stat status;

	return lstat(path, &status) == 0 && status.st_dev == directory->st_dev &&
	       status.st_ino == directory->st_ino;
}

static _Noreturn void remove_at_end(int pipe, const char *path, const struct stat *directory)
{
	sigset_t all;
	char byte;

	setsid();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* Nobody waits for the end of this process's standard output. */
	dup2(pipe, 0);
	close_range(1, ~0U, 0);
	while (read(0, &byte, 1) < 0 && errno == EINTR)
		;
	for (int i = 0; i < REMOVE_TRIES && is_there(path, directory); i++) {
		remove_tree(path);
		usleep(REMOVE_US);
	}
	_exit(0);
}

/*
 * A process that removes the directory if this one cannot: it was killed, or interrupted by Ctrl-C. It waits
 * for the end of the pipe, which this process and those that it forks have. Without it the directory stays.
 */
static void start_remover(const char *path)
{
	struct stat directory;
	int ends[2];
	pid_t child;

	if (lstat(path, &directory) < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return;
	fflush(NULL);
	child = fork();
	if (child == 0) {
		close(ends[1]);
		/* It is no child of the search, which may end and await all of its children. */
		if (fork() == 0)
			remove_at_end(ends[0], path, &directory);
		_exit(0);
	}
	close(ends[0]);
	if (child < 0)
		close(ends[1]);
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

char *scratch_make(const char *name, struct message *message)
{
	const char *base = getenv("TMPDIR");
	char *path;

	if (!base || !*base)
		base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	if (asprintf(&path, "%s/softpmem-%s.XXXXXX", base, name) < 0) {
		message_fail(message, -ENOMEM, "out of memory");
		return NULL;
	}
	if (!mkdtemp(path)) {
		message_fail(message, -errno,
			     "%s: cannot make a temporary directory there: %s: set TMPDIR to one that can be "
			     "written to",
			     base, strerror(errno));
		free(path);
		return NULL;
	}
	start_remover(path);
	return path;
}

void scratch_remove(char **path)
{
	if (*path) {
		remove_tree(*path);
		free(*path);
	}
}
