/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/socketpath.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Any user can create this directory in /tmp, and a socket in it. */
static int check_directory(const char *directory, struct message *message)
{
	struct stat st;

	if (lstat(directory, &st) < 0 || (S_ISDIR(st.st_mode) && st.st_uid == geteuid()))
		return 0;
	return message_fail(message, -EPERM,
			    "%s: belongs to another user: give --socket, or set XDG_RUNTIME_DIR",
			    directory);
}

int socketpath_default(char **path, struct message *message)
{
	const char *set = getenv("SOFTPMEM_SOCKET");
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char directory[64];
	int length, error = 0;

	if (set && *set) {
		length = asprintf(path, "%s", set);
	} else if (geteuid() == 0) {
		length = asprintf(path, "/run/softpmem/control.sock");
	} else if (runtime && *runtime == '/') {
		length = asprintf(path, "%s/softpmem/control.sock", runtime);
	} else {
		snprintf(directory, sizeof(directory), "/tmp/softpmem-%u", geteuid());
		error = check_directory(directory, message);
		length = error ? 0 : asprintf(path, "%s/control.sock", directory);
	}
	return length < 0 ? message_fail(message, -ENOMEM, "out of memory") : error;
}
