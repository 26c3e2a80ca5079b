/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * indexes NAME POOL load THREADS COUNT: create the index in the file POOL, of a size that is enough;
 * each thread inserts COUNT keys of its own and removes every third. Each change is printed once it is
 * durable, if there is one thread. Then look for every key.
 *
 * indexes NAME POOL check: a checker for softpmem explore. Recover the index; each key that the file
 * that SOFTPMEM_STDOUT names says was inserted and not removed is there with its value, and no removed
 * one.
 *
 * With INDEXES_FLUSHES_KEPT=N in the environment the flush after each N flushes is left out; with
 * INDEXES_MISTAKE=NAME the index makes a mistake of indexes.h.
 */

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "indexes.h"

static const struct index_type *const types[] = { &index_level_hash, &index_fast_fair, &index_clht };
static const struct index_type *type;
static struct index_pool *pool;
static uint64_t threads, count;
unsigned index_flushes_kept, index_flushes_done;
const char *index_mistake = "";

uint64_t index_allocate(struct index_pool *from, size_t bytes)
{
	const uint64_t whole = (bytes + INDEX_LINE - 1) / INDEX_LINE * INDEX_LINE;
	const uint64_t at = __atomic_fetch_add(&from->used, whole, __ATOMIC_SEQ_CST);

	if (at + whole > from->bytes)
		errx(1, "the pool is full");
	/* It may have been allocated, and written to, before a crash took the new `used` back. */
	memset(index_at(from, at), 0, whole);
	index_persist(index_at(from, at), whole);
	index_persist(&from->used, sizeof(from->used));
	return at;
}

static void open_pool(const char *path)
{
	const int fd = open(path, O_RDWR);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) != 0)
		err(1, "%s", path);
	pool = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (pool == MAP_FAILED)
		err(1, "%s", path);
	if (pool->magic == type->magic) {
		type->recover(pool);
		return;
	}
	if (pool->magic)
		errx(1, "%s: it has another index", path);
	memset(pool->root, 0, sizeof(pool->root));
	pool->bytes = (uint64_t)status.st_size;
	pool->used = sizeof(*pool);
	index_persist(pool, sizeof(*pool));
	type->create(pool);
	index_store(&pool->magic, type->magic);
	index_persist(&pool->magic, sizeof(pool->magic));
}

/* ---- Load --------------------------------------------------------------------------------------- */

static uint64_t key_of(uint64_t thread, uint64_t i)
{
	return (i * 7919 % count) * threads + thread + 1;
}

static uint64_t value_of(uint64_t key)
{
	return 2 * key + 1;
}

static void say(const char *what, uint64_t key)
{
	if (threads > 1)
		return;
	printf("%s %" PRIu64 "\n", what, key);
	fflush(stdout);
}

static bool is_removed(uint64_t i)
{
	return i % 3 == 1;
}

static void *load(void *argument)
{
	const uint64_t thread = (uintptr_t)argument;

	for (uint64_t i = 0; i < count; i++) {
		const uint64_t key = key_of(thread, i);

		say("inserting", key);
		if (!type->insert(pool, key, value_of(key)))
			errx(1, "%" PRIu64 " is there already", key);
		say("inserted", key);
		if (!is_removed(i))
			continue;
		say("removing", key);
		if (!type->remove(pool, key))
			errx(1, "%" PRIu64 " is not there", key);
		say("removed", key);
	}
	return NULL;
}

static void find_all(void)
{
	uint64_t found = 0;

	for (uint64_t thread = 0; thread < threads; thread++) {
		for (uint64_t i = 0; i < count; i++) {
			const uint64_t key = key_of(thread, i), value = type->find(pool, key);

			if (value != (is_removed(i) ? 0 : value_of(key)))
				errx(1, "%" PRIu64 " has %" PRIu64, key, value);
			found += value != 0;
		}
	}
	printf("%s: %" PRIu64 " keys\n", type->name, found);
}

static void load_all(void)
{
	pthread_t running[64];

	if (threads < 1 || threads > 64 || count < 1 || count % 7919 == 0)
		errx(2, "1 to 64 threads");
	for (uint64_t i = 0; i < threads; i++)
		if (pthread_create(&running[i], NULL, load, (void *)(uintptr_t)i) != 0)
			errx(1, "pthread_create");
	for (uint64_t i = 0; i < threads; i++)
		pthread_join(running[i], NULL);
	find_all();
}

/* ---- Check ---------------------------------------------------------------------------------------- */

/* A key that is being changed may be there or not; its value is right in any case. */
static void check_key(const char *what, uint64_t key)
{
	const uint64_t value = type->find(pool, key);

	if (value && value != value_of(key))
		errx(1, "%" PRIu64 " has the value %" PRIu64, key, value);
	if (strcmp(what, "inserted") == 0 && !value)
		errx(1, "%" PRIu64 " was inserted and is not there", key);
	if (strcmp(what, "removed") == 0 && value)
		errx(1, "%" PRIu64 " was removed and is there", key);
}

/* The last that was said of each key. Keys are from 1 to some thousands. */
static void check_all(FILE *lines)
{
	static char last[1 << 16][10];
	uint64_t key;
	char what[10];

	while (fscanf(lines, "%9s %" SCNu64 "\n", what, &key) == 2)
		if (key < sizeof(last) / sizeof(last[0]))
			memcpy(last[key], what, sizeof(what));
	for (key = 1; key < sizeof(last) / sizeof(last[0]); key++)
		if (last[key][0])
			check_key(last[key], key);
}

static const struct index_type *named(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i]->name, name) == 0)
			return types[i];
	errx(2, "%s: no index has this name", name);
}

int main(int argc, char **argv)
{
	const char *path;
	FILE *acknowledged;

	if (argc < 4)
		errx(2, "usage: indexes NAME POOL load THREADS COUNT | check");
	type = named(argv[1]);
	if (getenv("INDEXES_FLUSHES_KEPT"))
		index_flushes_kept = (unsigned)strtoul(getenv("INDEXES_FLUSHES_KEPT"), NULL, 10);
	if (getenv("INDEXES_MISTAKE"))
		index_mistake = getenv("INDEXES_MISTAKE");
	open_pool(argv[2]);
	if (strcmp(argv[3], "load") == 0 && argc == 6) {
		threads = strtoull(argv[4], NULL, 10);
		count = strtoull(argv[5], NULL, 10);
		load_all();
		return 0;
	}
	path = getenv("SOFTPMEM_STDOUT");
	acknowledged = path ? fopen(path, "r") : NULL;
	if (strcmp(argv[3], "check") != 0 || !acknowledged)
		errx(2, "the checker is run by softpmem explore");
	check_all(acknowledged);
	return 0;
}
