/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A program that makes numbers durable one after the other, and prints each on stdout once it is durable.
 *
 *   survivor count POOL COUNT    64-bit numbers from 1 to COUNT, one to a line
 *   survivor shut POOL COUNT     the same, and now and then close all descriptors but the first three
 *   survivor paced POOL COUNT    the same, and wait for a line on stdin before each thousand
 *   survivor journal POOL COUNT  the same, and after each number store its count in the first line
 *   survivor store POOL          store to each line, without a flush
 *   survivor nontemporal POOL    non-temporal pmem_memcpy() without a fence, a plain store; wait to be killed
 *   survivor where POOL POOL     print the addresses of two mappings
 *   survivor ask                 print the result of pmem_has_auto_flush()
 */

#include <libpmem.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum manner { PLAIN, SHUT, PACED };

static int count(unsigned char *at, size_t length, uint64_t last, enum manner manner)
{
	for (uint64_t i = 1; i <= last; i++) {
		uint64_t *line = (uint64_t *)(at + i * 64 % length);
		char word[16];

		if (manner == PACED && i % 1000 == 1 && !fgets(word, sizeof(word), stdin))
			return 0;
		*line = i;
		pmem_persist(line, sizeof(*line));
		if (manner == SHUT && i % 7001 == 0)
			closefrom(3);
		if (i % 1000 == 0 || i == last) {
			printf("%ju\n", (uintmax_t)i);
			fflush(stdout);
		}
	}
	return 0;
}

static int journal(unsigned char *at, size_t length, uint64_t last)
{
	uint64_t *head = (uint64_t *)at;

	for (uint64_t i = 1; i <= last; i++) {
		uint64_t *line = (uint64_t *)(at + 4096 + i * 64 % (length - 4096));

		*line = i;
		pmem_persist(line, sizeof(*line));
		*head = i;
		pmem_persist(head, sizeof(*head));
		if (i % 1000 == 0) {
			printf("%ju\n", (uintmax_t)i);
			fflush(stdout);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned char *at, block[512];
	size_t length;

	if (argc == 2 && strcmp(argv[1], "ask") == 0) {
		printf("%d\n", pmem_has_auto_flush());
		return 0;
	}
	if (argc < 3)
		return 2;
	at = pmem_map_file(argv[2], 0, 0, 0, &length, NULL);
	if (!at) {
		fprintf(stderr, "survivor: %s\n", pmem_errormsg());
		return 1;
	}
	if (strcmp(argv[1], "count") == 0 && argc == 4)
		return count(at, length, strtoull(argv[3], NULL, 10), PLAIN);
	if (strcmp(argv[1], "shut") == 0 && argc == 4)
		return count(at, length, strtoull(argv[3], NULL, 10), SHUT);
	if (strcmp(argv[1], "paced") == 0 && argc == 4)
		return count(at, length, strtoull(argv[3], NULL, 10), PACED);
	if (strcmp(argv[1], "journal") == 0 && argc == 4)
		return journal(at, length, strtoull(argv[3], NULL, 10));
	if (strcmp(argv[1], "where") == 0 && argc == 4) {
		printf("%p\n", (void *)at);
		printf("%p\n", pmem_map_file(argv[3], 0, 0, 0, NULL, NULL));
		return 0;
	}
	if (strcmp(argv[1], "store") == 0) {
		memset(at, 's', 512);
		return 0;
	}
	if (strcmp(argv[1], "nontemporal") == 0) {
		memset(block, 'n', sizeof(block));
		pmem_memcpy(at, block, sizeof(block), PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
		memset(at + 512, 's', 512);
		/* The end of a process fences, too. */
		puts("stored");
		fflush(stdout);
		pause();
	}
	return 2;
}
