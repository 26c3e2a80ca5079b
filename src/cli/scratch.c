/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/remove_tree.h"

char *scratch_make(const char *name)
{
	const char *base = getenv("TMPDIR");
	char *path;

	if (!base)
		base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	if (asprintf(&path, "%s/softpmem-%s.XXXXXX", base, name) < 0) {
		errno = ENOMEM;
		return NULL;
	}
	if (!mkdtemp(path)) {
		const int error = errno;

		free(path);
		errno = error;
		return NULL;
	}
	return path;
}

void scratch_remove(char **path)
{
	if (*path) {
		remove_tree(*path);
		free(*path);
	}
}
