/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * races_subject WHAT POOL: a program to be recorded, in which threads store to a mapping of the file POOL
 * while others fork, protect and map it, and load and unload libraries. It prints what it saw: the same
 * whether it is recorded or not.
 */

#include <dlfcn.h>
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define POOL_BYTES (1u << 20)

static unsigned char *pool, *again;
static atomic_bool stop;
static int file;

static _Atomic uint64_t *counter(unsigned char *mapping)
{
	return (_Atomic uint64_t *)(void *)mapping;
}

static void store_some(unsigned char *mapping, uint64_t i)
{
	atomic_fetch_add(counter(mapping), 1);
	*(volatile uint64_t *)(void *)(mapping + 64 + i % 300) = i;
	memset(mapping + 500 + i % 100, (int)i, 1 + i % 64);
	atomic_store((_Atomic uint64_t *)(void *)(mapping + 128), i);
}

static void *store_on(void *mapping)
{
	for (uint64_t i = 0; !stop; i++) {
		store_some(mapping, i);
		if (i % 50 == 0)
			usleep(100);
	}
	return NULL;
}

static void *store_counted(void *mapping)
{
	for (uint64_t i = 0; i < 10000; i++)
		store_some(mapping, i);
	return NULL;
}

static void *store_few(void *mapping)
{
	for (uint64_t i = 0; i < 200; i++)
		store_some(mapping, i);
	return NULL;
}

static void wait_for(pid_t pid)
{
	int status = 0;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 4 << 8)
		errx(1, "a child has status 0x%x", (unsigned)status);
}

static pthread_t start(void *(*function)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, function, argument) != 0)
		errx(1, "pthread_create");
	return thread;
}

static void finish(pthread_t one, pthread_t other)
{
	pthread_join(one, NULL);
	pthread_join(other, NULL);
	printf("counter %lu\n", (unsigned long)*counter(pool));
}

/* Two mappings of the same bytes. */
static void twice(void)
{
	pthread_t one = start(store_counted, pool), other = start(store_counted, again);

	finish(one, other);
}

static void forks(void)
{
	pthread_t one = start(store_on, pool), other = start(store_on, pool);

	for (unsigned i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			for (uint64_t j = 0; j < 200; j++)
				store_some(pool, j);
			pthread_join(start(store_few, pool + 8192), NULL);
			_exit(4);
		}
		wait_for(pid);
	}
	stop = true;
	pthread_join(one, NULL);
	pthread_join(other, NULL);
	*counter(pool) = 0;
	printf("20 children have stored\n");
}

/* Many instructions that have not stored yet: while they are found by two threads, processes are made. */
#define SITES(number)                                                                                  \
	static __attribute__((noinline)) void sites_##number(unsigned value)                           \
	{                                                                                              \
		unsigned char *at = pool + 64 * (number);                                              \
                                                                                                       \
		*(volatile unsigned *)(void *)at = value;                                              \
		*(volatile uint16_t *)(void *)(at + 4) = (uint16_t)value;                              \
		*(volatile unsigned char *)(at + 6) = (unsigned char)value;                            \
		*(volatile uint64_t *)(void *)(at + 60) = value;                                       \
		__atomic_fetch_add((unsigned *)(void *)(at + 8), value, __ATOMIC_SEQ_CST);             \
		*(volatile unsigned *)(void *)(at + 16) += value;                                      \
	}
