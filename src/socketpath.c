/* SPDX-License-Identifier: BSD-3-Clause */
#include "socketpath.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *socketpath_default(void)
{
	const char *set = getenv("SOFTPMEM_SOCKET");
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *path;
	int length;

	if (set && *set)
		return strdup(set);
	if (geteuid() == 0)
		return strdup("/run/softpmem/control.sock");
	if (runtime && *runtime == '/')
		length = asprintf(&path, "%s/softpmem/control.sock", runtime);
	else
		length = asprintf(&path, "/tmp/softpmem-%u/control.sock", geteuid());
	return length < 0 ? NULL : path;
}
