/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * record_time POOL: under softpmem record, what a recorded store of 8 bytes costs. Prints nanoseconds a
 * store of a site that was executed before: by one thread, by each of two threads on lines of their own, by
 * each of two threads on one line; and microseconds of the first store of a site. Each is the least of many
 * short series: longer ones fill the thread's buffer, and then measure how fast the daemon writes.
 */

#include <err.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
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

/* Two threads, which begin each series together. */
struct worker {
	volatile uint64_t *to;
	double starts[SERIES], ends[SERIES];
};
static _Atomic unsigned ready;

static void *work(void *argument)
{
	struct worker *worker = argument;

	for (unsigned i = 0; i < SERIES; i++) {
		usleep(PAUSE_US);
		atomic_fetch_add(&ready, 1);
		/* Not a barrier of libc: the one that it wakes would be late by as much as a series takes. */
		while (atomic_load(&ready) < 2 * (i + 1))
			;
		worker->starts[i] = now();
		store(worker->to, STORES);
		worker->ends[i] = now();
	}
	return NULL;
}

/* Seconds of the shortest series in which both ran all the time; a huge number: there was none. */
static double series_of_two(uint64_t *one, uint64_t *other)
{
	static struct worker workers[2];
	pthread_t threads[2];
	double best = 1e18;

	atomic_store(&ready, 0);
	for (unsigned i = 0; i < 2; i++) {
		workers[i] = (struct worker){ .to = i ? other : one };
		if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
			errx(1, "pthread_create");
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < SERIES; i++) {
		const double all = fmax(workers[0].ends[i], workers[1].ends[i]) -
				   fmin(workers[0].starts[i], workers[1].starts[i]);
		const double both = fmin(workers[0].ends[i], workers[1].ends[i]) -
				    fmax(workers[0].starts[i], workers[1].starts[i]);

		/* On a processor each, and not one after the other. */
		if (both > 0.8 * all)
			best = fmin(best, all);
	}
	return best;
}

static double two_threads(uint64_t *one, uint64_t *other)
{
	double best = 1e18;

	/* On a machine that is busy it takes a while. */
	for (unsigned i = 0; i < 20 && best > 1; i++)
		best = series_of_two(one, other);
	if (best > 1)
		errx(1, "the two threads never ran at the same time");
	return best * 1e9 / STORES;
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
