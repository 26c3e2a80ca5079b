/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_CACHED_PAGES_H
#define FUSE_CACHED_PAGES_H

/*
 * Which parts of a file the kernel may have in its page cache. A file is taken
 * as at most 64 parts of equal size, which doubles as the file grows, so that
 * this is small and never grows itself. Offsets and lengths are in bytes.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct cached_pages {
	pthread_mutex_t lock; /* guards the fields below */
	unsigned part_shift;  /* a part has 1 << part_shift bytes */
	uint64_t cached;      /* a bit a part: the kernel may have pages of it */
	uint64_t dropping;    /* the kernel is being told to drop them */
};

void fusefs_cached_init(struct cached_pages *pages);
void fusefs_cached_destroy(struct cached_pages *pages);

/*
 * The kernel may cache these bytes. Call it before the bytes are read from the pool or written to it:
 * a thread that changes them afterwards then finds them here. Any thread.
 */
void fusefs_cached_add(struct cached_pages *pages, uint64_t offset, uint64_t length);
/* May the kernel have a page of this range, or is it being told to drop one? Any thread. */
bool fusefs_cached_overlaps(struct cached_pages *pages, uint64_t offset, uint64_t length);

/*
 * Call fusefs_cached_begin_drop(), have the kernel drop the pages of *from up to *end, and call
 * fusefs_cached_end_drop(). The range is that of the parts that overlap with the one given and may be
 * cached. False: there is none. One thread at a time.
 */
bool fusefs_cached_begin_drop(struct cached_pages *pages, uint64_t offset, uint64_t length, uint64_t *from,
			      uint64_t *end);
void fusefs_cached_end_drop(struct cached_pages *pages);

#endif
