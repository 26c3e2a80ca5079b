/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/physmap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/align.h"
#include "region/physmap_map.h"
#include "region/platform.h"

static const char system_ram[] = PHYSMAP_RAM;

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

bool physmap_is_set_aside(const struct phys_range *entry)
{
	return strcmp(entry->name, "Reserved") == 0 || starts_with(entry->name, "Persistent Memory") ||
	       strcmp(entry->name, "Soft Reserved") == 0 || starts_with(entry->name, "hmem.");
}

void physmap_format_number(uint64_t number, char *text, size_t size)
{
	static const char units[] = "KMG";
	int unit = -1;

	while (unit < 2 && number && (number & 1023) == 0) {
		number >>= 10;
		unit++;
	}
	if (unit < 0)
		snprintf(text, size, "%#" PRIx64, number);
	else
		snprintf(text, size, "%" PRIu64 "%c", number, units[unit]);
}

const char *physmap_memmap_words(const struct phys_range *range, char *text, size_t size)
{
	char length[32], start[32];

	physmap_format_number(range->last - range->start + 1, length, sizeof(length));
	physmap_format_number(range->start, start, sizeof(start));
	snprintf(text, size, "memmap=%s$%s", length, start);
	return text;
}

/* List the firmware's RAM: adjacent entries as one, small ones left out, as many as fit. */
static const char *list_ram(const struct phys_ranges *firmware, char *text, size_t size)
{
	const uint64_t worth_naming = 64u << 20;
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < firmware->count; i++) {
		struct phys_range ram = firmware->items[i];

		if (strcmp(ram.name, system_ram) != 0)
			continue;
		while (i + 1 < firmware->count && strcmp(firmware->items[i + 1].name, system_ram) == 0 &&
		       firmware->items[i + 1].start == ram.last + 1)
			ram.last = firmware->items[++i].last;
		if (ram.last - ram.start < worth_naming || used + 64 > size)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%#" PRIx64 "-%#" PRIx64,
					 used ? ", " : "", ram.start, ram.last);
	}
	return used ? text : "none of use";
}

static int check_firmware(const struct phys_ranges *firmware, const char *spec,
			  const struct phys_range *range, struct message *message)
{
	const char *what = "nothing";
	uint64_t hole;
	char ram[320];

	if (phys_ranges_cover(firmware, system_ram, range, &hole))
		return 0;
	for (size_t i = 0; i < firmware->count; i++) {
		if (firmware->items[i].start <= hole && hole <= firmware->items[i].last)
			what = firmware->items[i].name;
	}
	return message_fail(message, -EINVAL,
			    "region %s: %#" PRIx64 "-%#" PRIx64
			    " is not all RAM: by the firmware's map %#" PRIx64
			    " is %s: choose a range inside %s",
			    spec, range->start, range->last, hole, what,
			    list_ram(firmware, ram, sizeof(ram)));
}

static int in_the_way(const struct phys_range *entry, const char *spec, const struct phys_range *range,
		      struct message *message)
{
	uint64_t start = max_u64(entry->start, range->start), last = min_u64(entry->last, range->last);
	char words[96];

	if (starts_with(entry->name, "namespace") || starts_with(entry->name, "btt") ||
	    starts_with(entry->name, "pfn"))
		return message_fail(message, -EBUSY,
				    "region %s: %#" PRIx64 "-%#" PRIx64
				    " is the active namespace %s: disable it first: ndctl disable-namespace "
				    "%s",
				    spec, start, last, entry->name, entry->name);
	if (starts_with(entry->name, "dax"))
		return message_fail(message, -EBUSY,
				    "region %s: %#" PRIx64 "-%#" PRIx64
				    " is the active device-dax %s: disable it first: daxctl disable-device "
				    "%s",
				    spec, start, last, entry->name, entry->name);
	if (starts_with(entry->name, "ramoops"))
		return message_fail(message, -EBUSY,
				    "region %s: %#" PRIx64 "-%#" PRIx64
				    " is where ramoops keeps the kernel's crash log: choose another range",
				    spec, start, last);
	/* For example "System RAM (kmem)". */
	if (starts_with(entry->name, PHYSMAP_RAM " ("))
		return message_fail(message, -EBUSY,
				    "region %s: %#" PRIx64 "-%#" PRIx64
				    " is a device-dax that the kernel uses as its own RAM: 'daxctl list' "
				    "names it, daxctl reconfigure-device --mode=devdax --force DEVICE takes "
				    "it back",
				    spec, start, last);
	if (strcmp(entry->name, PHYSMAP_CRASH_KERNEL) == 0)
		return message_fail(
			message, -EBUSY,
			"region %s: %#" PRIx64 "-%#" PRIx64 " is reserved for the kernel that starts after a "
			"crash (kdump, by crashkernel= on the kernel command line): choose another range",
			spec, start, last);
	if (strcmp(entry->name, system_ram) == 0)
		return message_fail(message, -EBUSY,
				    "region %s: %#" PRIx64 "-%#" PRIx64
				    " is System RAM, which the kernel uses: put %s on the kernel command "
				    "line and boot again",
				    spec, start, last, physmap_memmap_words(range, words, sizeof(words)));
	return message_fail(message, -EBUSY,
			    "region %s: %#" PRIx64 "-%#" PRIx64
			    " is in use by the kernel or a device as '%s': choose a range that "
			    "memmap=SIZE$START on the kernel command line can set aside",
			    spec, start, last, entry->name);
}

/* For an entry inside another one that is in the way: can the user do something about it? */
static bool says_more(const struct phys_range *entry)
{
	return strcmp(entry->name, PHYSMAP_CRASH_KERNEL) == 0 || starts_with(entry->name, PHYSMAP_RAM " (");
}

