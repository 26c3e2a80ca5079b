/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A program that has pools of several regions mapped.
 *
 *   across once POOL...      store to two pages of each pool, flush the first page of each, and fence once;
 *                            then flush the second pages without a fence, and wait to be killed
 *   across count POOL...     write increasing numbers, one to a line, to all pools, with one fence for each
 *                            number. The threads that do so start and end all the time, and a signal handler
 *                            does the same to the last line. Print progress as "NUMBER HANDLED"
 *   across fill POOL...      the same until each line but the last has its number; then wait to be killed
 *   across beside POOL POOL  map the second half of one pool right behind the first half of the other, and
 *                            persist both halves by one call
 */

#include <fcntl.h>
#include <libpmem.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define LINE 64
#define MOST 4
#define BATCH 1000

static unsigned char *pools[MOST];
static size_t lengths[MOST];
static int pool_count;
static volatile sig_atomic_t handled;

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "across: %s: %s\n", what, pmem_errormsg());
	exit(1);
}

static void __attribute__((noreturn)) once(void)
{
	for (int i = 0; i < pool_count; i++)
		memset(pools[i], 'f', 8192);
	for (int i = 0; i < pool_count; i++)
		pmem_flush(pools[i], 4096);
	pmem_drain();
	/* These flushes are not fenced: the fence above is before them. */
	for (int i = 0; i < pool_count; i++)
		pmem_flush(pools[i] + 4096, 4096);
	puts("fenced");
	fflush(stdout);
	for (;;)
		pause();
}

/* Store the number to a line of each pool. The handler flushes the pools in another order. */
static void put(size_t line, uint64_t number, int step)
{
	int first = step > 0 ? 0 : pool_count - 1;

	for (int i = first; i >= 0 && i < pool_count; i += step) {
		uint64_t *at = (uint64_t *)(pools[i] + line * LINE);

		*at = number;
		pmem_flush(at, sizeof(*at));
	}
	pmem_drain();
}

static void on_alarm(int number)
{
	put(lengths[0] / LINE - 1, (uint64_t)handled + 1, -1);
	handled++;
}

static void *batch(void *context)
{
	uint64_t *done = context;

	for (int i = 0; i < BATCH; i++) {
		++*done;
		put(*done % (lengths[0] / LINE - 1), *done, 1);
	}
	return NULL;
}

static void __attribute__((noreturn)) count(uint64_t last)
{
	const struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	const struct itimerval often = { .it_interval.tv_usec = 50, .it_value.tv_usec = 50 };
	uint64_t done = 0;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (done < last) {
		unsigned long long handled_before = (unsigned long long)handled;
		pthread_t thread;

		if (pthread_create(&thread, NULL, batch, &done) != 0)
			die("thread");
		pthread_join(thread, NULL);
		printf("%llu %llu\n", (unsigned long long)done, handled_before);
		fflush(stdout);
	}
	for (;;)
		pause();
}

static int beside(char **names)
{
	const size_t half = lengths[0] / 2;
	unsigned char *at = mmap(NULL, 2 * half, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 2; i++) {
		int fd = open(names[i], O_RDWR);

		size_t offset = (size_t)i * half;

		if (fd < 0 || mmap(at + offset, half, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
				   (off_t)offset) == MAP_FAILED)
			die(names[i]);
		close(fd);
	}
	memset(at, 'b', half);
	memset(at + half, 'B', half);
	pmem_persist(at, 2 * half);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 2; i < argc && pool_count < MOST; i++, pool_count++) {
		pools[pool_count] = pmem_map_file(argv[i], 0, 0, 0, &lengths[pool_count], NULL);
		if (!pools[pool_count])
			die(argv[i]);
	}
	if (pool_count == 0)
		return 2;
	if (strcmp(argv[1], "once") == 0)
		once();
	if (strcmp(argv[1], "count") == 0)
		count(UINT64_MAX);
	if (strcmp(argv[1], "fill") == 0)
		count(lengths[0] / LINE - 1);
	if (strcmp(argv[1], "beside") == 0 && pool_count == 2)
		return beside(argv + 2);
	return 2;
}
