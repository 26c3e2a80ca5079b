/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/numa.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

/*
 * ---- The table (ACPI 6.5, 5.2.16): a header of 48 bytes, then structures that begin with their type
 * and length ----
 */

#define TABLE_MAX (1u << 20)
#define TABLE_HEADER 48u
#define MEMORY_AFFINITY 1
#define MEMORY_AFFINITY_BYTES 40u
#define MEMORY_AFFINITY_ENABLED 1u

static uint64_t read_little(const unsigned char *bytes, unsigned count)
{
	uint64_t value = 0;

	while (count--)
		value = value << 8 | bytes[count];
	return value;
}

static unsigned char *read_table(const char *root, size_t *length)
{
	CLEANUP_FREE unsigned char *table = malloc(TABLE_MAX);
	char path[PATH_MAX];
	FILE *file;

	if (!table ||
	    snprintf(path, sizeof(path), "%s/sys/firmware/acpi/tables/SRAT", root) >= (int)sizeof(path))
		return NULL;
	file = fopen(path, "re");
	if (!file)
		return NULL;
	*length = fread(table, 1, TABLE_MAX, file);
	fclose(file);
	return *length < TABLE_HEADER || memcmp(table, "SRAT", 4) != 0 ? NULL : steal_pointer(&table);
}

/* Read the ranges that have a domain; the depth of each is the number of its domain. */
static int read_domains(const char *root, struct phys_ranges *out)
{
	size_t length = 0, bytes = 0;
	CLEANUP_FREE unsigned char *table = read_table(root, &length);
	int error = 0;

	for (size_t at = TABLE_HEADER; table && !error && at + 2 <= length; at += bytes) {
		const unsigned char *entry = table + at;
		struct phys_range range = { 0 };
		uint64_t size;

		bytes = entry[1];
		if (bytes < 2 || at + bytes > length)
			break;
		if (entry[0] != MEMORY_AFFINITY || bytes < MEMORY_AFFINITY_BYTES ||
		    !(read_little(entry + 28, 4) & MEMORY_AFFINITY_ENABLED))
			continue;
		range.depth = (unsigned)read_little(entry + 2, 4);
		range.start = read_little(entry + 8, 8);
		size = read_little(entry + 16, 8);
		range.last = range.start + size - 1;
		if (size && range.last >= range.start)
			error = phys_ranges_append(out, &range);
	}
	return error;
}

/* The domain in which all of the range lies; NULL if there is none. */
static const struct phys_range *domain_of(const struct phys_ranges *domains, const struct phys_range *range)
{
	struct phys_ranges same = { 0 };
	const struct phys_range *found = NULL;
	uint64_t hole;

	for (size_t i = 0; i < domains->count && !found; i++) {
		if (phys_range_overlaps(&domains->items[i], range))
			found = &domains->items[i];
	}
	for (size_t i = 0; i < domains->count && found; i++) {
		const struct phys_range *item = &domains->items[i];

		/* A table that contradicts itself is not used. */
		if (item->depth != found->depth && phys_range_overlaps(item, range))
			found = NULL;
		else if (item->depth == found->depth && phys_ranges_append(&same, item) < 0)
			found = NULL;
	}
	if (found && !phys_ranges_cover(&same, NULL, range, &hole))
		found = NULL;
	phys_ranges_free(&same);
	return found;
}

/* ---- What the kernel uses, in blocks of one size ----------------------------------------- */

static bool node_has_domain(const char *root, unsigned node, uint64_t block,
			    const struct phys_ranges *domains, unsigned wanted)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool has = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/sys/devices/system/node/node%u", root, node);
	dir = opendir(path);
	while (dir && !has && (entry = readdir(dir))) {
		const struct phys_range *domain;
		struct phys_range range = { 0 };
		uint64_t number;

		if (sscanf(entry->d_name, "memory%" SCNu64, &number) != 1 || number > UINT64_MAX / block - 1)
			continue;
		range.start = number * block;
		range.last = range.start + block - 1;
		domain = domain_of(domains, &range);
		has = domain && domain->depth == wanted;
	}
	if (dir)
		closedir(dir);
	return has;
}

static uint64_t block_size(const char *root)
{
	char text[32];
	int error = physmap_read_text(root, "/sys/devices/system/memory/block_size_bytes", text, sizeof(text),
				      NULL);

	return error ? 0 : strtoull(text, NULL, 16);
}

static int find_node(const char *root, const struct phys_ranges *domains, unsigned domain)
{
	uint64_t block = block_size(root);
	char path[PATH_MAX];
	struct dirent *entry;
	int found = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/sys/devices/system/node", root);
	dir = block ? opendir(path) : NULL;
	while (dir && found < 0 && (entry = readdir(dir))) {
		unsigned node;

		if (sscanf(entry->d_name, "node%u", &node) == 1 && node <= INT_MAX &&
		    node_has_domain(root, node, block, domains, domain))
			found = (int)node;
	}
	if (dir)
		closedir(dir);
	return found;
}

int numa_node_of(const char *root, const struct phys_range *range)
{
	CLEANUP_PHYS_RANGES struct phys_ranges domains = { 0 };
	const struct phys_range *domain;

	if (read_domains(root, &domains) < 0)
		return -1;
	domain = domain_of(&domains, range);
	return domain ? find_node(root, &domains, domain->depth) : -1;
}
