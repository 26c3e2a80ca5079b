/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/physmap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/align.h"

static const char system_ram[] = "System RAM";

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* What the kernel keeps out of its own and its devices' use; all else in /proc/iomem is in the way. */
static bool is_set_aside(const struct phys_range *entry)
{
	return strcmp(entry->name, "Reserved") == 0 || strcmp(entry->name, "Persistent Memory (legacy)") == 0 ||
	       strcmp(entry->name, "Soft Reserved") == 0 || starts_with(entry->name, "hmem.");
}

/* As a kernel parameter takes it: exact, and short where it can be. */
static void format_number(uint64_t number, char *text, size_t size)
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

/* "memmap=1G$5G", the words that would set this range aside. */
static const char *memmap_words(const struct phys_range *range, char *text, size_t size)
{
	char length[32], start[32];

	format_number(range->last - range->start + 1, length, sizeof(length));
	format_number(range->start, start, sizeof(start));
	snprintf(text, size, "memmap=%s$%s", length, start);
	return text;
}

/* Where RAM is, by the firmware: adjacent entries as one, the smallest left out, as many as fit. */
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
		used += (size_t)snprintf(text + used, size - used, "%s%#" PRIx64 "-%#" PRIx64, used ? ", " : "",
					 ram.start, ram.last);
	}
	return used ? text : "none of use";
}

static int check_firmware(const struct phys_ranges *firmware, const char *spec, const struct phys_range *range,
			  struct message *message)
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
			    "region %s: %#" PRIx64 "-%#" PRIx64 " is not all RAM: by the firmware's map %#" PRIx64
			    " is %s: choose a range inside %s",
			    spec, range->start, range->last, hole, what, list_ram(firmware, ram, sizeof(ram)));
}

static int in_the_way(const struct phys_range *entry, const char *spec, const struct phys_range *range,
		      struct message *message)
{
	uint64_t start = max_u64(entry->start, range->start), last = min_u64(entry->last, range->last);
	char words[96];

	if (starts_with(entry->name, "namespace") || starts_with(entry->name, "btt") || starts_with(entry->name, "pfn"))
		return message_fail(message, -EBUSY,
				    "region %s: %#" PRIx64 "-%#" PRIx64 " is the active namespace %s: disable it first: "
				    "ndctl disable-namespace %s",
				    spec, start, last, entry->name, entry->name);
	if (starts_with(entry->name, "dax"))
		return message_fail(message, -EBUSY,
				    "region %s: %#" PRIx64 "-%#" PRIx64 " is the active device-dax %s: disable it first: "
				    "daxctl disable-device %s",
				    spec, start, last, entry->name, entry->name);
	if (starts_with(entry->name, "ramoops"))
		return message_fail(message, -EBUSY,
				    "region %s: %#" PRIx64 "-%#" PRIx64
				    " is where ramoops keeps the kernel's crash log: choose another range",
				    spec, start, last);
	if (strcmp(entry->name, system_ram) == 0)
		return message_fail(message, -EBUSY,
				    "region %s: %#" PRIx64 "-%#" PRIx64 " is System RAM, which the kernel uses: "
				    "put %s on the kernel command line and boot again",
				    spec, start, last, memmap_words(range, words, sizeof(words)));
	return message_fail(message, -EBUSY,
			    "region %s: %#" PRIx64 "-%#" PRIx64 " is in use by the kernel or a device as '%s': "
			    "choose a range that memmap=SIZE$START on the kernel command line can set aside",
			    spec, start, last, entry->name);
}

static int check_free(const struct phys_ranges *entries, const char *spec, const struct phys_range *range,
		      struct message *message)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct phys_range *entry = &entries->items[i];

		if (phys_range_overlaps(entry, range) && !is_set_aside(entry))
			return in_the_way(entry, spec, range, message);
	}
	return 0;
}

/* Set aside, but by whom? What the command line does not explain, another may rely on. */
static void look_for_doubts(const struct phys_ranges *iomem, const struct phys_ranges *cmdline, const char *spec,
			    const struct phys_range *range, struct message *warning)
{
	char words[96];
	uint64_t hole;

	memmap_words(range, words, sizeof(words));
	if (!phys_ranges_cover(iomem, NULL, range, &hole)) {
		message_fail(warning, 0,
			     "region %s: the kernel knows nothing of %#" PRIx64 ", as after mem=, and may give it to a "
			     "device: %s on the kernel command line is safer",
			     spec, hole, words);
		return;
	}
	for (size_t i = 0; i < iomem->count; i++) {
		struct phys_range part = iomem->items[i];

		if (!phys_range_overlaps(&part, range) || strcmp(part.name, "Reserved") != 0)
			continue;
		part.start = max_u64(part.start, range->start);
		part.last = min_u64(part.last, range->last);
		if (!phys_ranges_cover(cmdline, NULL, &part, &hole))
			message_fail(warning, 0,
				     "region %s: %#" PRIx64 " is Reserved, but not by a memmap= on the kernel command "
				     "line: make sure that nothing else uses it; %s would",
				     spec, hole, words);
	}
}

static int no_privilege(const char *spec, int error, const char *why, struct message *message)
{
	if (error == -EACCES || error == -EPERM)
		return message_fail(message, error, "region %s: %s: devmem: needs root", spec, why);
	return message_fail(message, error, "region %s: cannot make sure that nobody uses it: %s", spec, why);
}

int physmap_check(const char *root, const char *spec, const struct phys_range *range, struct message *warning,
		  struct message *message)
{
	CLEANUP_PHYS_RANGES struct phys_ranges firmware = { 0 }, iomem = { 0 }, cmdline = { 0 }, ramoops = { 0 };
	struct message why;
	int error = physmap_read_firmware(root, &firmware, &why);

	warning->text[0] = '\0';
	if (error == -ENOENT)
		return message_fail(message, -ENOENT,
				    "region %s: %s: this kernel does not pass on the firmware's memory map "
				    "(CONFIG_FIRMWARE_MEMMAP), so nothing says what is RAM: use another kernel, or file:",
				    spec, why.text);
	if (!error)
		error = physmap_read_iomem(root, &iomem, &why);
	if (!error)
		error = physmap_read_cmdline(root, &cmdline, &why);
	if (!error)
		error = physmap_read_ramoops(root, &ramoops, &why);
	if (error)
		return no_privilege(spec, error, why.text, message);
	error = check_firmware(&firmware, spec, range, message);
	if (!error)
		error = check_free(&iomem, spec, range, message);
	if (!error)
		error = check_free(&ramoops, spec, range, message);
	if (!error)
		look_for_doubts(&iomem, &cmdline, spec, range, warning);
	return error;
}
