/* SPDX-License-Identifier: BSD-3-Clause */
#include "command/standard_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int standard_files_reserve(void)
{
	/* open(2) returns the lowest free number. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY | O_CLOEXEC) != fd)
			return -errno;
	return 0;
}

int standard_output_finish(void)
{
	/* An earlier write may have failed, whose errno is gone. */
	return fflush(stdout) != 0 || ferror(stdout) ? -EIO : 0;
}
