/* SPDX-License-Identifier: BSD-3-Clause */

/* Finds the RAM that the kernel does not use, and why it does not. */

#include "region/physmap_map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/align.h"

struct sweep {
	const struct physmap *map;
	uint64_t least;
	/* Addresses where a range begins, or the one before it ended. Between two of them nothing changes. */
	uint64_t *edges;
	size_t edge_count;
	/* What explains the last piece. Adjacent pieces with the same explanation are one stretch. */
	const struct phys_range *why;
	VECTOR(struct physmap_stretch) stretches;
};

static int by_value(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static void add_edges(struct sweep *sweep, const struct phys_ranges *ranges)
{
	for (size_t i = 0; i < ranges->count; i++) {
		sweep->edges[sweep->edge_count++] = ranges->items[i].start;
		if (ranges->items[i].last != UINT64_MAX)
			sweep->edges[sweep->edge_count++] = ranges->items[i].last + 1;
	}
}

static int collect_edges(struct sweep *sweep)
{
	const struct phys_ranges *all[] = { &sweep->map->firmware, &sweep->map->iomem, &sweep->map->ramoops,
					    &sweep->map->tree, &sweep->map->options.memmaps };
	size_t count = 1;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		count += 2 * all[i]->count;
	sweep->edges = malloc(count * sizeof(*sweep->edges));
	if (!sweep->edges)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		add_edges(sweep, all[i]);
	/* mem= may end in the middle of a range. */
	sweep->edges[sweep->edge_count++] = sweep->map->options.mem_limit;
	qsort(sweep->edges, sweep->edge_count, sizeof(*sweep->edges), by_value);
	return 0;
}

static const struct phys_range *item_at(const struct phys_ranges *ranges, uint64_t address)
{
	for (size_t i = 0; i < ranges->count; i++) {
		if (ranges->items[i].start <= address && address <= ranges->items[i].last)
			return &ranges->items[i];
	}
	return NULL;
}

static bool is_ram(const struct physmap *map, uint64_t address)
{
	bool ram = false;

	/* A map in which RAM overlaps something else is not believed. */
	for (size_t i = 0; i < map->firmware.count; i++) {
		const struct phys_range *item = &map->firmware.items[i];

		if (item->start > address || address > item->last)
			continue;
		if (strcmp(item->name, PHYSMAP_RAM) != 0)
			return false;
		ram = true;
	}
	return ram;
}

static bool tree_claims(const struct physmap *map, uint64_t address)
{
	struct phys_range here = { .start = address, .last = address };
	struct message unused;

	return physmap_check_tree(map, "", &here, &unused) < 0;
}

/* What covers `address`; *why is the range that explains it, if there is one. */
static enum physmap_kind kind_at(const struct physmap *map, uint64_t address, const struct phys_range **why)
{
	const struct kernel_options *options = &map->options;
	bool known = false, soft = false, legacy = false;

	*why = NULL;
	if (!is_ram(map, address))
		return PHYSMAP_NOT_RAM;
	if (item_at(&map->ramoops, address) || tree_claims(map, address))
		return PHYSMAP_IN_USE;
	for (size_t i = 0; i < map->iomem.count; i++) {
		const struct phys_range *entry = &map->iomem.items[i];

		if (entry->start > address || address > entry->last)
			continue;
		if (!physmap_is_set_aside(entry))
			return PHYSMAP_IN_USE;
		known = true;
		legacy |= strncmp(entry->name, "Persistent Memory", 17) == 0;
		soft |= strcmp(entry->name, "Soft Reserved") == 0 || strncmp(entry->name, "hmem.", 5) == 0;
	}
	*why = item_at(&options->memmaps, address);
	if (legacy || soft)
		return legacy ? PHYSMAP_LEGACY : PHYSMAP_SOFT;
	if (known && !*why)
		*why = item_at(&map->tree, address);
	if (known)
		return *why ? PHYSMAP_MEMMAP : PHYSMAP_UNEXPLAINED;
	*why = NULL;
	/* The kernel gives it to devices when they are plugged in. */
	return (address >= options->mem_limit || options->exact_map) && !options->pci_nocrs
		       ? PHYSMAP_GAP
		       : PHYSMAP_UNEXPLAINED;
}

static void explain(const struct physmap *map, struct physmap_stretch *stretch, const struct phys_range *why)
{
	char size[32] = "", start[32] = "";

	if (why) {
		physmap_format_number(why->last - why->start + 1, size, sizeof(size));
		physmap_format_number(why->start, start, sizeof(start));
	}
	switch (stretch->kind) {
	case PHYSMAP_GAP:
		snprintf(stretch->set_aside_by, sizeof(stretch->set_aside_by),
			 "%s on the kernel command line",
			 map->options.exact_map ? "memmap=exactmap" : "mem=");
		break;
	case PHYSMAP_UNEXPLAINED:
		break;
	default:
		if (!why)
			snprintf(stretch->set_aside_by, sizeof(stretch->set_aside_by), "the firmware");
		else if (strchr("$!%", why->name[0]) && why->name[0])
			snprintf(stretch->set_aside_by, sizeof(stretch->set_aside_by),
				 "memmap=%s%c%s on the kernel command line", size, why->name[0], start);
		else
			snprintf(stretch->set_aside_by, sizeof(stretch->set_aside_by),
				 "the device tree's node %.60s", why->name);
	}
}

/* Add a piece in which nothing changes, to the stretch before it or as a new one. */
static int take_piece(struct sweep *sweep, uint64_t start, uint64_t last)
{
	struct physmap_stretch *stretch =
		sweep->stretches.count ? &sweep->stretches.items[sweep->stretches.count - 1] : NULL;
	const struct phys_range *why;
	enum physmap_kind kind = kind_at(sweep->map, start, &why);

	if (kind == PHYSMAP_NOT_RAM || kind == PHYSMAP_IN_USE)
		return 0;
	if (stretch && stretch->range.last + 1 == start && stretch->kind == kind && sweep->why == why) {
		stretch->range.last = last;
		return 0;
	}
	stretch = vector_append_zero(&sweep->stretches);
	if (!stretch)
		return -ENOMEM;
	stretch->range = (struct phys_range){ .start = start, .last = last };
	stretch->kind = kind;
	sweep->why = why;
	explain(sweep->map, stretch, why);
	return 0;
}

/* Cut each stretch to whole pages, and drop those that are shorter than `least`. */
static void trim(struct sweep *sweep)
{
	size_t kept = 0;

	for (size_t i = 0; i < sweep->stretches.count; i++) {
		struct physmap_stretch stretch = sweep->stretches.items[i];
		struct phys_range *range = &stretch.range;
		uint64_t start = align_up(range->start, PAGE_BYTES),
			 end = align_down(range->last + 1, PAGE_BYTES);

		if (end <= start || end - start < sweep->least)
			continue;
		range->start = start;
		range->last = end - 1;
		sweep->stretches.items[kept++] = stretch;
	}
	sweep->stretches.count = kept;
}

int physmap_stretches(const struct physmap *map, uint64_t least, struct physmap_stretch **out, size_t *count,
		      struct message *message)
{
	/* No x86-64 processor has memory beyond this address, and sums do not overflow below it. */
	const uint64_t physical_end = (uint64_t)1 << 52;
	struct sweep sweep = { .map = map, .least = least };
	int error = collect_edges(&sweep);

	for (size_t i = 0; !error && i + 1 < sweep.edge_count; i++) {
		uint64_t start = sweep.edges[i], end = sweep.edges[i + 1];

		if (start < end && end <= physical_end)
			error = take_piece(&sweep, start, end - 1);
	}
	free(sweep.edges);
	if (error) {
		vector_free(&sweep.stretches);
		return message_fail(message, error, "out of memory");
	}
	trim(&sweep);
	*out = sweep.stretches.items;
	*count = sweep.stretches.count;
	return 0;
}
