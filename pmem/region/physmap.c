/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/physmap.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/align.h"
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
	vector_free(ranges);
}

int phys_ranges_append(struct phys_ranges *ranges, const struct phys_range *range)
{
	return vector_append(ranges, *range);
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

	*file = NULL;
	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return message_fail(message, -ENAMETOOLONG, "%s%s: the path is too long", root, path);
	*file = fopen(full, "re");
	if (*file)
		return 0;
	return message_fail(message, -errno, "cannot read %s: %s", full, strerror(errno));
}

int physmap_read_text(const char *root, const char *path, char *text, size_t size, struct message *message)
{
	CLEANUP_FILE FILE *file = NULL;
	size_t got;
	int error = open_text(root, path, &file, message);

	if (error)
		return error;
	got = fread(text, 1, size - 1, file);
	if (ferror(file))
		return message_fail(message, -EIO, "cannot read %s%s", root, path);
	text[got] = '\0';
	if (got == size - 1)
		return message_fail(message, -EFBIG, "%s%s is longer than any real one", root, path);
	return 0;
}

static void copy_name(struct phys_range *range, const char *name)
{
	snprintf(range->name, sizeof(range->name), "%.*s", (int)strcspn(name, "\n"), name);
}

/* More entries than any machine has: a limit for a map without end. */
#define LINES_MAX 8192

/*
 * Read lines until `parse` fails. It returns 1 to append the range that it made of a line. `path` is for
 * messages.
 */
static int parse_lines(FILE *file, const char *root, const char *path,
		       int (*parse)(const char *line, struct phys_range *range), struct phys_ranges *out,
		       struct message *message)
{
	CLEANUP_FREE char *line = NULL;
	size_t room = 0;
	int error = 0;

	while (!error && getline(&line, &room, file) >= 0) {
		struct phys_range range = { 0 };
		int parsed = parse(line, &range);

		if (parsed < 0 || (parsed > 0 && range.start > range.last) || out->count == LINES_MAX)
			error = message_fail(message, -EINVAL, "%s%s: the line '%.*s' is malformed",
					     root, path, (int)strcspn(line, "\n"), line);
		else if (parsed > 0 && phys_ranges_append(out, &range) < 0)
			error = message_fail(message, -ENOMEM, "out of memory");
	}
	if (!error && ferror(file))
		error = message_fail(message, -EIO, "cannot read %s%s", root, path);
	if (error)
		phys_ranges_free(out);
	return error;
}

static int read_lines(const char *root, const char *path,
		      int (*parse)(const char *line, struct phys_range *range), struct phys_ranges *out,
		      struct message *message)
{
	CLEANUP_FILE FILE *file = NULL;
	int error = open_text(root, path, &file, message);

	*out = (struct phys_ranges){ 0 };
	return error ? error : parse_lines(file, root, path, parse, out, message);
}

/* Parse "  100000000-13fffffff : System RAM", indented by two spaces for each level. */
static int parse_iomem(const char *line, struct phys_range *range)
{
	size_t spaces = strspn(line, " ");
	int name = 0;

	if (sscanf(line + spaces, "%" SCNx64 "-%" SCNx64 " : %n", &range->start, &range->last, &name) < 2 ||
	    !name)
		return -EINVAL;
	range->depth = (unsigned)(spaces / 2);
	copy_name(range, line + spaces + name);
	return 1;
}

static int addresses_are_told(const char *root, struct phys_ranges *out, struct message *message)
{
	for (size_t i = 0; i < out->count; i++) {
		if (out->items[i].last != 0)
			return 0;
	}
	phys_ranges_free(out);
	return message_fail(message, -EACCES, "%s/proc/iomem hides its addresses from this process", root);
}

int physmap_read_iomem(const char *root, struct phys_ranges *out, struct message *message)
{
	int error = read_lines(root, "/proc/iomem", parse_iomem, out, message);

	return error ? error : addresses_are_told(root, out, message);
}

int physmap_reread_iomem(int fd, struct phys_ranges *out, struct message *message)
{
	CLEANUP_FILE FILE *file = NULL;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), error;

	*out = (struct phys_ranges){ 0 };
	if (copy >= 0 && lseek(copy, 0, SEEK_SET) == 0)
		file = fdopen(copy, "r");
	if (!file) {
		error = message_fail(message, -errno, "cannot read /proc/iomem again: %s", strerror(errno));
		if (copy >= 0)
			close(copy);
		return error;
	}
	error = parse_lines(file, "", "/proc/iomem", parse_iomem, out, message);
	return error ? error : addresses_are_told("", out, message);
}

/* Read one value of an entry of /sys/firmware/memmap, without the trailing newline. */
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
		return message_fail(message, -EINVAL, "%s/sys/firmware/memmap/%s: %s to %s is not a range",
				    root, entry, start, end);
	return phys_ranges_append(out, &range) < 0 ? message_fail(message, -ENOMEM, "out of memory") : 0;
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

static int parse_parameter(const char *line, struct phys_range *range)
{
	char *rest;

	range->start = range->last = strtoull(line, &rest, 0);
	return rest == line || (*rest && *rest != '\n') ? -EINVAL : 1;
}

/* Sets *value to 0 if the module is not loaded or has no such parameter, which is usual. */
static int read_parameter(const char *root, const char *path, uint64_t *value, struct message *message)
{
	CLEANUP_PHYS_RANGES struct phys_ranges values = { 0 };
	int error = read_lines(root, path, parse_parameter, &values, message);

	*value = values.count ? values.items[0].start : 0;
	return error == -ENOENT ? 0 : error;
}

int physmap_read_ramoops(const char *root, struct phys_ranges *out, struct message *message)
{
	static const char start_path[] = "/sys/module/ramoops/parameters/mem_address";
	static const char size_path[] = "/sys/module/ramoops/parameters/mem_size";
	struct phys_range range = { .name = "ramoops" };
	uint64_t size = 0;
	int error = read_parameter(root, start_path, &range.start, message);

	*out = (struct phys_ranges){ 0 };
	if (!error)
		error = read_parameter(root, size_path, &size, message);
	if (error || size == 0)
		return error;
	/* An end past the last address is cut off there. */
	range.last = range.start + min_u64(size - 1, UINT64_MAX - range.start);
	return phys_ranges_append(out, &range) < 0 ? message_fail(message, -ENOMEM, "out of memory") : 0;
}

/*
 * Parse "PAT: [mem 0x0000000140000000-0x0000000180000000] write-back"; the second number is the end,
 * exclusive.
 */
static int parse_pat(const char *line, struct phys_range *range)
{
	uint64_t end;
	int name = 0;

	if (strncmp(line, "PAT: [mem ", 10) != 0)
		return 0;
	if (sscanf(line, "PAT: [mem %" SCNx64 "-%" SCNx64 "] %n", &range->start, &end, &name) < 2 || !name ||
	    end == 0)
		return -EINVAL;
	range->last = end - 1;
	copy_name(range, line + name);
	return 1;
}

int physmap_read_pat(const char *root, struct phys_ranges *out, struct message *message)
{
	return read_lines(root, "/sys/kernel/debug/x86/pat_memtype_list", parse_pat, out, message);
}
