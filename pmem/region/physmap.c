/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/physmap.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define CLEANUP_FILE __attribute__((cleanup(cleanup_file)))
#define CLEANUP_DIR __attribute__((cleanup(cleanup_dir)))

static void cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

void phys_ranges_free(struct phys_ranges *ranges)
{
	free(ranges->items);
	*ranges = (struct phys_ranges){ 0 };
}

static int append(struct phys_ranges *ranges, const struct phys_range *range)
{
	/* Doubled at each power of two. */
	if ((ranges->count & (ranges->count - 1)) == 0) {
		size_t room = ranges->count ? ranges->count * 2 : 1;
		struct phys_range *items = reallocarray(ranges->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		ranges->items = items;
	}
	ranges->items[ranges->count++] = *range;
	return 0;
}

bool phys_ranges_cover(const struct phys_ranges *ranges, const char *name, const struct phys_range *range,
		       uint64_t *hole)
{
	uint64_t at = range->start;

	for (;;) {
		const struct phys_range *found = NULL;

		for (size_t i = 0; i < ranges->count && !found; i++) {
			const struct phys_range *item = &ranges->items[i];

			if (item->start <= at && at <= item->last && (!name || strcmp(item->name, name) == 0))
				found = item;
		}
		if (!found) {
			*hole = at;
			return false;
		}
		if (found->last >= range->last)
			return true;
		at = found->last + 1;
	}
}

static int open_text(const char *root, const char *path, FILE **file, struct message *message)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", root, path);
	*file = fopen(full, "re");
	if (*file)
		return 0;
	return message_fail(message, -errno, "cannot read %s: %s", full, strerror(errno));
}

static void copy_name(struct phys_range *range, const char *name)
{
	snprintf(range->name, sizeof(range->name), "%.*s", (int)strcspn(name, "\n"), name);
}

/* Reads lines until `parse` fails; what it makes of a line is appended if it says 1. */
static int read_lines(const char *root, const char *path, int (*parse)(const char *line, struct phys_range *range),
		      struct phys_ranges *out, struct message *message)
{
	CLEANUP_FILE FILE *file = NULL;
	CLEANUP_FREE char *line = NULL;
	size_t room = 0;
	int error = open_text(root, path, &file, message);

	*out = (struct phys_ranges){ 0 };
	while (!error && getline(&line, &room, file) >= 0) {
		struct phys_range range = { 0 };
		int parsed = parse(line, &range);

		if (parsed < 0 || (parsed > 0 && range.start > range.last))
			error = message_fail(message, -EINVAL, "%s%s: the line '%.*s' is not understood", root, path,
					     (int)strcspn(line, "\n"), line);
		else if (parsed > 0 && append(out, &range) < 0)
			error = message_fail(message, -ENOMEM, "out of memory");
	}
	if (!error && ferror(file))
		error = message_fail(message, -EIO, "cannot read %s%s", root, path);
	if (error)
		phys_ranges_free(out);
	return error;
}

/* "  100000000-13fffffff : System RAM", two spaces a level. */
static int parse_iomem(const char *line, struct phys_range *range)
{
	size_t spaces = strspn(line, " ");
	int name = 0;

	if (sscanf(line + spaces, "%" SCNx64 "-%" SCNx64 " : %n", &range->start, &range->last, &name) < 2 || !name)
		return -EINVAL;
	range->depth = (unsigned)(spaces / 2);
	copy_name(range, line + spaces + name);
	return 1;
}

int physmap_read_iomem(const char *root, struct phys_ranges *out, struct message *message)
{
	int error = read_lines(root, "/proc/iomem", parse_iomem, out, message);

	if (error)
		return error;
	for (size_t i = 0; i < out->count; i++) {
		if (out->items[i].last != 0)
			return 0;
	}
	phys_ranges_free(out);
	return message_fail(message, -EACCES, "%s/proc/iomem hides its addresses from this process", root);
}

/* One value of an entry of /sys/firmware/memmap; trailing newline off. */
static int read_value(const char *root, const char *entry, const char *value, char *text, size_t size,
		      struct message *message)
{
	CLEANUP_FILE FILE *file = NULL;
	char path[PATH_MAX];
	int error;

	snprintf(path, sizeof(path), "/sys/firmware/memmap/%s/%s", entry, value);
	error = open_text(root, path, &file, message);
	if (error)
		return error;
	if (!fgets(text, (int)size, file))
		return message_fail(message, -EINVAL, "%s%s is empty", root, path);
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

static int read_firmware_entry(const char *root, const char *entry, struct phys_ranges *out,
			       struct message *message)
{
	struct phys_range range = { 0 };
	char start[32], end[32], *start_rest, *end_rest;
	int error = read_value(root, entry, "start", start, sizeof(start), message);

