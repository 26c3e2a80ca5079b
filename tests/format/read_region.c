/* SPDX-License-Identifier: BSD-3-Clause */

/* read_region FILE: prints the tree of a file: region that no daemon serves. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "document_reader.h"

int main(int argc, char **argv)
{
	const unsigned char *image;
	struct stat st;
	int fd, damaged;

	if (argc != 2) {
		fputs("usage: read_region FILE\n", stderr);
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(argv[1]);
		return 1;
	}
	image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image == MAP_FAILED) {
		perror(argv[1]);
		return 1;
	}
	damaged = reader_print(image, (uint64_t)st.st_size, stdout);
	if (damaged)
		fprintf(stderr, "%s: %s\n", argv[1], damaged < 0 ? "no region of version 1" : "damaged");
	return damaged ? 1 : 0;
}
