/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The program of tests/pmdk/objects.c on a machine that is reset, where no
 * memory tells afterwards how far it was:
 *
 *   persistent create POOL
 *   persistent run POOL TELL STEPS   a byte to TELL for each step, after it is committed
 *   persistent check POOL            consistent, and whole? Prints "steps N"
 */

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../pmdk/objects.h"

static struct journal journal;

static void *tell(void *context)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	const int *to = context;
	uint64_t told = 0;

	for (;; nanosleep(&moment, NULL)) {
		/* A pool that had some before begins there. */
		if (told == 0 && journal.committed[0] > 0)
			told = journal.committed[0] - 1;
		for (; told < journal.committed[0]; told++) {
			if (write(*to, ".", 1) != 1)
				abort();
		}
	}
	return NULL;
}

static int run(const char *pool, const char *path, uint64_t steps)
{
	int to = open(path, O_WRONLY | O_CLOEXEC);
	pthread_t thread;

	if (to < 0 || pthread_create(&thread, NULL, tell, &to) != 0) {
		perror(path);
		return 1;
	}
	return objects_run(pool, &journal, 1, steps);
}

static int check(const char *pool)
{
	/* What it says of a journal that knows nothing is not asked; but then the journal is up to it. */
	int status = objects_check(pool, &journal);

	if (status == 0 || journal.committed[0] > 0)
		status = objects_check(pool, &journal);
	printf("steps %" PRIu64 "\n", journal.committed[0]);
	return status;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "create") == 0)
		return objects_create(argv[2], 8u << 20);
	if (argc == 5 && strcmp(argv[1], "run") == 0)
		return run(argv[2], argv[3], strtoull(argv[4], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "check") == 0)
		return check(argv[2]);
	fputs("usage: persistent create POOL | run POOL TELL STEPS | check POOL\n", stderr);
	return 2;
}
