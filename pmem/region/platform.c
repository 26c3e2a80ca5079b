/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/platform.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char reserved_memory[] = "/sys/firmware/devicetree/base/reserved-memory";

/* Parse "none [integrity] confidentiality": the word in brackets is the state. */
void platform_read_lockdown(const char *root, char *state, size_t size)
{
	char text[128];
	const char *open;

	state[0] = '\0';
	if (physmap_read_text(root, "/sys/kernel/security/lockdown", text, sizeof(text), NULL) < 0)
		return;
	open = strchr(text, '[');
	if (open)
		snprintf(state, size, "%.*s", (int)strcspn(open + 1, "]\n"), open + 1);
}

/*
 * ---- The device tree: numbers are big endian, in cells of 32 bits (Devicetree Specification 0.4,
 * 2.3.5) ----
 */

static size_t read_bytes(const char *root, const char *node, const char *property, unsigned char *bytes,
			 size_t size)
{
	char path[PATH_MAX];
	size_t got;
	FILE *file;

	if (snprintf(path, sizeof(path), "%s%s/%s/%s", root, reserved_memory, node, property) >=
	    (int)sizeof(path))
		return 0;
	file = fopen(path, "re");
	if (!file)
		return 0;
	got = fread(bytes, 1, size, file);
	fclose(file);
	return got;
}

static uint64_t read_cells(const unsigned char *bytes, unsigned cells)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 4 * cells; i++)
		value = value << 8 | bytes[i];
	return value;
}

static unsigned cell_count(const char *root, const char *property, unsigned otherwise)
{
	unsigned char bytes[4];

	return read_bytes(root, ".", property, bytes, sizeof(bytes)) == sizeof(bytes)
		       ? (unsigned)read_cells(bytes, 1)
		       : otherwise;
}

static int read_node(const char *root, const char *node, struct phys_ranges *out, struct message *message)
{
	unsigned address_cells = cell_count(root, "#address-cells", 2),
		 size_cells = cell_count(root, "#size-cells", 1);
	unsigned char reg[1024], compatible[32] = "";
	size_t length = read_bytes(root, node, "reg", reg, sizeof(reg)), pair;

	/* A node without a reg has no address of its own: the kernel chooses one, which /proc/iomem shows. */
	if (length == 0)
		return 0;
	if (address_cells < 1 || address_cells > 2 || size_cells < 1 || size_cells > 2 ||
	    length % (pair = 4 * (address_cells + size_cells)) || length == sizeof(reg))
		return message_fail(message, -EINVAL, "%s%s/%s: its reg is malformed", root,
				    reserved_memory, node);
	read_bytes(root, node, "compatible", compatible, sizeof(compatible) - 1);
	for (size_t at = 0; at < length; at += pair) {
		struct phys_range range = { .start = read_cells(reg + at, address_cells) };
		uint64_t size = read_cells(reg + at + 4 * address_cells, size_cells);

		if (size == 0)
			continue;
		range.last = range.start + size - 1;
		if (range.last < range.start)
			return message_fail(message, -EINVAL, "%s%s/%s: its reg is not a range", root,
					    reserved_memory, node);
		snprintf(range.name, sizeof(range.name), "%.30s%s%s", node, compatible[0] ? "," : "",
			 compatible);
		if (phys_ranges_append(out, &range) < 0)
			return message_fail(message, -ENOMEM, "out of memory");
	}
	return 0;
}

int platform_read_device_tree(const char *root, struct phys_ranges *out, struct message *message)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int error = 0;
	DIR *dir;

	*out = (struct phys_ranges){ 0 };
	snprintf(path, sizeof(path), "%s%s", root, reserved_memory);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ?
			       0 :
			       message_fail(message, -errno, "cannot read %s: %s", path, strerror(errno));
	while (!error && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			error = read_node(root, entry->d_name, out, message);
	}
	closedir(dir);
	if (error)
		phys_ranges_free(out);
	return error;
}

bool platform_node_is_claimed(const struct phys_range *node)
{
	const char *comma = strchr(node->name, ',');

	return comma && strcmp(comma + 1, "pmem-region") != 0;
}
