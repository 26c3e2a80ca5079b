/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_PHYSMAP_MAP_H
#define REGION_PHYSMAP_MAP_H

/* Private to pmem/region: the inside of struct physmap, for who judges ranges by it. */

#include "region/cmdline.h"
#include "region/physmap.h"

/* What the firmware and the kernel call memory. */
#define PHYSMAP_RAM "System RAM"
/* What the kernel calls the part of that in which another waits for it to crash. */
#define PHYSMAP_CRASH_KERNEL "Crash kernel"

struct physmap {
	struct phys_ranges firmware, iomem;
	/* By the module's parameters and by the command line's: it may not be loaded yet. */
	struct phys_ranges ramoops;
	/* Reserved-memory nodes. */
	struct phys_ranges tree;
	struct kernel_options options;
};

/* What the kernel keeps out of its own and its devices' use; all else in /proc/iomem is in the way. */
bool physmap_is_set_aside(const struct phys_range *entry);
/* As a kernel parameter takes it: exact, and short where it can be. */
void physmap_format_number(uint64_t number, char *text, size_t size);
/* "memmap=1G$5G", the words that would set this range aside. */
const char *physmap_memmap_words(const struct phys_range *range, char *text, size_t size);
/* Is it free of the device tree's drivers? */
int physmap_check_tree(const struct physmap *map, const char *spec, const struct phys_range *range,
		       struct message *message);

#endif
