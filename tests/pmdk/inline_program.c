/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A program that flushes and fences by instructions of its own, without libpmem.
 *
 *   inline sync POOL         maps with MAP_SYNC: prints "granted", or "refused" and the errno
 *   inline WAY POOL WORD     stores a number to word WORD (8 bytes, each in its own page) of the pool and
 *                            persists it in this way; prints "persisted" and waits to be killed
 *
 * clwb, clflushopt and clflush are followed by sfence; lock, xchg and failed (a cmpxchg) are locked
 * instructions after a clwb; alone is a clflush; nothing is a clwb without a fence; late is a clwb with
 * sfence in a library that is loaded after the pool was mapped; watched is the same while a debugger's
 * breakpoint is where the loader tells debuggers of it; thread is clwb and sfence in another thread.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
#define VALUE 0x0123456789abcdef

static void clwb(const void *at)
{
	__asm__ volatile(".byte 0x66; xsaveopt %0" : "+m"(*(char *)(uintptr_t)at)); /* for any assembler */
}

static void clflushopt(const void *at)
{
	__asm__ volatile(".byte 0x66; clflush %0" : "+m"(*(char *)(uintptr_t)at));
}

static void clflush(const void *at)
{
	__asm__ volatile("clflush %0" : "+m"(*(char *)(uintptr_t)at));
}

static void sfence(void)
{
	__asm__ volatile("sfence" ::: "memory");
}

static void clwb_and_fence(const void *at)
{
	clwb(at);
	sfence();
}

static void persist_by_clflushopt(const void *at)
{
	clflushopt(at);
	sfence();
}

static void persist_by_clflush(const void *at)
{
	clflush(at);
	sfence();
}

/* On the stack: a locked instruction on any address is a fence. */
static void persist_by_lock(const void *at)
{
	uint64_t here = 0;

	clwb(at);
	__asm__ volatile("lock addq $1, %0" : "+m"(here)::"memory");
}

static void persist_by_xchg(const void *at)
{
	uint64_t here = 0, other = 1;

	clwb(at);
	__asm__ volatile("xchg %1, %0" : "+m"(here), "+r"(other)::"memory");
}

static void persist_by_failed_cmpxchg(const void *at)
{
	uint64_t here = 0, other = 1, expected = 2;

	clwb(at);
	__asm__ volatile("lock cmpxchg %2, %0" : "+m"(here), "+a"(expected) : "r"(other) : "memory");
}

static void *in_thread(void *at)
{
	clwb_and_fence(at);
	return NULL;
}

static void persist_in_thread(const void *at)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, in_thread, (void *)(uintptr_t)at) != 0)
		exit(2);
	pthread_join(thread, NULL);
}

static void persist_in_library(const void *at)
{
	void *library = dlopen(getenv("INLINE_LIBRARY"), RTLD_NOW);
	void (*persist)(const void *) = NULL;

	if (library)
		*(void **)&persist = dlsym(library, "inline_persist");
	if (!persist) {
		fprintf(stderr, "inline: %s\n", dlerror());
		exit(2);
	}
	persist(at);
}

static volatile sig_atomic_t stops;

/* Returns from the function that the breakpoint is in, which does nothing. */
static void on_breakpoint(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	stops++;
	registers[REG_RIP] = *(greg_t *)registers[REG_RSP];
	registers[REG_RSP] += 8;
}

/* By its reference to _r_debug the program has a copy of it, which the loader no longer changes. */
static void set_breakpoint(void)
{
	const struct sigaction action = { .sa_sigaction = on_breakpoint, .sa_flags = SA_SIGINFO };
	static const unsigned char int3 = 0xcc;
	int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	if (memory < 0 || sigaction(SIGTRAP, &action, NULL) != 0 ||
	    pwrite(memory, &int3, 1, (off_t)_r_debug.r_brk) != 1) {
		perror("breakpoint");
		exit(2);
	}
	close(memory);
}

static void persist_in_watched_library(const void *at)
{
	persist_in_library(at);
	if (!stops) {
		fputs("inline: the breakpoint is not met\n", stderr);
		exit(2);
	}
}

static const struct {
	const char *name;
	void (*persist)(const void *at);
} ways[] = {
	{ "clwb", clwb_and_fence },
	{ "clflushopt", persist_by_clflushopt },
	{ "clflush", persist_by_clflush },
	{ "lock", persist_by_lock },
	{ "xchg", persist_by_xchg },
	{ "failed", persist_by_failed_cmpxchg },
	{ "alone", clflush },
	{ "nothing", clwb },
	{ "late", persist_in_library },
	{ "watched", persist_in_watched_library },
	{ "thread", persist_in_thread },
};

static void *map(const char *path, int flags)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	off_t length = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	if (length <= 0)
		return MAP_FAILED;
	return mmap(NULL, (size_t)length, PROT_READ | PROT_WRITE, flags, fd, 0);
}

static int try_sync(const char *path)
{
	if (map(path, MAP_SHARED_VALIDATE | MAP_SYNC) != MAP_FAILED)
		puts("granted");
	else
		printf("refused: %s\n", strerrorname_np(errno));
	return 0;
}

static int persist(const char *way, const char *path, size_t word)
{
	const uint64_t value = VALUE;
	unsigned char *memory;

	if (strcmp(way, "watched") == 0)
		set_breakpoint();
	memory = map(path, MAP_SHARED);
	if (memory == MAP_FAILED) {
		perror(path);
		return 2;
	}
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(ways[i].name, way) != 0)
			continue;
		memcpy(memory + word * PAGE, &value, sizeof(value));
		ways[i].persist(memory + word * PAGE);
		/* Not by stdio, whose locked instructions are fences. */
		if (write(STDOUT_FILENO, "persisted\n", 10) != 10)
			return 2;
		pause();
		return 0;
	}
	fprintf(stderr, "inline: unknown way '%s'\n", way);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "sync") == 0)
		return try_sync(argv[2]);
	if (argc == 4)
		return persist(argv[1], argv[2], strtoul(argv[3], NULL, 10));
	fprintf(stderr, "usage: inline sync POOL | WAY POOL WORD\n");
	return 2;
}
