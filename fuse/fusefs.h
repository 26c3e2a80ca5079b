/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_FUSEFS_H
#define FUSE_FUSEFS_H

/*
 * The FUSE 3 face: a region's pools as a tree of files, or several regions', in
 * a directory each. write(2) goes through to the pool at once and is volatile
 * until fsync, fdatasync, O_DSYNC or msync; everything that changes names,
 * owners, modes or times is durable when it returns. The kernel caches data,
 * attributes and names without a time limit: whoever changes pools behind the
 * mount's back says so, below.
 *
 * Functions return 0 or a negative errno. One struct fusefs a mount; several
 * mounts of one struct pools are not supported. Regions are called by their
 * number: their place among those that were mounted.
 */

#include <stdbool.h>

#include "common/log_sink.h"
#include "common/message.h"
#include "pool/pool.h"

struct fusefs;

struct fusefs_region {
	struct pools *pools;
	/* Of its directory, where there are several regions; one alone is the mount's root. */
	const char *name;
};

struct fusefs_options {
	const char *mountpoint;
	/* For root, or with user_allow_other in /etc/fuse.conf; the kernel checks permissions either way. */
	bool allow_other;
	bool read_only;
	unsigned threads; /* 0: a number that suits this machine */
	struct log_sink log;
};

/*
 * Mount. A mount of ours at the same place whose daemon died is cleared first.
 * -EBUSY: a live one is there; -ENOENT, -ENOTDIR: no such directory; -ENODEV: no
 * FUSE in this kernel; -EPERM: not allowed, or fusermount3 is missing. Nobody
 * is served before fusefs_serve() runs, so do not touch the mount in between.
 */
int fusefs_mount(const struct fusefs_region *regions, unsigned count, const struct fusefs_options *options,
		 struct fusefs **out, struct message *message);

/*
 * Serve with threads of its own, until the mount is gone from outside or
 * fusefs_stop() is called: then what the kernel still holds is written back and
 * the mount is removed, lazily if files are open on it. Call once.
 */
int fusefs_serve(struct fusefs *fusefs);

/* st_dev of what is on the mount; 0 if unknown. */
dev_t fusefs_device(const struct fusefs *fusefs);

/*
 * st_ino on the mount is the pool's own number, and where there are several
 * regions, the region's above it, counted from 1: so no two files have the same.
 */
#define FUSEFS_REGION_SHIFT 48
static inline unsigned fusefs_ino_region(uint64_t ino)
{
	return ino >> FUSEFS_REGION_SHIFT ? (unsigned)(ino >> FUSEFS_REGION_SHIFT) - 1 : 0;
}
static inline uint64_t fusefs_ino_pool(uint64_t ino)
{
	return ino & (((uint64_t)1 << FUSEFS_REGION_SHIFT) - 1);
}

/* Make fusefs_serve() return soon. Any thread, a signal handler too; more than once does no harm. */
void fusefs_stop(struct fusefs *fusefs);

/* Close what clients left open, unmount if that has not been done yet, free. NULL is allowed. */
void fusefs_unmount(struct fusefs *fusefs);

/*
 * The power fails under the mount, in all regions at once: pools_power_off(),
 * _apply() and _on(), with every cache of the kernel emptied in between, so that
 * afterwards all that is seen comes from the media. There are options for each
 * region, in their order; the policy is that of the first. Open files and
 * mappings are dead from here on (EIO, SIGBUS); the next open of the same name
 * works. For any thread that is not in a call-back of the pools. -EBUSY: one is
 * under way. A region whose media are lost has no part in it; -EIO: all of them
 * are.
 */
int fusefs_power_failure(struct fusefs *fusefs, const struct pools_power_options *options);

/*
 * A region's media are gone for good (pools_media_lost()): empty the kernel's
 * caches of it, so that who is at the files learns it at once and not when they
 * run dry. The other regions go on.
 */
void fusefs_media_lost(struct fusefs *fusefs, unsigned region);

/*
 * Somebody changed pools other than through the mount: a name was added,
 * replaced or removed; bytes, size or attributes are not what they were. Not
 * from a call-back of the pools, and with no lock held that a file operation needs.
 */
void fusefs_entry_changed(struct fusefs *fusefs, struct pool *directory, const char *name);
void fusefs_pool_changed(struct fusefs *fusefs, struct pool *pool);

#endif
