/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_PHYSMAP_MAP_H
#define REGION_PHYSMAP_MAP_H

/* Private to pmem/region: the definition of struct physmap, for the files that judge ranges by it. */

#include "region/cmdline.h"
#include "region/physmap.h"

/* The name that the firmware and the kernel give to memory. */
#define PHYSMAP_RAM "System RAM"
/* The kernel's name for the RAM in which a second kernel waits for the first one to crash. */
#define PHYSMAP_CRASH_KERNEL "Crash kernel"

struct physmap {
	struct phys_ranges firmware, iomem;
	/* From the module's parameters, and from the command line if the module is not loaded yet. */
	struct phys_ranges ramoops;
	/* Reserved-memory nodes of the device tree. */
	struct phys_ranges tree;
	struct kernel_options options;
};

/*
 * Does the kernel keep this entry of /proc/iomem from its own use and that of devices? All other entries
 * are in the way of a region.
 */
bool physmap_is_set_aside(const struct phys_range *entry);
/* Format a number for a kernel parameter: exact, and short where possible. */
void physmap_format_number(uint64_t number, char *text, size_t size);
/* Format the parameter that would set this range aside, as "memmap=1G$5G"; returns `text`. */
const char *physmap_memmap_words(const struct phys_range *range, char *text, size_t size);
/* Does no driver of a device tree node use the range? 0, or a negative errno with the reason. */
int physmap_check_tree(const struct physmap *map, const char *spec, const struct phys_range *range,
		       struct message *message);

#endif
