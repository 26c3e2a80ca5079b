/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * fences POOL COUNT THREADS: each thread stores 1, 2, ... COUNT to a line of its own, and persists each of
 * them. Between them it fences with nothing to publish, which does not count.
 */

#include <err.h>
#include <libpmem.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE 64
#define THREADS_MAX 8

static unsigned char *pool;
static uint64_t count;

static void *persist_numbers(void *argument)
{
	volatile uint64_t *number = argument;

	for (uint64_t i = 1; i <= count; i++) {
		*number = i;
		pmem_persist((const void *)(uintptr_t)number, sizeof(*number));
		pmem_drain();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	unsigned long many;
	size_t length;
	int is_pmem;

	if (argc != 4)
		errx(2, "usage: fences POOL COUNT THREADS");
	count = strtoull(argv[2], NULL, 10);
	many = strtoul(argv[3], NULL, 10);
	pool = pmem_map_file(argv[1], 0, 0, 0, &length, &is_pmem);
	if (!pool)
		err(1, "%s", argv[1]);
	if (!is_pmem || many > THREADS_MAX || many * LINE > length)
		errx(1, "%s is no persistent memory, or too small for so many threads", argv[1]);
	for (unsigned long i = 0; i < many; i++)
		if (pthread_create(&threads[i], NULL, persist_numbers, pool + i * LINE) != 0)
			errx(1, "cannot start a thread");
	for (unsigned long i = 0; i < many; i++)
		pthread_join(threads[i], NULL);
	puts("finished");
	return 0;
}
