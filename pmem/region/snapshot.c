/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "region/backend.h"

struct region_snapshot {
	struct region *region;
	struct region_snapshot *next; /* of the region */
	int fd;			      /* copies of pages, each at its offset in the region */
	_Atomic uint64_t copied;      /* pages */
	_Atomic bool broken;	      /* a page could not be copied before it changed */
	pthread_mutex_t lock;	      /* guards copying */
	/* A bit each: it is copied, or of no interest. Set with the lock held. */
	_Atomic uint64_t *pages;
};

/* ---- Copying ---------------------------------------------------------------------------- */

static bool is_copied(const struct region_snapshot *snapshot, uint64_t page)
{
	return atomic_load_explicit(&snapshot->pages[page / 64], memory_order_acquire) >> page % 64 & 1;
}

/* Writers of one page wait for the copy: the first of them makes it before any of them changes the page. */
static void copy_page(struct region_snapshot *snapshot, uint64_t page)
{
	const off_t offset = (off_t)(page * PAGE_BYTES);
	unsigned char bytes[PAGE_BYTES];
	LOCK_SCOPE(&snapshot->lock);

	if (is_copied(snapshot, page))
		return;
	/* The page may be bad; then there is nothing to come back to. */
	if (media_read(snapshot->region, (uint64_t)offset, bytes, PAGE_BYTES) < 0 ||
	    pwrite(snapshot->fd, bytes, PAGE_BYTES, offset) != PAGE_BYTES)
		atomic_store(&snapshot->broken, true);
	else
		atomic_fetch_add(&snapshot->copied, 1);
	atomic_fetch_or_explicit(&snapshot->pages[page / 64], (uint64_t)1 << page % 64,
				 memory_order_release);
}

void snapshots_before_change(struct region *region, uint64_t offset, uint64_t length)
{
	const uint64_t end = align_up(offset + length, PAGE_BYTES) / PAGE_BYTES;

	for (struct region_snapshot *snapshot = region->snapshots; snapshot; snapshot = snapshot->next)
		for (uint64_t page = offset / PAGE_BYTES; page < end; page++)
			if (!is_copied(snapshot, page))
				copy_page(snapshot, page);
}

/* ---- The snapshot ------------------------------------------------------------------------ */

static unsigned count_snapshots(const struct region *region)
{
	unsigned count = 0;

	for (const struct region_snapshot *snapshot = region->snapshots; snapshot; snapshot = snapshot->next)
		count++;
	return count;
}

static int take(struct region *region, bool whole, struct region_snapshot **out)
{
	const uint64_t words = (region->size / PAGE_BYTES + 63) / 64;
	struct region_snapshot *snapshot;

	if (count_snapshots(region) >= REGION_SNAPSHOTS_MAX)
		return -ENOSPC;
	snapshot = calloc(1, sizeof(*snapshot));
	if (!snapshot)
		return -ENOMEM;
	snapshot->region = region;
	snapshot->pages = calloc(words, sizeof(*snapshot->pages));
	snapshot->fd = memfd_create("softpmem-snapshot", MFD_CLOEXEC);
	pthread_mutex_init(&snapshot->lock, NULL);
	if (!snapshot->pages || snapshot->fd < 0) {
		const int error = snapshot->pages ? -errno : -ENOMEM;

		region_snapshot_drop(snapshot);
		return error;
	}
	if (!whole)
		memset((void *)snapshot->pages, 0xff, words * sizeof(*snapshot->pages));
	snapshot->next = region->snapshots;
	region->snapshots = snapshot;
	*out = snapshot;
	return 0;
}

int region_snapshot_take(struct region *region, struct region_snapshot **out)
{
	return take(region, true, out);
}

int region_snapshot_take_empty(struct region *region, struct region_snapshot **out)
{
	return take(region, false, out);
}

void region_snapshot_include(struct region_snapshot *snapshot, uint64_t offset, uint64_t length)
{
	const uint64_t end = (offset + length) / PAGE_BYTES;

	for (uint64_t page = offset / PAGE_BYTES; page < end; page++)
		atomic_fetch_and(&snapshot->pages[page / 64], ~((uint64_t)1 << page % 64));
}

bool region_snapshot_has_changed(const struct region_snapshot *snapshot, uint64_t offset)
{
	return is_copied(snapshot, offset / PAGE_BYTES);
}

int region_snapshot_read(const struct region_snapshot *snapshot, uint64_t offset, void *bytes)
{
	if (!is_copied(snapshot, offset / PAGE_BYTES))
		return media_read(snapshot->region, offset, bytes, PAGE_BYTES);
	return pread(snapshot->fd, bytes, PAGE_BYTES, (off_t)offset) == PAGE_BYTES ? 0 : -EIO;
}

void region_snapshot_drop(struct region_snapshot *snapshot)
{
	if (!snapshot)
		return;
	for (struct region_snapshot **link = &snapshot->region->snapshots; *link; link = &(*link)->next)
		if (*link == snapshot) {
			*link = snapshot->next;
			break;
		}
	if (snapshot->fd >= 0)
		close(snapshot->fd);
	pthread_mutex_destroy(&snapshot->lock);
	free((void *)snapshot->pages);
	free(snapshot);
}

void snapshots_drop_all(struct region *region)
{
	while (region->snapshots)
		region_snapshot_drop(region->snapshots);
}

static int restore_page(struct region_snapshot *snapshot, uint64_t page)
{
	const uint64_t offset = page * PAGE_BYTES;
	unsigned char bytes[PAGE_BYTES];
	int same;

	if (pread(snapshot->fd, bytes, PAGE_BYTES, (off_t)offset) != PAGE_BYTES)
		return -EIO;
	same = media_compare(snapshot->region, offset, bytes, PAGE_BYTES);
	return same == 1 ? media_write(snapshot->region, offset, bytes, PAGE_BYTES) : same;
}

int region_snapshot_restore(struct region_snapshot *snapshot)
{
	const uint64_t pages = snapshot->region->size / PAGE_BYTES;
	int result = 0;

	if (!region_snapshot_is_whole(snapshot))
		return -ENOMEM;
	for (uint64_t page = 0; page < pages; page++) {
		int error;

		if (!atomic_load(&snapshot->pages[page / 64])) {
			page |= 63;
			continue;
		}
		error = is_copied(snapshot, page) ? restore_page(snapshot, page) : 0;
		result = result ? result : error;
	}
	media_fence(snapshot->region);
	return result;
}

uint64_t region_snapshot_bytes(const struct region_snapshot *snapshot)
{
	return atomic_load(&snapshot->copied) * PAGE_BYTES;
}

bool region_snapshot_is_whole(const struct region_snapshot *snapshot)
{
	return !atomic_load(&snapshot->broken);
}
