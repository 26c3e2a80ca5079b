/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The libpmemobj program of objects.h, with transactions, the allocator and lists, for softpmem explore:
 *
 *   objects_explored create POOL       8 MiB, before the recording
 *   objects_explored load POOL STEPS   print each step once it is committed
 *   objects_explored check POOL        the pool is consistent, and holds the last step that was printed
 *                                      before the crash, or one more
 *
 * Exit status: 0; 1 if the check fails; 2 for wrong words.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objects.h"

#define POOL_BYTES (8u << 20)

static int load(const char *path, uint64_t steps)
{
	static struct journal journal;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (uint64_t step = 1; step <= steps; step++) {
		if (objects_run(path, &journal, 1, step) != 0)
			return 1;
		printf("%" PRIu64 "\n", step);
	}
	return 0;
}

static int check(const char *path)
{
	static struct journal journal;
	FILE *printed = fopen(getenv("SOFTPMEM_STDOUT"), "r");
	unsigned long long step;

	if (!printed)
		return 2;
	while (fscanf(printed, "%llu", &step) == 1)
		journal.committed[0] = step;
	fclose(printed);
	return objects_check(path, &journal);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "create") == 0)
		return objects_create(argv[2], POOL_BYTES);
	if (argc == 4 && strcmp(argv[1], "load") == 0)
		return load(argv[2], strtoull(argv[3], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "check") == 0 && getenv("SOFTPMEM_STDOUT"))
		return check(argv[2]);
	fprintf(stderr, "usage: objects_explored create POOL | load POOL STEPS | check POOL\n");
	return 2;
}
