/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * ahead_subject POOL STEP: store 8 bytes to every STEP-th page of a pool, flush each of them, and read it
 * again. Prints how many pages were touched, how many have memory by then, and how many page faults its own
 * stores and loads took.
 */

#include <err.h>
#include <fcntl.h>
#include <libpmem.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define PAGE 4096ul

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

int main(int argc, char **argv)
{
	const size_t step = argc == 3 ? strtoul(argv[2], NULL, 10) * PAGE : 0;
	const int file = argc == 3 ? open(argv[1], O_RDWR) : -1;
	size_t touched = 0, present = 0;
	unsigned char *has_memory;
	volatile unsigned char *pool;
	struct stat status;
	long taken = 0;

	if (!step || file < 0 || fstat(file, &status) != 0)
		errx(2, "usage: ahead_subject POOL STEP");
	pool = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	has_memory = calloc(1, (size_t)status.st_size / PAGE);
	if (pool == MAP_FAILED || !has_memory)
		err(1, "%s", argv[1]);
	for (size_t at = 0; at < (size_t)status.st_size; at += step, touched++) {
		taken -= faults();
		*(volatile uint64_t *)(volatile void *)(pool + at) = at;
		taken += faults();
		pmem_flush((const void *)(pool + at), 8);
		taken -= faults();
		if (pool[at + 8] != 0)
			errx(1, "other bytes of the page are not zero");
		taken += faults();
	}
	pmem_drain();
	if (mincore((void *)pool, (size_t)status.st_size, has_memory) != 0)
		err(1, "mincore");
	for (size_t i = 0; i < (size_t)status.st_size / PAGE; i++)
		present += has_memory[i] & 1;
	printf("%zu %zu %ld\n", touched, present, taken);
	return 0;
}
