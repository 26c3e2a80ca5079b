/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_REGION_H
#define REGION_REGION_H

/*
 * A region: a range of backing memory whose bytes are the media of an emulated DIMM. The functions of
 * region/media.h read and write them.
 *
 * Functions return 0 or a negative errno. Where they take a message, it is a sentence that names the
 * region and the way out. Several threads may use a region at once, as long as they write different
 * bytes.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/message.h"

struct region;

#define REGION_MIN_SIZE (2u << 20)

enum region_flags {
	/* The media are mapped without write permission; writing is -EROFS. */
	REGION_READ_ONLY = 1u << 0,
	/* Create the file of a file: region that does not exist, with the size of its spec. */
	REGION_CREATE = 1u << 1,
};

/*
 * Open the region that `spec` names:
 *   memfd:SIZE            anonymous memory, all zero, gone with the process
 *   file:PATH[,SIZE]      a file; SIZE is needed, and used, only to create it
 *   copy:PATH             a private copy of a file: the file stays as it is, and the
 *                         copy is gone with the process
 *   devmem:START+SIZE[,uncached]
 *                         reserved physical memory through /dev/mem
 *   dax:/dev/daxX.Y       a device-dax
 *   ndctl:namespaceX.Y    an nvdimm namespace that is not active, through
 *                         /dev/mem, or an active one of mode devdax
 * Sizes are in the form of size_parse(), at least REGION_MIN_SIZE, and multiples of
 * 4096. The region is locked against a second opener, in this process or
 * another (-EBUSY), until region_close(); with REGION_READ_ONLY the lock is
 * shared with other readers. *out belongs to the caller.
 *
 * A file: region is a regular file or an unmounted block device. PATH may
 * contain commas: what follows the last one is SIZE if it is a valid size. SIZE
 * must be equal to the size of an existing file (an empty file counts as not
 * existing). A region that is written to is the caller's own file or root's, and the path follows no symbolic
 * link of another user in a sticky directory that others may write to (-EPERM).
 *
 * All of the file is allocated on opening, so that a full disk is an
 * error at that moment and not a SIGBUS at a store. Its media survive the death
 * of the daemon. They survive a power loss of the host only after region_close(),
 * which waits until they are on the disk, or on a DAX file system. Truncating the
 * file while it is open makes the region fail.
 *
 * A copy: region takes a page of memory when the page is first written to. No
 * one may have the file open as a file: region that is written to; any number of
 * processes may have copies.
 *
 * A devmem: region is page aligned memory that is RAM in the firmware's map and
 * that the kernel has set aside. Any other range is refused before it is mapped.
 * Needs root. Its media survive a warm reset of the machine. With `uncached` the
 * processor does not cache it (O_SYNC).
 *
 * A dax: region is all of the device, which no other process may have mapped. An
 * inactive ndctl: namespace is mapped raw. One that was made for another mode is
 * refused where labels record the mode.
 *
 * Memory that is taken away while the region is open (a driver claims the range,
 * a device-dax is disabled, a file is truncated) does not kill the process: see
 * region_failed(). An unreadable page does not kill it either: see region_bad_place().
 * For this, region_open() installs a handler of SIGBUS, which passes faults
 * outside of regions on to the previous handler.
 */
int region_open(const char *spec, unsigned flags, struct region **out, struct message *message);

/*
 * NULL is allowed. Writes nothing. Closing a file: region takes as long as its bytes take to reach the
 * disk.
 */
void region_close(struct region *region);

/* A sentence about what region_open() could not verify, for the log; NULL if there is nothing. */
const char *region_warning(const struct region *region);

/*
 * How the processor caches the media, in the kernel's words. Ends in " (requested)" where the kernel does
 * not report the actual type.
 */
const char *region_memory_type(const struct region *region);

/*
 * What the platform reports for physical memory, "memory_controller" or "cpu_cache"; NULL if it reports
 * nothing.
 */
const char *region_persistence_domain(const struct region *region);

/*
 * Has the memory as a whole been taken away? Then every access to the media is -EIO, including those that
 * were made earlier and not fenced yet. A failed region stays failed. Cheap.
 */
bool region_failed(const struct region *region);
/* Make it fail: its content is of no use. `why` ends a sentence of the reason. */
void region_give_up(struct region *region, const char *why);
/* 0, or -EIO with the reason. */
int region_failure(const struct region *region, struct message *message);

/*
 * Bad pages: those with a memory error that the machine reports, and those that the file's disk cannot
 * read. They are found by an access, and every access to them is -EIO until the region is closed. The
 * rest of the region stays usable. A region with more than REGION_BAD_MAX bad places fails as a whole.
 */
#define REGION_BAD_MAX 128u
struct region_bad {
	uint64_t offset, length; /* bytes; multiples of 4096 */
};
/* The bad place that was found as number `index`, counted from 0; false: there are not so many. */
bool region_bad_place(const struct region *region, unsigned index, struct region_bad *out);

/*
 * Check whether anything else has claimed the memory, and stop using it if so. To be called periodically,
 * from one thread. Result as region_failure().
 */
int region_watch(struct region *region, struct message *message);

/*
 * Do the regions share memory? The locks exclude that for regions that are written; regions that are only
 * read may share it.
 */
bool region_overlaps(const struct region *a, const struct region *b);

/* The spec with which it was opened, for messages. Valid until region_close(). */
const char *region_spec(const struct region *region);

/* In bytes; does not change. */
uint64_t region_size(const struct region *region);

/* Is it physical memory of this machine? If so, *start is its address. */
bool region_is_physical(const struct region *region, uint64_t *start);

bool region_is_read_only(const struct region *region);

/* Did region_open() create it? Then every byte of it is zero. */
bool region_is_new(const struct region *region);

/* Do the media outlive this process, however it ends, for another process to read? */
bool region_outlives_process(const struct region *region);
/* The same of a region that is not open. True if the spec is malformed, which region_open() reports. */
bool region_spec_outlives_process(const char *spec);

#endif