	if (!error)
		error = read_value(root, entry, "end", end, sizeof(end), message);
	if (!error)
		error = read_value(root, entry, "type", range.name, sizeof(range.name), message);
	if (error)
		return error;
	range.start = strtoull(start, &start_rest, 16);
	range.last = strtoull(end, &end_rest, 16);
	if (*start_rest || *end_rest || range.start > range.last)
		return message_fail(message, -EINVAL, "%s/sys/firmware/memmap/%s: %s to %s is no range", root, entry,
				    start, end);
	return append(out, &range) < 0 ? message_fail(message, -ENOMEM, "out of memory") : 0;
}

static int by_start(const void *a, const void *b)
{
	const struct phys_range *left = a, *right = b;

	return (left->start > right->start) - (left->start < right->start);
}

int physmap_read_firmware(const char *root, struct phys_ranges *out, struct message *message)
{
	CLEANUP_DIR DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *entry;
	int error = 0;

	*out = (struct phys_ranges){ 0 };
	snprintf(path, sizeof(path), "%s/sys/firmware/memmap", root);
	dir = opendir(path);
	if (!dir)
		return message_fail(message, -errno, "cannot read %s: %s", path, strerror(errno));
	while (!error && (entry = readdir(dir))) {
		if (isdigit((unsigned char)entry->d_name[0]))
			error = read_firmware_entry(root, entry->d_name, out, message);
	}
	if (!error && out->count == 0)
		error = message_fail(message, -ENOENT, "%s has no entries", path);
	if (error)
		phys_ranges_free(out);
	else
		qsort(out->items, out->count, sizeof(*out->items), by_start);
	return error;
}

/* A number as the kernel's memparse() takes them. */
static uint64_t parse_number(const char **text)
{
	static const char units[] = "KMGTPE";
	char *rest;
	uint64_t number = strtoull(*text, &rest, 0);
	const char *unit = *rest ? strchr(units, toupper((unsigned char)*rest)) : NULL;

	if (unit) {
		number <<= 10 * (unit - units + 1);
		rest++;
	}
	*text = rest;
	return number;
}

/* "1G$5G": false for what takes no RAM away, as "1G@5G" and "exactmap". */
static bool parse_memmap(const char *text, struct phys_range *range)
{
	uint64_t size = parse_number(&text);

	range->name[0] = *text;
	if (*text == '\0' || !strchr("$!%", *text) || size == 0)
		return false;
	text++;
	range->start = parse_number(&text);
	range->last = range->start + size - 1;
	return range->last >= range->start;
}

static int append_memmaps(char *values, struct phys_ranges *out)
{
	char *save = NULL;

	for (char *value = strtok_r(values, ",", &save); value; value = strtok_r(NULL, ",", &save)) {
		struct phys_range range = { 0 };

		if (parse_memmap(value, &range) && append(out, &range) < 0)
			return -ENOMEM;
	}
	return 0;
}

int physmap_read_cmdline(const char *root, struct phys_ranges *out, struct message *message)
{
	static const char option[] = "memmap=";
	CLEANUP_FILE FILE *file = NULL;
	CLEANUP_FREE char *line = NULL;
	char *save = NULL;
	size_t room = 0;
	int error = open_text(root, "/proc/cmdline", &file, message);

	*out = (struct phys_ranges){ 0 };
	if (error)
		return error;
	if (getline(&line, &room, file) < 0)
		return 0;
	for (char *word = strtok_r(line, " \n", &save); word && !error; word = strtok_r(NULL, " \n", &save)) {
		if (strncmp(word, option, strlen(option)) == 0)
			error = append_memmaps(word + strlen(option), out);
	}
	if (error) {
		phys_ranges_free(out);
		return message_fail(message, error, "out of memory");
	}
	return 0;
}

static int parse_parameter(const char *line, struct phys_range *range)
{
	range->start = range->last = strtoull(line, NULL, 0);
	return 1;
}

int physmap_read_ramoops(const char *root, struct phys_ranges *out, struct message *message)
{
	CLEANUP_PHYS_RANGES struct phys_ranges address = { 0 }, size = { 0 };
	struct phys_range range = { .name = "ramoops" };

	*out = (struct phys_ranges){ 0 };
	/* Not loaded is the usual case. Where its numbers are hidden, iomem was too. */
	if (read_lines(root, "/sys/module/ramoops/parameters/mem_address", parse_parameter, &address, NULL) < 0 ||
	    read_lines(root, "/sys/module/ramoops/parameters/mem_size", parse_parameter, &size, NULL) < 0)
		return 0;
	if (address.count != 1 || size.count != 1 || size.items[0].start == 0)
		return 0;
	range.start = address.items[0].start;
	range.last = range.start + size.items[0].start - 1;
	return append(out, &range) < 0 ? message_fail(message, -ENOMEM, "out of memory") : 0;
}

/* "PAT: [mem 0x0000000140000000-0x0000000180000000] write-back"; the second number is one past the end. */
static int parse_pat(const char *line, struct phys_range *range)
{
	uint64_t end;
	int name = 0;

	if (strncmp(line, "PAT: [mem ", 10) != 0)
		return 0;
	if (sscanf(line, "PAT: [mem %" SCNx64 "-%" SCNx64 "] %n", &range->start, &end, &name) < 2 || !name || end == 0)
		return -EINVAL;
	range->last = end - 1;
	copy_name(range, line + name);
	return 1;
}

int physmap_read_pat(const char *root, struct phys_ranges *out, struct message *message)
{
	return read_lines(root, "/sys/kernel/debug/x86/pat_memtype_list", parse_pat, out, message);
}
