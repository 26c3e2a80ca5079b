/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target: /proc and /sys of a machine, as lines of PATH:TEXT (tests/data/region). Whatever they
 * contain, discovery must never report memory in use as usable.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/remove_tree.h"
#include "fuzz.h"
#include "region/finder.h"
#include "region/mappers.h"
#include "region/physmap.h"

static char root[64];

/* Accept only paths that stay below the root and that discovery reads. */
static int is_harmless(const char *path)
{
	static const char *const starts[] = { "proc/", "sys/firmware/", "sys/kernel/", "sys/module/ramoops/",
					      "sys/devices/system/" };
	int known = 0;

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		known |= strncmp(path, starts[i], strlen(starts[i])) == 0;
	return known && !strstr(path, "//") && !strchr(path, '.') && strlen(path) < 128 &&
	       strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789/_@#-") == strlen(path);
}

static void append(const char *path, const char *text, size_t size)
{
	char full[256];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(full, 0700);
	}
	file = fopen(full, "a");
	if (!file)
		return;
	fwrite(text, 1, size, file);
	fclose(file);
}

static void lay_out(const char *data, size_t size)
{
	while (size) {
		const char *newline = memchr(data, '\n', size), *colon;
		size_t length = newline ? (size_t)(newline - data) + 1 : size;
		char path[128];

		colon = memchr(data, ':', length);
		if (colon && (size_t)(colon - data) < sizeof(path)) {
			memcpy(path, data, (size_t)(colon - data));
			path[colon - data] = '\0';
			if (is_harmless(path) && strlen(path) == (size_t)(colon - data))
				append(path, colon + 1, length - (size_t)(colon + 1 - data));
		}
		data += length;
		size -= length;
	}
}

/* Is the range in use according to the kernel's map? The map is read here, not by the code under test. */
static void must_be_free(uint64_t start, uint64_t last)
{
	static const char *const free_names[] = { "Reserved", "Persistent Memory",
						  "Persistent Memory (legacy)", "Soft Reserved" };
	char path[128], line[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/proc/iomem", root);
	file = fopen(path, "r");
	if (!file)
		abort();
	while (fgets(line, sizeof(line), file)) {
		uint64_t from = 0, to = 0;
		char *name = strstr(line, " : ");
		int is_free = 0;

		if (!name || sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) != 2 || from > last ||
		    to < start)
			continue;
		name[strcspn(name, "\n")] = '\0';
		for (size_t i = 0; i < sizeof(free_names) / sizeof(free_names[0]); i++)
			is_free |= strcmp(name + 3, free_names[i]) == 0;
		/* "Persistent Memory" is identified by its beginning. */
		is_free |=
			strncmp(name + 3, "hmem.", 5) == 0 || strncmp(name + 3, "Persistent Memory", 17) == 0;
		if (!is_free)
			abort();
	}
	fclose(file);
}

/* The number at the beginning of a file under the root; 0: there is none. */
static uint64_t number_in(const char *path)
{
	char full[128], line[64];
	uint64_t number = 0;
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	file = fopen(full, "r");
	if (!file)
		return 0;
	if (fgets(line, sizeof(line), file))
		number = strtoull(line, NULL, 0);
	fclose(file);
	return number;
}

/* Not every kernel shows the crash log in iomem. */
static void must_not_be_the_crash_log(uint64_t start, uint64_t last)
{
	uint64_t from = number_in("sys/module/ramoops/parameters/mem_address");
	uint64_t size = number_in("sys/module/ramoops/parameters/mem_size");

	if (size && from <= last && (start < from || start - from < size))
		abort();
}

static void discover(void)
{
	/* What libndctl might report: a namespace that it believes to be idle, and one that is active. */
	struct nd_device devices[] = {
		{ .kind = ND_NAMESPACE,
		  .name = "namespace0.0",
		  .mode = "raw",
		  .start = 0x140000000,
		  .size = 1 << 30 },
		{ .kind = ND_NAMESPACE,
		  .name = "namespace1.0",
		  .mode = "raw",
		  .start = 0x180000000,
		  .size = 1 << 28 },
	};

	for (size_t count = 0; count <= 2; count += 2) {
		struct nd_devices all = { .items = devices, .count = count };
		struct region_candidates found;
		struct message message;

		if (discover_tree(root, &all, &found, &message) < 0)
			continue;
		for (size_t i = 0; i < found.count; i++) {
			const struct region_candidate *candidate = &found.items[i];

			if (candidate->verdict != REGION_REFUSED) {
				must_be_free(candidate->start, candidate->start + candidate->size - 1);
				must_not_be_the_crash_log(candidate->start,
							  candidate->start + candidate->size - 1);
			} else if (!candidate->why.text[0]) {
				abort();
			}
		}
		region_candidates_free(&found);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	struct message who;

	snprintf(root, sizeof(root), "%s/softpmem-fuzz.XXXXXX", directory);
	if (!mkdtemp(root))
		abort();
	lay_out((const char *)data, size);
	discover();
	mappers_find(root, "/dev/mem", 0x140000000, 1 << 30, true, &who);
	remove_tree(root);
	return 0;
}
