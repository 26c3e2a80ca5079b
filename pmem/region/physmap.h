/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_PHYSMAP_H
#define REGION_PHYSMAP_H

/*
 * Private to pmem/region: what the kernel reports about physical memory. Each reader takes the root of
 * the tree that it reads: "" is this machine; tests pass trees that were captured on others. All return 0
 * or a negative errno, with a message that names what could not be read. `out` is emptied first, and is
 * empty after a failure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"
#include "common/vector.h"

/* A range that includes both ends, as the kernel writes them. */
struct phys_range {
	uint64_t start;
	uint64_t last;
	/* Of an entry of /proc/iomem: its nesting depth. */
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
 * Does each byte of `range` lie in an item with this name (NULL: with any)? If not, *hole is the first
 * byte that does not.
 */
bool phys_ranges_cover(const struct phys_ranges *ranges, const char *name, const struct phys_range *range,
		       uint64_t *hole);

/*
 * Read /proc/iomem, in its order. -EACCES if it hides the addresses, as it does from unprivileged
 * processes.
 */
int physmap_read_iomem(const char *root, struct phys_ranges *out, struct message *message);

/* The same through a descriptor, from its start. What the kernel shows was decided when it was opened. */
int physmap_reread_iomem(int fd, struct phys_ranges *out, struct message *message);

/* Read /sys/firmware/memmap, the firmware's map before mem= and memmap=; sorted. Needs root. */
int physmap_read_firmware(const char *root, struct phys_ranges *out, struct message *message);

/* Read a short text file, and end it with NUL. -EFBIG: it has more than size - 2 bytes. */
int physmap_read_text(const char *root, const char *path, char *text, size_t size, struct message *message);

/* Read the range in which ramoops keeps the crash log, if the module is loaded. */
int physmap_read_ramoops(const char *root, struct phys_ranges *out, struct message *message);

/*
 * Read the cache types of ranges that are mapped now, from debugfs; the name of a range is its type
 * ("write-back"). -ENOENT or -EACCES where debugfs does not show it.
 */
int physmap_read_pat(const char *root, struct phys_ranges *out, struct message *message);

/* All of the above that decides whether a range is free. */
struct physmap;
int physmap_read(const char *root, struct physmap **out, struct message *message);
void physmap_free(struct physmap **map);

#define CLEANUP_PHYSMAP __attribute__((cleanup(physmap_free)))

/*
 * Can this range be media? A range is refused, with the reason and the way out, unless all of it is RAM
 * in the firmware's map and set aside by the kernel. On success *warning is a sentence about what could
 * not be verified, or empty.
 */
int physmap_check(const struct physmap *map, const char *spec, const struct phys_range *range,
		  struct message *warning, struct message *message);

/* The same for an inactive namespace. It is memory according to libndctl, and nothing is stored in it. */
int physmap_check_namespace(const struct physmap *map, const char *spec, const struct phys_range *range,
			    struct message *message);

/* Compose the message "region SPEC: ..." for a failure to read the maps; returns `error`. */
int physmap_no_maps(const char *spec, int error, const char *why, struct message *message);

/* How RAM is set aside. */
enum physmap_kind {
	PHYSMAP_NOT_RAM,
	PHYSMAP_IN_USE,
	PHYSMAP_MEMMAP,	     /* by a memmap= of the command line */
	PHYSMAP_SOFT,	     /* Soft Reserved: EFI's specific purpose memory, CXL, memmap=% */
	PHYSMAP_LEGACY,	     /* Persistent Memory (legacy): type 12, memmap=! */
	PHYSMAP_GAP,	     /* in no map of the kernel, after mem= or memmap=exactmap */
	PHYSMAP_UNEXPLAINED, /* Reserved, or in no map, without a known reason */
};

/* A stretch of the firmware's RAM that is set aside in one way. */
struct physmap_stretch {
	struct phys_range range;
	enum physmap_kind kind;
	char set_aside_by[160];
};

/* Find the stretches of at least `least` bytes, page aligned, in order. The caller frees *out. */
int physmap_stretches(const struct physmap *map, uint64_t least, struct physmap_stretch **out, size_t *count,
		      struct message *message);

const struct kernel_options *physmap_options(const struct physmap *map);

/* Has anything claimed some of this range since it was opened? 0, or -EBUSY with the reason. */
int physmap_recheck(const struct phys_ranges *iomem, const char *spec, const struct phys_range *range,
		    struct message *message);

#endif
