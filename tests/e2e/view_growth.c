/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client that takes memory past the end of a pool that it maps.
 *
 *	view_growth DIR	DIR is on the mount
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attaching.h"
#include "tap.h"

#define SIZE (64u << 10)

unsigned tap_run, tap_failed;

/* Has the file at most so many bytes of memory within five seconds? */
static bool soon_takes(int fd, uint64_t bytes)
{
	struct stat st = { 0 };

	for (int i = 0; i < 500 && fstat(fd, &st) == 0; i++) {
		if ((uint64_t)st.st_blocks * 512 <= bytes)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

/* A view whose pool may be resized is not sealed against growing. */
static void check_growth(void)
{
	const off_t more = 64 << 20;
	struct attach_reply reply;
	char byte = 1;
	int fd = open("grown", O_RDWR | O_CREAT | O_CLOEXEC, 0644), connection = attach_connect(NULL), view;

	if (fd < 0 || ftruncate(fd, SIZE) || attach_ask(connection, ATTACH_HELLO, -1, &reply, NULL) ||
	    attach_ask(connection, ATTACH_POOL, fd, &reply, &view)) {
		puts("Bail out! attaching");
		exit(1);
	}
	OK(!ftruncate(view, more) && !posix_fallocate(view, 0, more) && !soon_takes(view, 0),
	   "a client can take memory past the end of a pool");
	OK(soon_takes(view, SIZE), "the daemon takes it back while the client is connected");
	OK(!ftruncate(fd, more / 2) && pread(fd, &byte, 1, more / 4) == 1 && !byte,
	   "the pool can be grown afterwards, and its new bytes are zeros");
	OK(!ftruncate(fd, SIZE) && !posix_fallocate(view, 2 * more, more), "the client takes more");
	close(connection);
	OK(soon_takes(view, more), "the daemon takes it back when the client has left");
	close(view);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 2 || chdir(argv[1])) {
		fprintf(stderr, "usage: view_growth DIR\n");
		return 2;
	}
	check_growth();
	return tap_done();
}
