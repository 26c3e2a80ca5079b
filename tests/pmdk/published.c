/* SPDX-License-Identifier: BSD-3-Clause */

/*
 *   published [mended] NAME create POOL    before the recording
 *   published [mended] NAME work POOL N    do N steps, at most 8, and print each once it is done
 *   published [mended] NAME check POOL     recover; the pool has the steps that were printed, or one more
 *
 * The names are those of published.h, and of two programs on libpmem that are in this file:
 *
 *   cas     memcached-pmem: an item is linked before it has its CAS id (lenovo/memcached-pmem issue 4)
 *   header  HSE: the header of a log is stored over the only one there is, so that its generation may be
 *           durable without its checksum (hse-project/hse issue 471)
 *
 * Exit status: 0; 1 if the pool is wrong; 2 for errors.
 */

#include <err.h>
#include <fcntl.h>
#include <libpmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "published.h"

bool published_mended;
unsigned published_steps;

static void *map(const char *path)
{
	size_t size;
	int is_pmem;
	void *start = pmem_map_file(path, 0, 0, 0, &size, &is_pmem);

	if (!start || size < 4096)
		err(2, "%s", path);
	return start;
}

static void create_page(const char *path)
{
	const int fd = open(path, O_CREAT | O_RDWR, 0600);

	if (fd < 0 || ftruncate(fd, 4096) < 0 || fsync(fd) < 0)
		err(2, "%s", path);
	close(fd);
}

/* ---- cas ---------------------------------------------------------------------------------- */

/* Volatile, because stores to one line become durable in the order of the program. */
struct item {
	_Alignas(64) volatile uint64_t linked;
	volatile uint64_t key, value, cas;
};

static void give_cas(struct item *item, unsigned step)
{
	item->cas = step;
	pmem_persist((const void *)&item->cas, sizeof(item->cas));
}

static void cas_work(const char *path, void (*done)(unsigned step))
{
	struct item *items = map(path);

	for (unsigned step = 1; step <= published_steps; step++) {
		struct item *item = &items[step - 1];

		item->key = step;
		item->value = 10 * step;
		if (published_mended)
			give_cas(item, step);
		pmem_persist(item, sizeof(*item));
		item->linked = 1;
		pmem_persist(item, sizeof(*item));
		if (!published_mended)
			give_cas(item, step);
		done(step);
	}
}

static unsigned cas_check(const char *path)
{
	const struct item *items = map(path);
	unsigned step = 0;

	for (; step < PUBLISHED_STEPS && items[step].linked; step++) {
		if (items[step].key != step + 1 || items[step].value != 10 * (step + 1))
			errx(1, "item %u is linked, and is not what was stored", step + 1);
		if (items[step].cas != step + 1)
			errx(1, "item %u is linked, and has no CAS id", step + 1);
	}
	return step;
}

static const struct published published_cas = { "cas", create_page, cas_work, cas_check };

/* ---- header ------------------------------------------------------------------------------- */

struct header {
	_Alignas(64) volatile uint64_t generation;
	volatile uint64_t checksum;
};

static uint64_t checksum_of(uint64_t generation)
{
	return (generation + 1) * 0x9e3779b97f4a7c15u;
}

/* The first step begins with generation 0, which has no header. */
static void header_work(const char *path, void (*done)(unsigned step))
{
	struct header *headers = map(path);

	for (unsigned step = 1; step <= published_steps; step++) {
		/* The older one of two copies, or the only one. */
		struct header *header = &headers[published_mended ? step % 2 : 0];

		header->generation = step;
		header->checksum = checksum_of(step);
		pmem_persist(header, sizeof(*header));
		done(step);
	}
}

static unsigned header_check(const char *path)
{
	const struct header *headers = map(path);
	uint64_t newest = 0;

	for (unsigned i = 0; i < 2; i++) {
		if (headers[i].checksum == checksum_of(headers[i].generation)) {
			if (headers[i].generation > newest)
				newest = headers[i].generation;
		} else if (!published_mended && headers[i].generation) {
			errx(1, "the header of generation %u has a wrong checksum",
			     (unsigned)headers[i].generation);
		}
	}
	return (unsigned)newest;
}

static const struct published published_header = { "header", create_page, header_work, header_check };

/* ---- All ---------------------------------------------------------------------------------- */

static const struct published *const all[] = { &published_split,   &published_slot, &published_create,
					       &published_recount, &published_open, &published_cas,
					       &published_header };

static void say(unsigned step)
{
	printf("%u\n", step);
	fflush(stdout);
}

/* The last step that was printed before the crash. */
static unsigned last_printed(void)
{
	const char *name = getenv("SOFTPMEM_STDOUT");
	FILE *printed = name ? fopen(name, "r") : NULL;
	unsigned step = 0, next;

	if (!printed)
		errx(2, "SOFTPMEM_STDOUT names no file");
	while (fscanf(printed, "%u", &next) == 1)
		step = next;
	fclose(printed);
	return step;
}

static int check(const struct published *one, const char *path)
{
	const unsigned printed = last_printed(), steps = one->check(path);

	if (steps != printed && steps != printed + 1)
		errx(1, "the pool has %u steps, and %u were printed", steps, printed);
	return 0;
}

static const struct published *find(const char *name)
{
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(name, all[i]->name) == 0)
			return all[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct published *one;

	published_mended = argc > 1 && strcmp(argv[1], "mended") == 0;
	argv += published_mended;
	argc -= published_mended;
	one = argc > 3 ? find(argv[1]) : NULL;
	if (one && argc == 4 && strcmp(argv[2], "create") == 0) {
		if (one->create)
			one->create(argv[3]);
		return 0;
	}
	published_steps = argc == 5 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
	if (one && published_steps && published_steps <= PUBLISHED_STEPS && strcmp(argv[2], "work") == 0) {
		one->work(argv[3], say);
		return 0;
	}
	if (one && argc == 4 && strcmp(argv[2], "check") == 0)
		return check(one, argv[3]);
	fprintf(stderr, "usage: published [mended] NAME create POOL | work POOL N | check POOL\n");
	return 2;
}
