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
#include "common/vector.h"

/* Both ends belong to it, as the kernel writes them. */
struct phys_range {
	uint64_t start;
	uint64_t last;
	/* In /proc/iomem: how deep it is nested. */
	unsigned depth;
	char name[64];
};

struct phys_ranges {
	VECTOR_FIELDS(struct phys_range);
};

void phys_ranges_free(struct phys_ranges *ranges);
int phys_ranges_append(struct phys_ranges *ranges, const struct phys_range *range);

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

/* The same from its start through a descriptor: what may be seen was settled when it was opened. */
int physmap_reread_iomem(int fd, struct phys_ranges *out, struct message *message);

/* /sys/firmware/memmap: the firmware's map, before mem= and memmap=; sorted. Needs root. */
int physmap_read_firmware(const char *root, struct phys_ranges *out, struct message *message);

/* All of a short text file, ended with NUL. -EFBIG: it has more than size - 2 bytes. */
int physmap_read_text(const char *root, const char *path, char *text, size_t size, struct message *message);

/* The range ramoops keeps the crash log in, if that is loaded. */
int physmap_read_ramoops(const char *root, struct phys_ranges *out, struct message *message);

/*
 * The cache types of ranges that are mapped now, from debugfs; the name is the
 * type ("write-back"). -ENOENT or -EACCES where debugfs does not tell.
 */
int physmap_read_pat(const char *root, struct phys_ranges *out, struct message *message);

/* Everything of the above that decides whether a range is free. */
struct physmap;
int physmap_read(const char *root, struct physmap **out, struct message *message);
void physmap_free(struct physmap **map);

#define CLEANUP_PHYSMAP __attribute__((cleanup(physmap_free)))

/*
 * May this range be media? Refuses, with the reason and the way out, all that
 * is not RAM by the firmware's word and set aside by the kernel. On success
 * *warning is a sentence about what could not be made sure of, or empty.
 */
int physmap_check(const struct physmap *map, const char *spec, const struct phys_range *range,
		  struct message *warning, struct message *message);

/*
 * The same for a namespace that is not active: it is memory by the word of libndctl, and nothing lies
 * in it.
 */
int physmap_check_namespace(const struct physmap *map, const char *spec, const struct phys_range *range,
			    struct message *message);

/* The spec of who wants the range, "region SPEC: ", and what went wrong reading the maps. */
int physmap_no_maps(const char *spec, int error, const char *why, struct message *message);

/* How RAM is kept from the kernel. */
enum physmap_kind {
	PHYSMAP_NOT_RAM,
	PHYSMAP_IN_USE,
	PHYSMAP_MEMMAP,	     /* by a memmap= of the command line */
	PHYSMAP_SOFT,	     /* Soft Reserved: EFI's specific purpose memory, CXL, memmap=% */
	PHYSMAP_LEGACY,	     /* Persistent Memory (legacy): type 12, memmap=! */
	PHYSMAP_GAP,	     /* in no map of the kernel's, below mem= or memmap=exactmap */
	PHYSMAP_UNEXPLAINED, /* Reserved, or in no map, and nothing says why */
};

/* A stretch of the firmware's RAM that is kept from the kernel in one way. */
struct physmap_stretch {
	struct phys_range range;
	enum physmap_kind kind;
	char set_aside_by[160];
};

/* The stretches of at least `least` bytes, page aligned, in order; *out is for the caller to free. */
int physmap_stretches(const struct physmap *map, uint64_t least, struct physmap_stretch **out, size_t *count,
		      struct message *message);

const struct kernel_options *physmap_options(const struct physmap *map);

/*
 * Who has claimed some of this range by now, of those who had not when it was opened? 0, or -EBUSY
 * with the reason.
 */
int physmap_recheck(const struct phys_ranges *iomem, const char *spec, const struct phys_range *range,
		    struct message *message);

#endif
