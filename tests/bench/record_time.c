/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * record_time POOL: under softpmem record, what a recorded store of 8 bytes costs. Prints nanoseconds a
 * store of a site that was executed before: by one thread, by two threads on lines of their own, by two
 * threads on one line; and microseconds of the first store of a site. Each is the least of many short
 * series: longer ones fill the thread's buffer, and then measure how fast the daemon writes.
 */

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "now.h"

#define SERIES 60
#define STORES 8000
#define PAUSE_US 20000
#define SITES 256

static __attribute__((noinline)) void store(volatile uint64_t *to, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		*to = i;
}

static double least(volatile uint64_t *to)
{
	double best = 1e18;

	for (unsigned i = 0; i < SERIES; i++) {
		double start;

		usleep(PAUSE_US);
		start = now();
		store(to, STORES);
		if (now() - start < best)
			best = now() - start;
	}
	return best * 1e9 / STORES;
}

struct worker {
	volatile uint64_t *to;
	double nanoseconds;
};

static void *work(void *argument)
{
	struct worker *worker = argument;

	worker->nanoseconds = least(worker->to);
	return NULL;
}

static double two_threads(uint64_t *one, uint64_t *other)
{
	struct worker workers[2] = { { .to = one }, { .to = other } };
	pthread_t threads[2];

	for (unsigned i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
			errx(1, "pthread_create");
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return (workers[0].nanoseconds + workers[1].nanoseconds) / 2;
}

/* SITES instructions, each executed for the first time. */
static double first_stores(uint64_t *to)
{
	double start = now();

	__asm__ volatile(".rept 128\n\tmovq $1, (%0)\n\tmovq %1, 8(%0)\n\t.endr"
			 :
			 : "r"(to), "r"(start)
			 : "memory");
	return (now() - start) * 1e6 / SITES;
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDWR) : -1;
	unsigned char *pool = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (pool == MAP_FAILED)
		err(1, "usage: record_time POOL");
	printf("first_store %.2f us\n", first_stores((uint64_t *)(void *)(pool + 8192)));
	printf("one_thread %.1f ns\n", least((uint64_t *)(void *)pool));
	printf("own_lines %.1f ns\n",
	       two_threads((uint64_t *)(void *)pool, (uint64_t *)(void *)(pool + 4096)));
	printf("one_line %.1f ns\n", two_threads((uint64_t *)(void *)pool, (uint64_t *)(void *)(pool + 8)));
	return 0;
}