#define TEN_SITES(of) SITES(of##0) SITES(of##1) SITES(of##2) SITES(of##3) SITES(of##4) SITES(of##5) \
	SITES(of##6) SITES(of##7) SITES(of##8) SITES(of##9)
TEN_SITES(1) TEN_SITES(2) TEN_SITES(3) TEN_SITES(4) TEN_SITES(5) TEN_SITES(6) TEN_SITES(7)
#define TEN_OF(of) sites_##of##0, sites_##of##1, sites_##of##2, sites_##of##3, sites_##of##4, sites_##of##5, \
	sites_##of##6, sites_##of##7, sites_##of##8, sites_##of##9
static void (*const all_sites[])(unsigned) = {
	TEN_OF(1), TEN_OF(2), TEN_OF(3), TEN_OF(4), TEN_OF(5), TEN_OF(6), TEN_OF(7),
};
#define SITES_COUNT (sizeof(all_sites) / sizeof(all_sites[0]))

static atomic_uint started;

static void *find_sites(void *number)
{
	started++;
	for (unsigned i = 0; i < SITES_COUNT; i++)
		all_sites[(i * 7 + (uintptr_t)number * 31) % SITES_COUNT](i);
	return NULL;
}

/* The program's own handlers store, too, by instructions that are new. */
static void before_fork(void)
{
	*(volatile uint64_t *)(void *)(pool + 16384) += 1;
}

static void in_parent(void)
{
	*(volatile uint64_t *)(void *)(pool + 16384 + 64) += 1;
}

static void in_child(void)
{
	*(volatile uint64_t *)(void *)(pool + 16384 + 128) += 1;
}

static void sites(void)
{
	pthread_t one = start(find_sites, (void *)1), other = start(find_sites, (void *)2);

	while (started < 2)
		sched_yield();
	for (unsigned i = 0; i < 6; i++) {
		pid_t pid = fork();

		if (!pid) {
			for (unsigned j = 0; j < SITES_COUNT; j++)
				all_sites[(j * 11 + i) % SITES_COUNT](j);
			_exit(4);
		}
		wait_for(pid);
	}
	pthread_join(one, NULL);
	pthread_join(other, NULL);
	printf("forks %lu, in the parent %lu\n", (unsigned long)*(volatile uint64_t *)(void *)(pool + 16384),
	       (unsigned long)*(volatile uint64_t *)(void *)(pool + 16384 + 64));
}

/* It comes again until the page may be stored to. */
static void wait_for_it(int number)
{
	(void)number;
	sched_yield();
}

static void protects(void)
{
	struct sigaction action = { .sa_handler = wait_for_it };
	pthread_t one, other;

	sigaction(SIGSEGV, &action, NULL);
	one = start(store_counted, pool);
	other = start(store_counted, pool);
	for (unsigned i = 0; i < 300; i++) {
		if (mprotect(pool, 4096, PROT_READ) != 0)
			err(1, "mprotect");
		sched_yield();
		if (mprotect(pool, 4096, PROT_READ | PROT_WRITE) != 0)
			err(1, "mprotect");
		sched_yield();
	}
	finish(one, other);
}

static void maps(void)
{
	pthread_t one = start(store_counted, pool), other = start(store_counted, pool);

	for (unsigned i = 0; i < 200; i++) {
		unsigned char *some = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

		if (some == MAP_FAILED)
			err(1, "mmap");
		store_some(some, i);
		some = mremap(some, 65536, 131072, MREMAP_MAYMOVE);
		if (some == MAP_FAILED)
			err(1, "mremap");
		store_some(some, i);
		munmap(some, 131072);
	}
	finish(one, other);
}

typedef int code_fn(unsigned char *to, unsigned long *length, const unsigned char *from, unsigned long count);

static void loads(void)
{
	pthread_t one = start(store_counted, pool), other = start(store_counted, pool);
	static const unsigned char zeros[5000];

	for (unsigned i = 0; i < 40; i++) {
		void *zlib = dlopen("libz.so.1", RTLD_NOW);
		unsigned long length = 10000;

		if (!zlib)
			errx(77, "%s", dlerror());
		((code_fn *)dlsym(zlib, "compress"))(pool + 65536 + i, &length, zeros, sizeof(zeros));
		dlclose(zlib);
	}
	finish(one, other);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*function)(void);
	} all[] = {
		{ "twice", twice },	  { "forks", forks }, { "protects", protects }, { "maps", maps },
		{ "loads", loads }, { "sites", sites },
	};

	file = argc == 3 ? open(argv[2], O_RDWR) : -1;
	if (strcmp(argv[1], "sites") == 0)
		pthread_atfork(before_fork, in_parent, in_child);
	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	again = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (pool == MAP_FAILED || again == MAP_FAILED)
		err(2, "usage: races_subject WHAT POOL");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(argv[1], all[i].name) == 0) {
			all[i].function();
			return 0;
		}
	errx(2, "%s: unknown", argv[1]);
}