static int check_free(const struct phys_ranges *entries, const char *spec, const struct phys_range *range,
		      struct message *message)
{
	const struct phys_range *found = NULL;

	for (size_t i = 0; i < entries->count; i++) {
		const struct phys_range *entry = &entries->items[i];

		if (phys_range_overlaps(entry, range) && !physmap_is_set_aside(entry) &&
		    (!found || says_more(entry)))
			found = entry;
	}
	return found ? in_the_way(found, spec, range, message) : 0;
}

int physmap_check_tree(const struct physmap *map, const char *spec, const struct phys_range *range,
		       struct message *message)
{
	const struct phys_ranges *tree = &map->tree;

	for (size_t i = 0; i < tree->count; i++) {
		const struct phys_range *node = &tree->items[i];

		if (phys_range_overlaps(node, range) && platform_node_is_claimed(node))
			return message_fail(message, -EBUSY,
					    "region %s: %#" PRIx64 "-%#" PRIx64
					    " belongs to the device tree's node %s: choose another range",
					    spec, max_u64(node->start, range->start),
					    min_u64(node->last, range->last), node->name);
	}
	return 0;
}

/* The range is set aside. If the command line does not explain it, somebody else may rely on it. */
static void look_for_doubts(const struct physmap *map, const char *spec, const struct phys_range *range,
			    struct message *warning)
{
	char words[96];
	uint64_t hole, unused;

	physmap_memmap_words(range, words, sizeof(words));
	if (!phys_ranges_cover(&map->iomem, NULL, range, &hole)) {
		message_fail(warning, 0,
			     "region %s: no memory map of the kernel contains %#" PRIx64
			     ", as after mem=, so it may be given to a device: %s on the kernel "
			     "command line is safer",
			     spec, hole, words);
		return;
	}
	for (size_t i = 0; i < map->iomem.count; i++) {
		struct phys_range part = map->iomem.items[i];

		if (!phys_range_overlaps(&part, range) || strcmp(part.name, "Reserved") != 0)
			continue;
		part.start = max_u64(part.start, range->start);
		part.last = min_u64(part.last, range->last);
		if (!phys_ranges_cover(&map->options.memmaps, NULL, &part, &hole) &&
		    !phys_ranges_cover(&map->tree, NULL, &part, &unused))
			message_fail(warning, 0,
				     "region %s: %#" PRIx64
				     " is Reserved, but not by a memmap= on the kernel command line: make "
				     "sure that nothing else uses it; %s would",
				     spec, hole, words);
	}
}

int physmap_no_maps(const char *spec, int error, const char *why, struct message *message)
{
	if (error == -EACCES || error == -EPERM)
		return message_fail(message, error, "region %s: %s: devmem: needs root", spec, why);
	return message_fail(message, error, "region %s: cannot make sure that nobody uses it: %s", spec, why);
}

static int read_maps(const char *root, struct physmap *map, struct message *message)
{
	int error = physmap_read_firmware(root, &map->firmware, message);

	if (error == -ENOENT) {
		struct message why = message ? *message : (struct message){ "" };

		return message_fail(
			message, -ENOENT,
			"%s: this kernel does not pass on the firmware's memory map "
			"(CONFIG_FIRMWARE_MEMMAP), so it is not known what is RAM: use another kernel, or "
			"file:",
			why.text);
	}
	if (!error)
		error = physmap_read_iomem(root, &map->iomem, message);
	if (!error)
		error = kernel_options_read(root, &map->options, message);
	if (!error)
		error = physmap_read_ramoops(root, &map->ramoops, message);
	if (!error && map->options.ramoops.last >= map->options.ramoops.start)
		error = phys_ranges_append(&map->ramoops, &map->options.ramoops);
	if (!error)
		error = platform_read_device_tree(root, &map->tree, message);
	return error;
}

int physmap_read(const char *root, struct physmap **out, struct message *message)
{
	int error;

	*out = calloc(1, sizeof(**out));
	if (!*out)
		return message_fail(message, -ENOMEM, "out of memory");
	error = read_maps(root, *out, message);
	if (error)
		physmap_free(out);
	return error;
}

void physmap_free(struct physmap **map)
{
	if (!*map)
		return;
	phys_ranges_free(&(*map)->firmware);
	phys_ranges_free(&(*map)->iomem);
	phys_ranges_free(&(*map)->ramoops);
	phys_ranges_free(&(*map)->tree);
	kernel_options_free(&(*map)->options);
	free(*map);
	*map = NULL;
}

const struct kernel_options *physmap_options(const struct physmap *map)
{
	return &map->options;
}

int physmap_recheck(const struct phys_ranges *iomem, const char *spec, const struct phys_range *range,
		    struct message *message)
{
	return check_free(iomem, spec, range, message);
}

int physmap_check(const struct physmap *map, const char *spec, const struct phys_range *range,
		  struct message *warning, struct message *message)
{
	int error = check_firmware(&map->firmware, spec, range, message);

	warning->text[0] = '\0';
	if (!error)
		error = check_free(&map->iomem, spec, range, message);
	if (!error)
		error = check_free(&map->ramoops, spec, range, message);
	if (!error)
		error = physmap_check_tree(map, spec, range, message);
	if (!error)
		look_for_doubts(map, spec, range, warning);
	return error;
}

int physmap_check_namespace(const struct physmap *map, const char *spec, const struct phys_range *range,
			    struct message *message)
{
	uint64_t hole;
	int error = check_free(&map->iomem, spec, range, message);

	if (!error)
		error = check_free(&map->ramoops, spec, range, message);
	if (!error && !phys_ranges_cover(&map->iomem, NULL, range, &hole))
		error = message_fail(message, -EINVAL,
				     "region %s: the kernel's map does not contain %#" PRIx64
				     ": it cannot be used",
				     spec, hole);
	return error;
}
