/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/discover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "region/finder.h"
#include "region/numa.h"
#include "region/physmap_map.h"
#include "region/platform.h"
#include "region/region.h"

struct finder {
	const char *root;
	const struct physmap *map;
	const struct nd_devices *devices;
	/* Empty where debugfs does not show it. */
	struct phys_ranges pat;
	/* Empty if the kernel is not locked down, or does not report it. */
	char locked_down[32];
	struct region_candidates *out;
};

const char *region_verdict_name(enum region_verdict verdict)
{
	static const char *const names[] = { "usable", "usable with a warning", "refused" };

	return names[verdict];
}

void region_candidates_free(struct region_candidates *candidates)
{
	vector_free(candidates);
	*candidates = (struct region_candidates){ 0 };
}

static struct region_candidate *add(struct finder *finder)
{
	struct region_candidate *candidate = vector_append_zero(finder->out);

	if (candidate)
		candidate->numa_node = candidate->dirty_shutdowns = -1;
	return candidate;
}

static void refuse(struct region_candidate *candidate, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void refuse(struct region_candidate *candidate, const char *format, ...)
{
	va_list args;

	candidate->verdict = REGION_REFUSED;
	va_start(args, format);
	vsnprintf(candidate->why.text, sizeof(candidate->why.text), format, args);
	va_end(args);
}

static void doubt(struct region_candidate *candidate, const char *text)
{
	candidate->verdict = REGION_DOUBTFUL;
	message_fail(&candidate->why, 0, "%s", text);
}

static void take_memory_type(const struct finder *finder, struct region_candidate *candidate)
{
	struct phys_range range = { .start = candidate->start,
				    .last = candidate->start + candidate->size - 1 };

	for (size_t i = 0; i < finder->pat.count && candidate->size; i++) {
		const struct phys_range *part = &finder->pat.items[i];

		if (!phys_range_overlaps(part, &range))
			continue;
		/* One page with another cache type decides for all of it. */
		if (!candidate->memory_type[0] || strcmp(part->name, "write-back") != 0)
			snprintf(candidate->memory_type, sizeof(candidate->memory_type), "%.31s", part->name);
	}
}

/* Further obstacles for memory that is mapped through /dev/mem. */
static void judge_devmem(const struct finder *finder, struct region_candidate *candidate)
{
	if (candidate->verdict == REGION_REFUSED)
		return;
	if (finder->locked_down[0])
		refuse(candidate,
		       "the kernel is locked down (%s), as Secure Boot does, and then /dev/mem is closed to "
		       "all: use a device-dax (memmap=SIZE%%START-1+0xefffffff, or a namespace of mode "
		       "devdax), or boot without lockdown",
		       finder->locked_down);
	else if (candidate->memory_type[0] && strcmp(candidate->memory_type, "write-back") != 0)
		refuse(candidate,
		       "another process has some of it mapped %s, and any new mapping is the same: stop that "
		       "first",
		       candidate->memory_type);
}

/* ---- Namespaces and device-daxes --------------------------------------------------- */

static void judge_dax(const struct nd_device *device, struct region_candidate *candidate)
{
	snprintf(candidate->spec, sizeof(candidate->spec), "dax:/dev/%s", device->name);
	if (strcmp(device->mode, "devdax") != 0)
		refuse(candidate,
		       "the kernel uses it as its own RAM: daxctl reconfigure-device --mode=devdax --force "
		       "%s takes it back",
		       device->name);
	else if (!device->active)
		refuse(candidate, "it is disabled: daxctl enable-device %s", device->name);
}

static void judge_namespace(const struct finder *finder, const struct nd_device *device,
			    struct region_candidate *candidate)
{
	struct phys_range range = { .start = device->start, .last = device->start + device->size - 1 };
	struct message why = { "" };

	snprintf(candidate->spec, sizeof(candidate->spec), "ndctl:%s", device->name);
	if (device->active)
		refuse(candidate,
		       "it is active%s%s, so a file system or a program may be on it: if nothing is, "
		       "ndctl disable-namespace %s",
		       device->shown_as[0] ? " as /dev/" : "", device->shown_as, device->name);
	else if (strcmp(device->mode, "raw") != 0)
		refuse(candidate,
		       "it is made for mode %s, and raw use would overwrite that: ndctl create-namespace -f "
		       "-e %s --mode=devdax",
		       device->mode, device->name);
	else if (device->size == 0)
		refuse(candidate, "only root can see its address");
	else if (physmap_check_namespace(finder->map, candidate->spec, &range, &why) < 0)
		refuse(candidate, "%s", why.text);
	judge_devmem(finder, candidate);
}

static int take_device(struct finder *finder, const struct nd_device *device)
{
	bool is_dax = device->kind == ND_DAX;
	struct region_candidate *candidate;
	char bad[128];

	/* The same memory is found again as a device-dax. */
	if (!is_dax && device->active && strcmp(device->mode, "devdax") == 0 &&
	    nd_find(finder->devices, device->shown_as))
		return 0;
	candidate = add(finder);
	if (!candidate)
		return -ENOMEM;
	memcpy(candidate->device, device->name, sizeof(candidate->device));
	memcpy(candidate->mode, device->mode, sizeof(candidate->mode));
	memcpy(candidate->persistence_domain, device->persistence_domain,
	       sizeof(candidate->persistence_domain));
	candidate->start = device->start;
	candidate->size = device->size;
	candidate->numa_node = device->numa_node;
	candidate->dirty_shutdowns = device->dirty_shutdowns;
	candidate->badblocks = device->badblocks;
	snprintf(candidate->set_aside_by, sizeof(candidate->set_aside_by), "%s",
		 is_dax ? "the kernel, as device-dax" : "the kernel, as nvdimm namespace");
	take_memory_type(finder, candidate);
	if (is_dax)
		judge_dax(device, candidate);
	else
		judge_namespace(finder, device, candidate);
	if (candidate->verdict == REGION_USABLE && device->badblocks) {
		snprintf(bad, sizeof(bad),
			 "%u of its 512-byte blocks are known to be bad: 'ndctl list -M' shows where",
			 device->badblocks);
		doubt(candidate, bad);
	}
	return 0;
}

/* ---- RAM that only an address names --------------------------------------------------- */

static bool belongs_to_device(const struct finder *finder, const struct phys_range *range)
{
	for (size_t i = 0; i < finder->devices->count; i++) {
		const struct nd_device *device = &finder->devices->items[i];
		struct phys_range its = { .start = device->start, .last = device->start + device->size - 1 };

		if (device->size && phys_range_overlaps(&its, range))
			return true;
	}
	return false;
}

static void judge_stretch(const struct finder *finder, const struct physmap_stretch *stretch,
			  struct region_candidate *candidate)
{
	const struct kernel_options *options = physmap_options(finder->map);
	struct message warning = { "" }, why = { "" };
	char words[96];

	physmap_memmap_words(&stretch->range, words, sizeof(words));
	if (physmap_check(finder->map, candidate->spec, &stretch->range, &warning, &why) < 0)
		refuse(candidate, "%s", why.text);
	else if (stretch->kind == PHYSMAP_UNEXPLAINED && options->pci_nocrs)
		refuse(candidate,
		       "it is in no memory map of the kernel, which with pci=nocrs may give it to a device "
		       "at any time: put %s on the kernel command line",
		       words);
	else if (stretch->kind == PHYSMAP_UNEXPLAINED)
		refuse(candidate,
		       "it is not known why the kernel does not use it, so the firmware or a driver may use "
		       "it: put %s on the kernel command line; if you know that it is free, name it",
		       words);
	else if (stretch->kind == PHYSMAP_GAP) {
		message_fail(&why, 0,
			     "it is in no memory map of the kernel, which may give it to a device that is "
			     "plugged in: %s instead of mem= on the kernel command line is safer",
			     words);
		doubt(candidate, why.text);
	} else if (warning.text[0])
		refuse(candidate, "%s", warning.text);
	judge_devmem(finder, candidate);
}

static struct region_candidate *add_range(struct finder *finder, const struct phys_range *range)
{
	struct region_candidate *candidate = add(finder);
	char start[32], size[32];

	if (!candidate)
		return NULL;
	candidate->start = range->start;
	candidate->size = range->last - range->start + 1;
	physmap_format_number(candidate->start, start, sizeof(start));
	physmap_format_number(candidate->size, size, sizeof(size));
	snprintf(candidate->spec, sizeof(candidate->spec), "devmem:%.24s+%.24s", start, size);
	candidate->numa_node = numa_node_of(finder->root, range);
	take_memory_type(finder, candidate);
	return candidate;
}

static int take_stretch(struct finder *finder, const struct physmap_stretch *stretch)
{
	struct region_candidate *candidate;

	/* The rest of a range with a namespace holds the structures of the namespace. */
	if (belongs_to_device(finder, &stretch->range))
		return 0;
	candidate = add_range(finder, &stretch->range);
	if (!candidate)
		return -ENOMEM;
	memcpy(candidate->set_aside_by, stretch->set_aside_by, sizeof(candidate->set_aside_by));
	judge_stretch(finder, stretch, candidate);
	return 0;
}

/*
 * Also set aside, but for another purpose. It is listed, so that a user who asks where the rest of the
 * memory is can find it.
 */
static int take_crash_kernel(struct finder *finder, struct message *message)
{
	const struct kernel_options *options = physmap_options(finder->map);

	for (size_t i = 0; i < finder->map->iomem.count; i++) {
		const struct phys_range *range = &finder->map->iomem.items[i];
		struct region_candidate *candidate;
		struct message why, unused;

		if (strcmp(range->name, PHYSMAP_CRASH_KERNEL) != 0)
			continue;
		candidate = add_range(finder, range);
		if (!candidate)
			return message_fail(message, -ENOMEM, "out of memory");
		snprintf(candidate->set_aside_by, sizeof(candidate->set_aside_by), "%s%s",
			 options->crashkernel[0] ? "crashkernel=" : "the kernel",
			 options->crashkernel[0] ? options->crashkernel : "");
		if (physmap_check(finder->map, candidate->spec, range, &unused, &why) == 0)
			message_fail(&why, 0, "it is reserved for the kernel that starts after a crash");
		refuse(candidate, "%s", why.text);
	}
	return 0;
}

static int take_stretches(struct finder *finder, struct message *message)
{
	CLEANUP_FREE struct physmap_stretch *stretches = NULL;
	size_t count = 0;
	int error = physmap_stretches(finder->map, REGION_MIN_SIZE, &stretches, &count, message);

	for (size_t i = 0; !error && i < count; i++) {
		/* Small ranges that the firmware keeps for itself are no candidates. */
		const uint64_t worth_telling = 16u << 20;

		if (stretches[i].kind == PHYSMAP_UNEXPLAINED &&
		    stretches[i].range.last - stretches[i].range.start < worth_telling)
			continue;
		error = take_stretch(finder, &stretches[i]);
	}
	return error;
}

/* ---- All of it ----------------------------------------------------------------------------- */

/*
 * Device-dax before namespaces before /dev/mem: the fewer ways the kernel has to take the memory back,
 * the better.
 */
static int rank(const struct region_candidate *candidate)
{
	if (strncmp(candidate->spec, "dax:", 4) == 0)
		return 0;
	return strncmp(candidate->spec, "ndctl:", 6) == 0 ? 1 : 2;
}

static int better(const void *a, const void *b)
{
	const struct region_candidate *left = a, *right = b;

	if (left->verdict != right->verdict)
		return (int)left->verdict - (int)right->verdict;
	if (rank(left) != rank(right))
		return rank(left) - rank(right);
	if (left->size != right->size)
		return left->size < right->size ? 1 : -1;
	return (left->start > right->start) - (left->start < right->start);
}

/* Devices, and memory that 32-bit devices can reach, are below 4 GiB. */
static bool is_better_ram(const struct phys_range *ram, const struct phys_range *other)
{
	const uint64_t high = (uint64_t)4 << 30;

	if (!other || (ram->start >= high) != (other->start >= high))
		return !other || ram->start >= high;
	return ram->last - ram->start > other->last - other->start;
}

/* Advise the upper half of the largest System RAM, at a multiple of 1 GiB if it is large enough. */
static void advise(const struct physmap *map, struct region_candidates *out)
{
	const struct phys_range *largest = NULL;
	const uint64_t least = 64u << 20, gib = (uint64_t)1 << 30;
	char size[32], start[32];
	uint64_t from, unit, room;

	for (size_t i = 0; i < map->iomem.count; i++) {
		const struct phys_range *ram = &map->iomem.items[i];

		if (strcmp(ram->name, PHYSMAP_RAM) == 0 && ram->last < (uint64_t)1 << 52 &&
		    is_better_ram(ram, largest))
			largest = ram;
	}
	room = largest ? largest->last + 1 - largest->start : 0;
	unit = room >= 4 * gib ? gib : least;
	if (room < 2 * least)
		return;
	from = align_up(largest->start + room / 2, unit);
	physmap_format_number(align_down(largest->last + 1 - from, least), size, sizeof(size));
	physmap_format_number(from, start, sizeof(start));
	snprintf(out->advice, sizeof(out->advice), "memmap=%.20s$%.20s", size, start);
}

int discover_tree(const char *root, const struct nd_devices *devices, struct region_candidates *out,
		  struct message *message)
{
	CLEANUP_PHYSMAP struct physmap *map = NULL;
	struct finder finder = { .root = root, .devices = devices, .out = out };
	int error = physmap_read(root, &map, message);

	*out = (struct region_candidates){ 0 };
	if (error)
		return error;
	finder.map = map;
	/* Not every kernel reports these. What stays unknown is found out when the region is mapped. */
	physmap_read_pat(root, &finder.pat, NULL);
	platform_read_lockdown(root, finder.locked_down, sizeof(finder.locked_down));
	if (strcmp(finder.locked_down, "none") == 0)
		finder.locked_down[0] = '\0';
	for (size_t i = 0; !error && i < devices->count; i++)
		error = take_device(&finder, &devices->items[i]);
	if (error)
		message_fail(message, error, "out of memory");
	else
		error = take_stretches(&finder, message);
	if (!error)
		error = take_crash_kernel(&finder, message);
	phys_ranges_free(&finder.pat);
	if (error) {
		region_candidates_free(out);
		return error;
	}
	if (out->count)
		qsort(out->items, out->count, sizeof(*out->items), better);
	advise(map, out);
	return 0;
}

int region_discover(struct region_candidates *out, struct message *message)
{
	CLEANUP_ND_DEVICES struct nd_devices devices = { 0 };
	int error = nd_read(&devices, message);

	*out = (struct region_candidates){ 0 };
	return error ? error : discover_tree("", &devices, out, message);
}
