/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/mappers.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "region/physmap.h"

struct wanted {
	const char *device;
	struct phys_range range;
	bool only_writers;
};

/* Parse a line "ADDRESS-ADDRESS rw-s OFFSET MAJOR:MINOR INODE PATH". */
static bool line_maps(const char *line, const struct wanted *wanted)
{
	struct phys_range mapped = { 0 };
	size_t length = strlen(wanted->device);
	uint64_t from, to;
	char permissions[5];
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &from, &to, permissions,
		   &mapped.start, &at) < 4 ||
	    at == 0 || from >= to || mapped.start > UINT64_MAX - (to - from))
		return false;
	if (strncmp(line + at, wanted->device, length) != 0 ||
	    (line[at + length] != '\n' && line[at + length] != ' '))
		return false;
	if (wanted->only_writers && permissions[1] != 'w')
		return false;
	mapped.last = mapped.start + (to - from) - 1;
	return phys_range_overlaps(&mapped, &wanted->range);
}

static bool process_maps(const char *root, const char *pid, const struct wanted *wanted)
{
	CLEANUP_FREE char *line = NULL;
	char path[PATH_MAX];
	size_t room = 0;
	bool maps = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/proc/%s/maps", root, pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!maps && getline(&line, &room, file) >= 0)
		maps = line_maps(line, wanted);
	fclose(file);
	return maps;
}

static void name_process(const char *root, const char *pid, struct message *who)
{
	char path[64], name[64] = "a process";

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	physmap_read_text(root, path, name, sizeof(name), NULL);
	name[strcspn(name, "\n")] = '\0';
	message_fail(who, 0, "%s (pid %s)", name, pid);
}

bool mappers_find(const char *root, const char *device, uint64_t start, uint64_t size, bool only_writers,
		  struct message *who)
{
	struct wanted wanted = {
		.device = device,
		.range = { .start = start, .last = start + size - 1 },
		.only_writers = only_writers,
	};
	char path[PATH_MAX];
	bool found = false;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/proc", root);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || strtol(entry->d_name, NULL, 10) == getpid())
			continue;
		found = process_maps(root, entry->d_name, &wanted);
		if (found)
			name_process(root, entry->d_name, who);
	}
	if (dir)
		closedir(dir);
	return found;
}
