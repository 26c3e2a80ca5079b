/* SPDX-License-Identifier: BSD-3-Clause */
/* memcpy_time MIB: the milliseconds of one memcpy of this size, between pages that are present. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

int main(int argc, char **argv)
{
	size_t size = argc == 2 ? (size_t)strtoull(argv[1], NULL, 10) << 20 : 0;
	struct timespec start, end;
	unsigned char *from, *to;

	if (size == 0) {
		fprintf(stderr, "usage: memcpy_time MIB\n");
		return 2;
	}
	from = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (from == MAP_FAILED || to == MAP_FAILED) {
		perror("memcpy_time");
		return 1;
	}
	memset(from, 1, size);
	memset(to, 2, size);
	clock_gettime(CLOCK_MONOTONIC, &start);
	memcpy(to, from, size);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.2f\n",
	       (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6);
	return to[size - 1] == 1 ? 0 : 1;
}
