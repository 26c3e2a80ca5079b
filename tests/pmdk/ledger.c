/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * ledger POOL right|wrong: an engine that appends entries to a pool. An entry is stored, then counted, and
 * then acknowledged by a line with its number. The wrong one does not flush entries before it counts them,
 * but all of them when it ends. So only a power failure at a fence shows the mistake.
 *
 * ledger POOL check: every entry that is counted is there, and every one that was acknowledged is counted.
 */

#include <err.h>
#include <fcntl.h>
#include <libpmem.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE 64
#define ENTRIES 4

/* The first line has the count, and each of the others an entry. */
struct ledger {
	_Alignas(LINE) uint64_t count;
	struct {
		_Alignas(LINE) uint64_t value;
	} entries[ENTRIES];
};

static uint64_t value_of(unsigned index)
{
	return 1000 + index;
}

static void work(const char *path, int is_right)
{
	size_t length;
	int is_pmem;
	struct ledger *ledger = pmem_map_file(path, 0, 0, 0, &length, &is_pmem);

	if (!ledger || !is_pmem || length < sizeof(*ledger))
		errx(1, "%s: no persistent memory, or too small", path);
	for (unsigned i = 0; i < ENTRIES; i++) {
		ledger->entries[i].value = value_of(i);
		if (is_right)
			pmem_persist(&ledger->entries[i], sizeof(ledger->entries[i]));
		ledger->count = i + 1;
		pmem_persist(&ledger->count, sizeof(ledger->count));
		printf("%u\n", i + 1);
		fflush(stdout);
	}
	pmem_persist(ledger, sizeof(*ledger));
}

static unsigned long acknowledged(void)
{
	const char *path = getenv("SOFTPMEM_ACKNOWLEDGED");
	FILE *file = path ? fopen(path, "r") : NULL;
	unsigned long last = 0, number;

	while (file && fscanf(file, "%lu", &number) == 1)
		last = number;
	if (file)
		fclose(file);
	return last;
}

static void check(const char *path)
{
	const int fd = open(path, O_RDONLY);
	struct ledger ledger;

	if (fd < 0 || read(fd, &ledger, sizeof(ledger)) != sizeof(ledger))
		err(1, "%s", path);
	close(fd);
	if (ledger.count > ENTRIES || ledger.count < acknowledged())
		errx(1, "%lu entries are counted, and %lu acknowledged", (unsigned long)ledger.count,
		     acknowledged());
	for (unsigned i = 0; i < ledger.count; i++)
		if (ledger.entries[i].value != value_of(i))
			errx(1, "entry %u of %lu is lost", i + 1, (unsigned long)ledger.count);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: ledger POOL right|wrong|check");
	if (strcmp(argv[2], "check") == 0)
		check(argv[1]);
	else
		work(argv[1], strcmp(argv[2], "right") == 0);
	return 0;
}
