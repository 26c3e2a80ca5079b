/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * beside_subject POOL: a program to be recorded. While one thread waits in a system call whose results go to
 * the pool, another one stores beside them. The kernel leaves those bytes alone.
 */

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "meanwhile.h"
#include "raw_call.h"

#define POOL_BYTES (1u << 20)
#define COUNT 40

static unsigned char *pool;

static struct pollfd *pollfds(void)
{
	return (struct pollfd *)(void *)(pool + 4096 - sizeof(struct pollfd) * COUNT / 2);
}

static void store_to_pollfds(const struct meanwhile *meanwhile)
{
	struct pollfd *fds = pollfds();

	for (int i = 0; i < COUNT; i++) {
		fds[i].fd = 1000 + i;
		fds[i].events = (short)i;
	}
	if (write(meanwhile->fd, "x", 1) != 1)
		err(1, "write");
}

static void polls(bool raw)
{
	struct meanwhile meanwhile = { .function = store_to_pollfds };
	struct pollfd *fds = pollfds();
	int ends[2];
	long ready;

	if (pipe(ends) != 0)
		err(1, "pipe");
	for (int i = 0; i < COUNT; i++)
		fds[i] = (struct pollfd){ .fd = i % 3 ? -1 : ends[0], .events = POLLIN };
	meanwhile.fd = ends[1];
	meanwhile_begin(&meanwhile, SYS_poll, -1);
	ready = raw ? call(SYS_poll, fds, COUNT, -1) : poll(fds, COUNT, -1);
	meanwhile_end(&meanwhile);
	printf("%ld are ready:", ready);
	for (int i = 0; i < COUNT; i++)
		printf(" %d %d %d", fds[i].fd, fds[i].events, fds[i].revents);
	printf("\n");
}

/* A control buffer is longer than what the kernel puts there. */
#define CONTROL_BYTES 256

static void store_to_control(const struct meanwhile *meanwhile)
{
	struct msghdr *header = (struct msghdr *)(void *)pool;

	memset(pool + 512 + CONTROL_BYTES / 2, 'm', CONTROL_BYTES / 2);
	header->msg_iovlen = 77;
	if (write(meanwhile->fd, "x", 1) != 1)
		err(1, "write");
}

static void messages(bool raw)
{
	struct meanwhile meanwhile = { .function = store_to_control };
	struct msghdr *header = (struct msghdr *)(void *)pool;
	struct iovec part = { .iov_base = pool + 1024, .iov_len = 100 };
	const int on = 1;
	int ends[2];
	long length;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 ||
	    setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0)
		err(1, "socketpair");
	memset(pool + 512, 'b', CONTROL_BYTES);
	*header = (struct msghdr){ .msg_iov = &part,
				   .msg_iovlen = 1,
				   .msg_control = pool + 512,
				   .msg_controllen = CONTROL_BYTES };
	meanwhile.fd = ends[1];
	meanwhile_begin(&meanwhile, SYS_recvmsg, -1);
	length = raw ? call(SYS_recvmsg, ends[0], header, 0) : recvmsg(ends[0], header, 0);
	meanwhile_end(&meanwhile);
	printf("received %ld, control %zu, parts %zu, behind it %.*s\n", length, header->msg_controllen,
	       header->msg_iovlen, CONTROL_BYTES / 2, (const char *)pool + 512 + CONTROL_BYTES / 2);
	/* The process's number. */
	memset(pool + 512, 0, CONTROL_BYTES);
}

int main(int argc, char **argv)
{
	int file = argc == 2 ? open(argv[1], O_RDWR) : -1;

	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (pool == MAP_FAILED)
		err(2, "usage: beside_subject POOL");
	for (int raw = 0; raw < 2; raw++) {
		polls(raw);
		messages(raw);
	}
	return 0;
}
