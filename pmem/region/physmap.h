/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_PHYSMAP_H
#define REGION_PHYSMAP_H

/*
 * Private to pmem/region: what the kernel tells of physical memory. Each reader
 * takes the root of the tree it reads from: "" is this machine; tests give trees
 * captured from others. All return 0 or a negative errno with a message that
 * names what could not be read; `out` is emptied first and left empty then.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"

/* Both ends belong to it, as the kernel writes them. */
struct phys_range {
	uint64_t start;
	uint64_t last;
	/* In /proc/iomem: how deep it is nested. */
	unsigned depth;
	char name[64];
};

struct phys_ranges {
	struct phys_range *items;
	size_t count;
};

void phys_ranges_free(struct phys_ranges *ranges);

#define CLEANUP_PHYS_RANGES __attribute__((cleanup(phys_ranges_free)))

static inline bool phys_range_overlaps(const struct phys_range *a, const struct phys_range *b)
{
	return a->start <= b->last && b->start <= a->last;
}

/*
 * Is every byte of `range` in one of the items with this name (NULL: any)? If
 * not, *hole is the first byte that is in none.
 */
bool phys_ranges_cover(const struct phys_ranges *ranges, const char *name, const struct phys_range *range,
		       uint64_t *hole);

/* /proc/iomem, in its order. -EACCES if it hides the addresses, as it does from the unprivileged. */
int physmap_read_iomem(const char *root, struct phys_ranges *out, struct message *message);

/* /sys/firmware/memmap: the firmware's map, before mem= and memmap=; sorted. Needs root. */
int physmap_read_firmware(const char *root, struct phys_ranges *out, struct message *message);

/* The memmap= ranges of /proc/cmdline that take RAM away; the name is "$", "!" or "%". */
int physmap_read_cmdline(const char *root, struct phys_ranges *out, struct message *message);

/* The range ramoops keeps the crash log in, if that is loaded. */
int physmap_read_ramoops(const char *root, struct phys_ranges *out, struct message *message);

/*
 * The cache types of ranges that are mapped now, from debugfs; the name is the
 * type ("write-back"). -ENOENT or -EACCES where debugfs does not tell.
 */
int physmap_read_pat(const char *root, struct phys_ranges *out, struct message *message);

/*
 * May this range be media? Refuses, with the reason and the way out, all that
 * is not RAM by the firmware's word and set aside by the kernel. On success
 * *warning is a sentence about what could not be made sure of, or empty.
 */
int physmap_check(const char *root, const char *spec, const struct phys_range *range, struct message *warning,
		  struct message *message);

#endif
