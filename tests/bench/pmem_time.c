/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * How fast a libpmem program is, built once and run beside the system's libpmem or under `softpmem run`.
 *
 *   pmem_time persist SIZE ORDER FILE [SECONDS [MIB]]   SIZE bytes of stores, then pmem_persist() of them
 *   pmem_time memcpy SIZE ORDER FILE [SECONDS [MIB]]    pmem_memcpy_persist() of SIZE bytes from warm memory
 *   pmem_time touch load|store FILE                     map FILE as it is and touch each page once
 *
 * The first two print operations a second, the third milliseconds. FILE is made
 * with MIB (256) if it is not there, and every line of it is written and made
 * durable before the clock starts: pages are all there, caches hold the end of
 * it, and queues are as full as they get. ORDER is where the next operation
 * goes: `order` is the place after the last one and round again, as in a log;
 * `scatter` is any multiple of SIZE, by a fixed seed, as in a table.
 */

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "now.h"

#define PAGE 4096
#define MIB ((size_t)1 << 20)
#define SOURCES 4 /* source of memcpy, used in order: warm, but not always the same line */

struct place {
	unsigned char *memory;
	size_t slots, size, at;
	bool scatter;
	uint64_t random;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "pmem_time: %s: %s\n", what, why);
	exit(1);
}

static inline unsigned char *next(struct place *place)
{
	if (place->scatter) {
		place->random ^= place->random << 13;
		place->random ^= place->random >> 7;
		place->random ^= place->random << 17;
		place->at = (size_t)(((unsigned __int128)place->random * place->slots) >> 64);
	} else if (++place->at == place->slots) {
		place->at = 0;
	}
	return place->memory + place->at * place->size;
}

static unsigned char *map(const char *path, size_t size, size_t *length)
{
	unsigned char *memory;
	int is_pmem;
	bool there = access(path, F_OK) == 0;

	memory = pmem_map_file(path, there ? 0 : size, there ? 0 : PMEM_FILE_CREATE, 0600, length, &is_pmem);
	if (!memory)
		die(path, pmem_errormsg());
	if (!is_pmem)
		die(path, "is no persistent memory: neither PMEM_IS_PMEM_FORCE=1 nor softpmem run");
	return memory;
}

/* Store in pieces, as programs do. */
static void settle(unsigned char *memory, size_t length)
{
	for (size_t at = 0; at < length; at += MIB)
		pmem_memset_persist(memory + at, 1, length - at < MIB ? length - at : MIB);
}

static void persist(struct place *place, uint64_t count)
{
	static uint64_t value;

	for (uint64_t i = 0; i < count; i++) {
		uint64_t *to = (uint64_t *)next(place);

		value++;
		for (size_t word = 0; word < place->size / sizeof(*to); word++)
			to[word] = value;
		pmem_persist(to, place->size);
	}
}

static void copy(struct place *place, uint64_t count)
{
	static unsigned char *sources;
	static unsigned turn;

	if (!sources) {
		sources = malloc(SOURCES * place->size);
		if (!sources)
			die("malloc", strerror(errno));
		for (size_t i = 0; i < SOURCES * place->size; i++)
			sources[i] = (unsigned char)(i * 31 >> 3);
	}
	for (uint64_t i = 0; i < count; i++) {
		unsigned char *from = sources + (turn++ % SOURCES) * place->size;

		pmem_memcpy_persist(next(place), from, place->size);
	}
}

/* Operations per second, measured for at least `seconds`. */
static double rate(struct place *place, double seconds, void (*operation)(struct place *, uint64_t))
{
	uint64_t done = 0, batch = 1 + 65536 / place->size;
	double start, end;

	operation(place, batch * 16);
	start = now();
	do {
		operation(place, batch);
		done += batch;
		end = now();
	} while (end - start < seconds);
	return (double)done / (end - start);
}

static int micro(int argc, char **argv)
{
	struct place place = { .size = strtoull(argv[2], NULL, 10),
			       .scatter = strcmp(argv[3], "scatter") == 0,
			       .random = 88172645463325252u };
	double seconds = argc > 5 ? strtod(argv[5], NULL) : 1;
	size_t length, wanted = (argc > 6 ? strtoull(argv[6], NULL, 10) : 256) * MIB;

	if (place.size < sizeof(uint64_t) || place.size > wanted) {
		fprintf(stderr, "pmem_time: %s: no size of an operation: 8 to %zu\n", argv[2], wanted);
		return 2;
	}
	place.memory = map(argv[4], wanted, &length);
	place.slots = length / place.size;
	settle(place.memory, length);
	printf("%.0f\n", rate(&place, seconds, strcmp(argv[1], "persist") == 0 ? persist : copy));
	return 0;
}

/*
 * Check that the pages were written before: a page of zeros may be a hole, and touching it would measure
 * something else.
 */
static int touch(const char *how, const char *path)
{
	bool store = strcmp(how, "store") == 0;
	double start = now(), milliseconds;
	volatile uint64_t *memory;
	size_t length, empty = 0;

	memory = (volatile uint64_t *)map(path, 0, &length);
	for (size_t at = 0; at < length / sizeof(*memory); at += PAGE / sizeof(*memory)) {
		if (store)
			memory[at] = at + 1;
		else
			empty += memory[at] == 0;
	}
	milliseconds = (now() - start) * 1e3;
	if (empty)
		die(path, "has pages without data");
	printf("%.2f\n", milliseconds);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 5 && (strcmp(argv[1], "persist") == 0 || strcmp(argv[1], "memcpy") == 0) &&
	    (strcmp(argv[3], "order") == 0 || strcmp(argv[3], "scatter") == 0))
		return micro(argc, argv);
	if (argc == 4 && strcmp(argv[1], "touch") == 0 &&
	    (strcmp(argv[2], "load") == 0 || strcmp(argv[2], "store") == 0))
		return touch(argv[2], argv[3]);
	fprintf(stderr, "usage: pmem_time persist|memcpy SIZE order|scatter FILE [SECONDS [MIB]]\n"
			"       pmem_time touch load|store FILE\n");
	return 2;
}
