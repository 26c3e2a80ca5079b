/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * synchronous CALL FLAG FILE: overwrites the file's first bytes with "new", by write, pwrite, writev,
 * sendfile or pwritev2, or by "large", a write of several requests. The flag is none, sync or dsync, which
 * pwritev2 takes as RWF_SYNC and RWF_DSYNC and the others as O_SYNC and O_DSYNC.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

static char bytes[3 << 20] = "new";

static bool sent(int fd)
{
	int from = memfd_create("new", MFD_CLOEXEC);
	off_t at = 0;

	return from >= 0 && write(from, bytes, 3) == 3 && sendfile(fd, from, &at, 3) == 3;
}

static bool overwrite(const char *call, int fd, int flags)
{
	const struct iovec parts[] = { { bytes, 1 }, { bytes + 1, 2 } };

	if (strcmp(call, "write") == 0)
		return write(fd, bytes, 3) == 3;
	if (strcmp(call, "pwrite") == 0)
		return pwrite(fd, bytes, 3, 0) == 3;
	if (strcmp(call, "writev") == 0)
		return writev(fd, parts, 2) == 3;
	if (strcmp(call, "large") == 0)
		return write(fd, bytes, sizeof(bytes)) == sizeof(bytes);
	if (strcmp(call, "sendfile") == 0)
		return sent(fd);
	return pwritev2(fd, parts, 2, 0, flags) == 3;
}

int main(int argc, char **argv)
{
	int of_file = 0, of_call = 0, fd;

	if (argc != 4) {
		fputs("usage: synchronous CALL FLAG FILE\n", stderr);
		return 2;
	}
	if (strcmp(argv[2], "sync") == 0) {
		of_file = O_SYNC;
		of_call = RWF_SYNC;
	} else if (strcmp(argv[2], "dsync") == 0) {
		of_file = O_DSYNC;
		of_call = RWF_DSYNC;
	}
	if (strcmp(argv[1], "pwritev2") == 0)
		of_file = 0;
	fd = open(argv[3], O_WRONLY | O_CLOEXEC | of_file);
	if (fd < 0 || !overwrite(argv[1], fd, of_call)) {
		perror(argv[3]);
		return 1;
	}
	return 0;
}
