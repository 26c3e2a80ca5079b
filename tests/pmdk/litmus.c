/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The rows of the persistency model, each on a line of the pool of its own, by a program with real threads.
 *
 *   litmus run POOL            do all rows, say so on stdout, and wait for the power failure
 *   litmus judge POOL POLICY   exit with 0 if each line is what the policy leaves. With `random` any legal
 *                              state is accepted, and the bits of a number on stdout say which were found
 *   litmus rows                print the number of rows
 *
 * Each line is 0 at first. The stores of a row to its first word store 1, 2 and so on.
 */

#include <libpmem.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE 64

static int is_battery; /* under eADR, where other states are expected */

static void store(uint64_t *line, uint64_t value)
{
	atomic_store_explicit((_Atomic uint64_t *)line, value, memory_order_relaxed);
}

static void non_temporal(uint64_t *line, uint64_t value, unsigned flags)
{
	uint64_t words[LINE / 8] = { value };

	pmem_memcpy(line, words, LINE, PMEM_F_MEM_NONTEMPORAL | flags);
}

/* ---- The rows ------------------------------------------------------------------------ */

static void only_store(uint64_t *line)
{
	store(line, 1);
}

static void flush_and_fence(uint64_t *line)
{
	store(line, 1);
	pmem_flush(line, 8);
	pmem_drain();
}

static void persist(uint64_t *line)
{
	store(line, 1);
	pmem_persist(line, 8);
}

static void flush_alone(uint64_t *line)
{
	store(line, 1);
	pmem_flush(line, 8);
}

static void fence_alone(uint64_t *line)
{
	store(line, 1);
	pmem_drain();
}

static void store_after_flush(uint64_t *line)
{
	store(line, 1);
	pmem_flush(line, 8);
	store(line, 2);
	pmem_drain();
}

static void store_after_fence(uint64_t *line)
{
	store(line, 1);
	pmem_persist(line, 8);
	store(line, 2);
}

static void flush_twice(uint64_t *line)
{
	store(line, 1);
	pmem_flush(line, 8);
	store(line, 2);
	pmem_flush(line, 8);
	pmem_drain();
}

static void flush_of_neighbour(uint64_t *line)
{
	/* A flush of any byte flushes the line. */
	store(line, 1);
	pmem_persist(line + 7, 1);
}

static void flush_of_next_line(uint64_t *line)
{
	store(line, 1);
	pmem_persist(line + LINE / 8, 1);
}

static void non_temporal_and_fence(uint64_t *line)
{
	non_temporal(line, 1, 0);
}

static void non_temporal_alone(uint64_t *line)
{
	non_temporal(line, 1, PMEM_F_MEM_NODRAIN);
}

static void non_temporal_set(uint64_t *line)
{
	pmem_memset(line, 1, 1, PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_NODRAIN);
}

static void non_temporal_overlapping(uint64_t *line)
{
	store(line + 1, 1);
	pmem_memmove(line, line + 1, LINE - 8, PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_NODRAIN);
}

static void *fence_here(void *line)
{
	pmem_drain();
	/* A thread that has a queue to fence. */
	pmem_persist((uint64_t *)line + LINE / 8, 8);
	return NULL;
}

static void *flush_here(void *line)
{
	pmem_flush(line, 8);
	/* The end of a thread fences, so it must wait for the power failure. */
	atomic_store((_Atomic uint64_t *)((uint64_t *)line + 1), 1);
	for (;;)
		pause();
	return NULL;
}

static void in_thread(void *(*work)(void *), void *line, int wait)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, work, line) != 0)
		exit(2);
	if (wait)
		pthread_join(thread, NULL);
}

static void fence_of_another(uint64_t *line)
{
	store(line, 1);
	pmem_flush(line, 8);
	in_thread(fence_here, line, 1);
}

static void flush_of_another(uint64_t *line)
{
	store(line, 1);
	in_thread(flush_here, line, 0);
	while (!atomic_load((_Atomic uint64_t *)(line + 1)))
		usleep(1000);
	pmem_drain();
}

/*
 * The first word after `lose`, after `keep`, and under eADR. Rows that leave a flush without a fence come
 * last: a later fence of the same thread would commit it.
 */
static const struct row {
	const char *what;
	void (*work)(uint64_t *line);
	uint64_t lose, keep, battery;
} rows[] = {
	{ "a store", only_store, 0, 1, 1 },
	{ "a store, a flush, a fence", flush_and_fence, 1, 1, 1 },
	{ "a store, a persist", persist, 1, 1, 1 },
	{ "a store, a fence", fence_alone, 0, 1, 1 },
	{ "a store, a flush, a store, a fence", store_after_flush, 1, 2, 2 },
	{ "a store, a persist, a store", store_after_fence, 1, 2, 2 },
	{ "a store and a flush, twice, a fence", flush_twice, 2, 2, 2 },
	{ "a store, a persist of the line's last byte", flush_of_neighbour, 1, 1, 1 },
	{ "a store, a persist of the next line", flush_of_next_line, 0, 1, 1 },
	{ "a non-temporal store, a fence", non_temporal_and_fence, 1, 1, 1 },
	{ "a store, another thread's flush, a fence", flush_of_another, 0, 1, 1 },
	{ "a non-temporal store", non_temporal_alone, 0, 1, 0 },
	{ "a non-temporal memset", non_temporal_set, 0, 1, 0 },
	{ "a non-temporal memmove from the same line", non_temporal_overlapping, 0, 1, 0 },
	{ "a store, a flush, another thread's fence", fence_of_another, 0, 1, 1 },
	{ "a store, a flush", flush_alone, 0, 1, 1 },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Rows have lines far apart, because a row may touch the next line. */
static uint64_t *line_of(unsigned char *memory, size_t row)
{
	return (uint64_t *)(memory + row * 4 * LINE);
}

static void __attribute__((noreturn)) run(unsigned char *memory)
{
	for (size_t i = 0; i < ROWS; i++)
		rows[i].work(line_of(memory, i));
	puts("done");
	fflush(stdout);
	for (;;)
		pause();
}

static int judge(unsigned char *memory, const char *policy)
{
	int is_keep = strcmp(policy, "keep") == 0, is_random = strcmp(policy, "random") == 0;
	int wrong = 0;

	for (size_t i = 0; i < ROWS; i++) {
		const struct row *row = &rows[i];
		uint64_t found = *line_of(memory, i);
		uint64_t wanted = is_battery ? row->battery : is_keep ? row->keep : row->lose;
		int between = found >= row->lose && found <= row->keep;
		int legal = found == wanted || (is_random && !is_battery && between);

		if (!legal)
			printf("%s: %ju, not %ju\n", row->what, (uintmax_t)found, (uintmax_t)wanted);
		wrong |= !legal;
		if (is_random)
			putchar(found == row->lose ? '0' : '1');
	}
	putchar('\n');
	return wrong;
}

int main(int argc, char **argv)
{
	unsigned char *memory;

	if (argc == 2 && strcmp(argv[1], "rows") == 0) {
		printf("%zu\n", ROWS);
		return 0;
	}
	if (argc < 3)
		return 2;
	is_battery = pmem_has_auto_flush() == 1;
	memory = pmem_map_file(argv[2], 0, 0, 0, NULL, NULL);
	if (!memory) {
		fprintf(stderr, "litmus: %s\n", pmem_errormsg());
		return 2;
	}
	if (strcmp(argv[1], "run") == 0)
		run(memory);
	return argc == 4 && strcmp(argv[1], "judge") == 0 ? judge(memory, argv[3]) : 2;
}
