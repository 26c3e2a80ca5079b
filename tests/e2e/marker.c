/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A program that sends marks.
 *
 *	marker send TEXT     sends it, and prints "sent", or errno's name
 *	marker fork TEXT     sends "parent", and then the text from a forked child
 *	marker limits        texts of 0, 255 and 256 bytes
 *	marker map TEXT POOL maps the pool and sends the text
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "softpmem.h"
#include "tap.h"

unsigned tap_run, tap_failed;

static int send(const char *text)
{
	puts(softpmem_mark(text) == 0 ? "sent" : strerrorname_np(errno));
	return 0;
}

static int send_from_child(const char *text)
{
	int status = -1;
	pid_t child;

	if (softpmem_mark("parent") != 0)
		return 1;
	child = fork();
	if (child == 0)
		_exit(softpmem_mark(text) == 0 ? 0 : 1);
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}

static int check_limits(void)
{
	char text[257];

	memset(text, 'x', sizeof(text));
	text[256] = '\0';
	FAILS(softpmem_mark(text), EINVAL, "a mark of 256 bytes is refused");
	FAILS(softpmem_mark(""), EINVAL, "an empty mark is refused");
	text[255] = '\0';
	OK(softpmem_mark(text) == 0, "a mark of 255 bytes is sent");
	return tap_done();
}

static int map(const char *text, const char *pool)
{
	int fd = open(pool, O_RDWR | O_CLOEXEC);

	if (fd < 0 || mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
		return 1;
	return send(text);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "send") == 0)
		return send(argv[2]);
	if (argc == 3 && strcmp(argv[1], "fork") == 0)
		return send_from_child(argv[2]);
	if (argc == 2 && strcmp(argv[1], "limits") == 0)
		return check_limits();
	if (argc == 4 && strcmp(argv[1], "map") == 0)
		return map(argv[2], argv[3]);
	return 2;
}
