/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sync_time FILE MIB: the median microseconds of writing one page of a file that holds so many MiB of data,
 * and of making it durable. The file is made if it is not that large.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "now.h"

#define MIB (1L << 20)
#define PAGE 4096
#define PAGES 256 /* that are written in turn, anywhere in the file: as many as a MiB has */
#define MEASURED 4000

static unsigned char block[MIB] __attribute__((aligned(PAGE)));

/* Past the kernel's cache, and synced in between: all sizes leave the same behind. */
static void fill(const char *path, long mib)
{
	int fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);

	if (fd < 0)
		err(1, "%s", path);
	memset(block, 'f', sizeof(block));
	for (long i = lseek(fd, 0, SEEK_END) / MIB; i < mib; i++)
		if (pwrite(fd, block, MIB, i * MIB) != MIB || (i % 64 == 63 && fsync(fd)))
			err(1, "%s", path);
	if (fsync(fd) || close(fd))
		err(1, "%s", path);
}

static int by_value(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;

	return (one > other) - (one < other);
}

int main(int argc, char **argv)
{
	static double times[MEASURED];
	long mib = argc == 3 ? atol(argv[2]) : 0;
	int fd;

	if (mib < 1) {
		fprintf(stderr, "usage: sync_time FILE MIB\n");
		return 2;
	}
	fill(argv[1], mib);
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", argv[1]);
	/* The first round brings the pages into the kernel's cache. */
	for (int i = -PAGES; i < MEASURED; i++) {
		long page = (i + PAGES) % PAGES * mib;
		double from = now();

		memset(block, i, PAGE);
		if (pwrite(fd, block, PAGE, page * PAGE) != PAGE || fdatasync(fd))
			err(1, "%s", argv[1]);
		if (i >= 0)
			times[i] = (now() - from) * 1e6;
	}
	qsort(times, MEASURED, sizeof(times[0]), by_value);
	printf("%.2f\n", times[MEASURED / 2]);
	return 0;
}
