/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * cancel_subject WHAT POOL: a program to be recorded, whose threads are cancelled while they store to a
 * mapping of the file POOL or let the kernel store there. It prints what it saw: the same whether it is
 * recorded or not.
 */

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "raw_call.h"

#define POOL_BYTES (1u << 20)

static unsigned char *pool;
static atomic_uint ready, cleaned;
static int empty[2], quiet[2];

static void clean(void *unused)
{
	(void)unused;
	cleaned++;
	pool[4096]++;
}

/* ---- Stores ------------------------------------------------------------------------------------ */

/* Of each form of a stub: inline, over an edge, locked, and one that C code does. */
static void store_for_ever(uint64_t *words)
{
	for (uint64_t i = 1;; i++) {
		words[0] = i;
		atomic_fetch_add_explicit((_Atomic uint64_t *)&words[1], 1, memory_order_relaxed);
		__asm__ volatile("movq %1, %0" : "=m"(*(uint64_t *)(void *)((char *)words + 60)) : "r"(i));
		__asm__ volatile("rep stosb" : : "D"(words + 16), "a"(i), "c"(40L) : "memory");
		memset(words + 32, (int)i, 200);
	}
}

static void *stores(void *unused)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	pthread_cleanup_push(clean, NULL);
	ready = 1;
	store_for_ever((uint64_t *)(void *)pool);
	pthread_cleanup_pop(0);
	return unused;
}

static void wait_some(unsigned microseconds)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - begin.tv_sec) * 1000000 + (now.tv_nsec - begin.tv_nsec) / 1000 < microseconds);
}

/* Threads that `function` is run by are cancelled, one after another, at some moment each. */
static void cancel_all(void *(*function)(void *), unsigned rounds, unsigned longest)
{
	for (unsigned i = 0; i < rounds; i++) {
		pthread_t thread;
		void *result;

		ready = 0;
		if (pthread_create(&thread, NULL, function, NULL) != 0)
			errx(1, "pthread_create");
		while (!ready)
			sched_yield();
		wait_some(i * 7919 % longest);
		pthread_cancel(thread);
		if (pthread_join(thread, &result) != 0 || result != PTHREAD_CANCELED)
			errx(1, "round %u: the thread was not cancelled", i);
		memset(pool, (int)i, 512);
	}
	printf("%u threads are cancelled, %u have cleaned up\n", rounds, cleaned);
}

/* ---- System calls ------------------------------------------------------------------------------ */

static void *reads_by_instruction(void *unused)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	pthread_cleanup_push(clean, NULL);
	ready = 1;
	for (;;)
		call(SYS_read, empty[0], pool + 8192, 100UL);
	pthread_cleanup_pop(0);
	return unused;
}

static void *waits(void *(*wait)(void))
{
	void *result;

	pthread_cleanup_push(clean, NULL);
	ready = 1;
	result = wait();
	pthread_cleanup_pop(0);
	return result;
}

static void *read_empty(void)
{
	while (read(empty[0], pool + 8192, 20000) != 0)
		;
	return NULL;
}

static void *receive(void)
{
	struct iovec part = { pool + 8192, 100 };
	struct msghdr message = {
		.msg_name = pool + 12288, .msg_namelen = 100, .msg_iov = &part, .msg_iovlen = 1
	};

	while (recvmsg(quiet[0], &message, 0) != 0)
		;
	return NULL;
}

static void *poll_empty(void)
{
	struct pollfd *asked = (struct pollfd *)(void *)(pool + 16384);

	*asked = (struct pollfd){ .fd = empty[0], .events = POLLIN };
	while (poll(asked, 1, -1) != 0)
		;
	return NULL;
}

static void *reads(void *unused)
{
	(void)unused;
	return waits(read_empty);
}

static void *receives(void *unused)
{
	(void)unused;
	return waits(receive);
}

static void *polls(void *unused)
{
	(void)unused;
	return waits(poll_empty);
}

/* What of memory is mapped, in KiB. */
static unsigned long mapped(void)
{
	FILE *status = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (!status || fscanf(status, "%lu", &pages) != 1)
		err(1, "statm");
	fclose(status);
	return pages * 4;
}

static void calls(void)
{
	static void *(*const functions[])(void *) = { reads_by_instruction, reads, receives, polls };
	unsigned long before;

	if (pipe(empty) != 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, quiet) != 0)
		err(1, "pipe");
	for (unsigned i = 0; i < 4; i++)
		cancel_all(functions[i], 3, 100);
	before = mapped();
	for (unsigned i = 0; i < 4; i++)
		cancel_all(functions[i], 80, 100);
	/* 20,000 bytes a round would be 1.6 MiB. */
	printf("memory %s\n", mapped() < before + 800 ? "is given back" : "is lost");
}

int main(int argc, char **argv)
{
	int file = argc == 3 ? open(argv[2], O_RDWR) : -1;

	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (pool == MAP_FAILED)
		err(2, "usage: cancel_subject WHAT POOL");
	if (strcmp(argv[1], "stores") == 0)
		cancel_all(stores, 150, 150);
	else if (strcmp(argv[1], "calls") == 0)
		calls();
	else
		errx(2, "%s: unknown", argv[1]);
	/* The pool is compared by scripts. */
	pool[0] = 1;
	return 0;
}
