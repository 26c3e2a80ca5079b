/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_SNAPSHOT_H
#define REGION_SNAPSHOT_H

/*
 * The bytes that a region's media had at one moment. A snapshot costs nothing until the media change: then
 * each page is copied before its first change, into a memory file of this process. Going back writes the
 * copied pages, so its cost is that of what changed as well.
 *
 * Snapshots of one region are made, restored and dropped by one thread at a time, and while nothing writes to
 * the media. Functions return 0 or a negative errno.
 */

#include <stdbool.h>
#include <stdint.h>

struct region;
struct region_snapshot;

#define REGION_SNAPSHOTS_MAX 16u

/* -ENOMEM; -ENOSPC: the region has REGION_SNAPSHOTS_MAX already. */
int region_snapshot_take(struct region *region, struct region_snapshot **out);
/*
 * The same for parts of the region: it has none at first, and gets them before the media change again. Both
 * are multiples of a page.
 */
int region_snapshot_take_empty(struct region *region, struct region_snapshot **out);
void region_snapshot_include(struct region_snapshot *snapshot, uint64_t offset, uint64_t length);
/* Of a page that was included: has the media changed there? And its bytes, PAGE_BYTES of them. */
bool region_snapshot_has_changed(const struct region_snapshot *snapshot, uint64_t offset);
int region_snapshot_read(const struct region_snapshot *snapshot, uint64_t offset, void *bytes);

/*
 * Of a whole region: give the media the bytes of the snapshot, which stays. Durable on return. -ENOMEM: the
 * copy of a page failed for lack of memory, and nothing was changed. -EIO: the media have failed.
 */
int region_snapshot_restore(struct region_snapshot *snapshot);
/* NULL is allowed. All of a region's snapshots go with region_close(). */
void region_snapshot_drop(struct region_snapshot *snapshot);

/* Bytes that were copied. Any thread. */
uint64_t region_snapshot_bytes(const struct region_snapshot *snapshot);
/* Is the snapshot whole? False: there was no memory for the copy of a page. Any thread. */
bool region_snapshot_is_whole(const struct region_snapshot *snapshot);

#endif
