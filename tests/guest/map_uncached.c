/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map_uncached START SIZE [cached]: maps a range of /dev/mem and keeps it mapped, as a careless program
 * could.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	off_t start = argc > 1 ? (off_t)strtoull(argv[1], NULL, 0) : 0;
	size_t size = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
	int fd = open("/dev/mem", O_RDWR | (argc > 3 ? 0 : O_SYNC));

	if (fd < 0 || mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, start) == MAP_FAILED) {
		perror("/dev/mem");
		return 1;
	}
	puts("mapped");
	fflush(stdout);
	pause();
	return 0;
}
