/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A program of libpmem2, which flushes by instructions of its own.
 *
 *   pmem2 POOL            map at any granularity, persist a line, print the granularity
 *   pmem2 POOL required   the same, but a page does not do
 */

#include <fcntl.h>
#include <libpmem2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "pmem2: %s: %s\n", what, pmem2_errormsg());
	return 1;
}

static int map(int fd, enum pmem2_granularity most, struct pmem2_map **map)
{
	struct pmem2_config *config;
	struct pmem2_source *source;

	if (pmem2_config_new(&config) || pmem2_source_from_fd(&source, fd))
		return fail("setup");
	if (pmem2_config_set_required_store_granularity(config, most))
		return fail("granularity");
	return pmem2_map_new(map, config, source) ? fail("map") : 0;
}

int main(int argc, char **argv)
{
	const bool required = argc == 3 && strcmp(argv[2], "required") == 0;
	int fd = argc >= 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	struct pmem2_map *pool;
	char *at;

	if (fd < 0)
		return 2;
	if (map(fd, required ? PMEM2_GRANULARITY_CACHE_LINE : PMEM2_GRANULARITY_PAGE, &pool))
		return 1;
	at = pmem2_map_get_address(pool);
	memcpy(at, "persisted", 9);
	pmem2_get_persist_fn(pool)(at, 9);
	memcpy(at + 64, "stored", 6);
	printf("granularity %d\n", (int)pmem2_map_get_store_granularity(pool));
	return 0;
}
