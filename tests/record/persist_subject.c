/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * persist_subject POOL: a libpmem program to be recorded. It stores and flushes by libpmem's functions, and
 * so does its handler of SIGALRM, which interrupts them all the time.
 */

#include <err.h>
#include <libpmem.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#define POOL_BYTES ((size_t)1 << 20)
#define ALARMS 2000

static unsigned char *pool;
static volatile uint64_t alarms;

static volatile uint64_t *word(size_t offset)
{
	return (volatile uint64_t *)(void *)(pool + offset);
}

static void on_alarm(int number)
{
	unsigned char bytes[300];

	(void)number;
	alarms++;
	*word(8192) = alarms;
	pmem_persist(pool + 8192, 8);
	memset(bytes, (int)alarms, sizeof(bytes));
	pmem_memcpy_persist(pool + 100, bytes, sizeof(bytes));
}

/* Copies that overlap, in both directions, are among them. */
static void step(unsigned round)
{
	unsigned char bytes[1000];

	memset(bytes, (int)round, sizeof(bytes));
	pmem_memcpy_persist(pool, bytes, sizeof(bytes));
	pmem_memset_nodrain(pool + 4096, (int)round, round % 3000);
	pmem_drain();
	*word(8200) = round;
	pmem_flush(pool + 8200, 8);
	pmem_memmove_persist(pool + 20000, pool + 20010, 500);
	pmem_memmove_persist(pool + 20010, pool + 20000, 5000);
	pmem_memcpy(pool + 40000, bytes, 600, PMEM_F_MEM_NONTEMPORAL);
}

/* Within a page and over its edge, up and down: are they as memmove(3) makes them? */
static bool overlaps_are_right(void)
{
	static const size_t froms[] = { 24576, 28000 }, lengths[] = { 7, 40, 300, 2000 };
	static const int distances[] = { -100, -3, 3, 100 };
	static unsigned char wanted[POOL_BYTES];

	for (size_t i = 0; i < sizeof(wanted); i++)
		wanted[i] = (unsigned char)(i * 7 + i / 256);
	pmem_memcpy_persist(pool, wanted, sizeof(wanted));
	for (unsigned i = 0; i < 2 * 4 * 4; i++) {
		const size_t from = froms[i % 2], length = lengths[i / 2 % 4];
		const int distance = distances[i / 8];

		memmove(wanted + from + distance, wanted + from, length);
		pmem_memmove_persist(pool + from + distance, pool + from, length);
	}
	return memcmp(wanted, pool, sizeof(wanted)) == 0;
}

int main(int argc, char **argv)
{
	bool right;

	struct itimerval often = { .it_interval.tv_usec = 200, .it_value.tv_usec = 200 }, never = { 0 };
	size_t length;
	int is_pmem;

	if (argc != 2)
		errx(2, "usage: persist_subject POOL");
	pool = pmem_map_file(argv[1], POOL_BYTES, PMEM_FILE_CREATE, 0644, &length, &is_pmem);
	if (!pool)
		errx(1, "%s: %s", argv[1], pmem_errormsg());
	right = overlaps_are_right();
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned round = 0; alarms < ALARMS; round++)
		step(round);
	setitimer(ITIMER_REAL, &never, NULL);
	printf("persistent: %d; overlapping copies: %s; alarms in the pool: %s\n", is_pmem,
	       right ? "right" : "wrong", *word(8192) == alarms ? "all" : "not all");
	return 0;
}
