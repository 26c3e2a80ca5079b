/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_REGION_H
#define REGION_REGION_H

/*
 * A region: a range of backing memory whose bytes are the media of an emulated
 * DIMM. They are read and written by the functions of region/media.h.
 *
 * Functions return 0 or a negative errno, and where they take a message, a
 * sentence that names the region and the way out. A region may be used from
 * several threads at once, as long as they write different bytes.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/message.h"

struct region;

#define REGION_MIN_SIZE (2u << 20)

enum region_flags {
	/* Media is mapped without write permission; writing is -EROFS. */
	REGION_READ_ONLY = 1u << 0,
	/* A file: region that does not exist is made, with the size its spec gives. */
	REGION_CREATE = 1u << 1,
};

/*
 * Open the region that `spec` names:
 *   memfd:SIZE            anonymous memory, all zero, gone with the process
 *   file:PATH[,SIZE]      a file; SIZE is needed, and used, only to create it
 *   devmem:START+SIZE[,uncached]
 *                         reserved physical memory through /dev/mem
 *   dax:/dev/daxX.Y       a device-dax
 *   ndctl:namespaceX.Y    an nvdimm namespace that is not active, through
 *                         /dev/mem, or an active one of mode devdax
 * Sizes as size_parse() takes them, at least REGION_MIN_SIZE, multiples of
 * 4096. The region is locked against a second opener, in this process or
 * another (-EBUSY), until region_close(); with REGION_READ_ONLY the lock is
 * shared with other readers. *out belongs to the caller.
 *
 * A file: region is a regular file or a block device (not one that is mounted).
 * PATH may have commas in it; what follows the last one is SIZE if it reads as
 * one, and it must be what the file has if that is there already (an empty file
 * counts as not there). All of the file is allocated on opening, so that a full
 * disk is an error then and not a SIGBUS at a store. Its media survive the
 * death of the daemon. They survive a power loss of the host itself only after
 * region_close(), which waits until they are on the disk, or on a DAX file
 * system. Whoever cuts the file short while it is open makes the region fail.
 *
 * A devmem: region is page aligned RAM by the firmware's word that the kernel
 * has set aside: all else is refused, before anything is mapped. Needs root.
 * Its media survive a warm reset of the machine. With `uncached` the processor
 * does not cache it (O_SYNC).
 *
 * A dax: region is all of the device, which no other process may have mapped. An
 * ndctl: region that is not active is mapped raw: the bytes of a namespace of
 * another mode are refused where labels tell, and foreign where they do not.
 *
 * Memory that is taken away while the region is open (a namespace or driver
 * takes the range, a device-dax is disabled, a file cut short) does not kill the
 * process: see region_failed(). Nor does a page that cannot be read: see
 * region_bad_place(). For that region_open() installs a handler of SIGBUS, which
 * hands on what is not in a region.
 */
int region_open(const char *spec, unsigned flags, struct region **out, struct message *message);

/* NULL is allowed. Stores nothing; a file: region may take its time to reach the disk. */
void region_close(struct region *region);

/* A sentence about what region_open() could not make sure of, for the log; NULL if there is none. */
const char *region_warning(const struct region *region);

/*
 * How the processor caches the media, in the kernel's words; " (requested)" at its end where nothing
 * tells.
 */
const char *region_memory_type(const struct region *region);

/* What the platform says of real memory, "memory_controller" or "cpu_cache"; NULL if it does not. */
const char *region_persistence_domain(const struct region *region);

/*
 * Has the memory as a whole been taken away? Then every access to the media is
 * -EIO, and so is whatever was begun before and has not been fenced. Once failed,
 * a region stays so. Cheap.
 */
bool region_failed(const struct region *region);
/* 0, or -EIO and why. */
int region_failure(const struct region *region, struct message *message);

/*
 * Bad pages: a memory error that the machine reports, or a page that the file's
 * disk cannot read. They were met by an access since the region was opened, and
 * every access to them is -EIO until it is closed. The rest of the region works
 * on. One page too many, and the region fails as a whole.
 */
#define REGION_BAD_MAX 128u
struct region_bad {
	uint64_t offset, length; /* bytes; multiples of 4096 */
};
/* The place that was found bad as number `index`, from 0 on; false: there are not so many. */
bool region_bad_place(const struct region *region, unsigned index, struct region_bad *out);

/*
 * Look whether anything else has claimed the memory, and stop using it if so.
 * To be called now and then, from one thread. As region_failure().
 */
int region_watch(struct region *region, struct message *message);

/*
 * Is some of their memory the same? The locks keep out who would write to it;
 * regions that are only read share them.
 */
bool region_overlaps(const struct region *a, const struct region *b);

/* The spec as given, for messages. Lives as long as the region. */
const char *region_spec(const struct region *region);

/* Bytes, fixed for the life of the region. */
uint64_t region_size(const struct region *region);

/* Is it physical memory of this machine, and from which address on? */
bool region_is_physical(const struct region *region, uint64_t *start);

bool region_is_read_only(const struct region *region);

/* True if the region was made by region_open(): every byte of it is zero. */
bool region_is_new(const struct region *region);

/* Is what is on the media there for another process once this one has ended, however it ends? */
bool region_outlives_process(const struct region *region);

#endif
