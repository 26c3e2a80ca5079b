/* SPDX-License-Identifier: BSD-3-Clause */

/* Views that CPUs store to: giving the memory of a view to clients. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/write_all.h"
#include "domain/chunk.h"
#include "domain/domain_state.h"
#include "domain/view_memory.h"

/*
 * Seal the memfd before clients have it: a client that could shrink it would make
 * the daemon fault, and one that could add seals would keep it from growing.
 */
static int memory_seal(struct view *view, int more)
{
	if (view->sealed)
		return 0;
	if (fcntl(view->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL | more) < 0)
		return -errno;
	view->sealed = true;
	return 0;
}

/* The number of pages that are copied at once. */
#define FILL_PAGES 64u

/* Copy media bytes to the memfd: through `copy`, or directly if that is NULL. */
static int write_media(struct view *view, uint64_t offset, uint64_t media_offset, uint64_t length,
		       unsigned char *copy)
{
	const struct region *region = view->domain->region;
	const void *from = copy;
	int error;

	if (copy)
		error = media_read(region, media_offset, copy, length);
	else
		error = media_borrow(region, media_offset, length, &from);
	if (!error)
		error = write_all_at(view->fd, from, length, offset);
	/* The kernel met a media error. */
	if (error == -EFAULT)
		error = media_probe(region, media_offset, length);
	return error;
}

/* Fill absent pages from the media, by write(2): it allocates memory for less than page faults cost. */
static int fill(struct view *view, uint64_t page, uint64_t pages, uint64_t media_offset)
{
	const void *unused;
	const bool direct = media_borrow(view->domain->region, media_offset, PAGE_BYTES, &unused) == 0;
	CLEANUP_FREE unsigned char *copy = direct ? NULL : malloc(FILL_PAGES * PAGE_BYTES);
	int error = direct || copy ? 0 : -ENOMEM;

	for (uint64_t done = 0; !error && done < pages; done += FILL_PAGES) {
		uint64_t length = min_u64(pages - done, FILL_PAGES) * PAGE_BYTES;

		error = write_media(view, (page + done) * PAGE_BYTES, media_offset + done * PAGE_BYTES,
				    length, copy);
	}
	return error;
}

/* Make all pages of a placement that is on the media present. */
static int populate_placed(struct view *view, uint64_t page, const struct placement *at)
{
	const uint64_t end = page + at->pages, start = page;
	int error = 0;

	while (!error && page < end) {
		uint64_t stop = view_next_present(view, page, end);

		/* The memory of pages that are attached already is newer than their media. */
		if (stop > page && page >= view_attached_pages(view))
			error = fill(view, page, stop - page, at->media_offset + (page - start) * PAGE_BYTES);
		for (; !error && page < stop; page++) {
			if (!chunk_make(view, page))
				error = -ENOMEM;
			else
				chunk_mark_present(view, page);
		}
		while (page < end && view_page_present(view, page))
			page++;
	}
	return error;
}

static int populate(struct view *view, uint64_t length)
{
	int error = view_memory_extend(view, length);

	for (uint64_t page = 0; !error && page < length / PAGE_BYTES;) {
		const uint64_t attached = view_attached_pages(view), all = length / PAGE_BYTES;
		const uint64_t end = page < attached ? min_u64(attached, all) : all;
		struct placement at = view->ops->find(view->owner, page, end - page);

		/*
		 * A page without media reads as zero, and so does untouched memory. It costs nothing, because
		 * a view may be much larger than the region.
		 */
		if (at.placed)
			error = populate_placed(view, page, &at);
		page += at.pages;
	}
	return error;
}

static void note_attached(struct view *view, uint64_t length)
{
	view->attached = true;
	view->attached_size = max_u64(view->attached_size, length);
}

/* A client must not open the memory anew: memory_is_shared() knows the descriptors of view_share(). */
static int memory_close_to_others(const struct view *view)
{
	return view->sealed || fchmod(view->fd, 0600) == 0 ? 0 : -errno;
}

int view_attach(struct view *view, uint64_t length)
{
	int error = populate(view, length);

	if (!error)
		error = memory_close_to_others(view);
	if (!error)
		error = memory_seal(view, 0);
	if (!error)
		note_attached(view, length);
	return error;
}

int view_attach_exact(struct view *view, uint64_t size)
{
	const uint64_t length = align_up(size, PAGE_BYTES);
	int error;

	if (view->sealed && view->fd_size != length)
		return -EBUSY;
	error = populate(view, length);
	if (!error && !view->sealed) {
		if (ftruncate(view->fd, (off_t)size) < 0)
			return -errno;
		/* Whole pages: all of the last one can be accessed. */
		view->fd_size = length;
		error = memory_seal(view, F_SEAL_GROW);
	}
	view->exact = true;
	if (!error)
		note_attached(view, length);
	return error;
}

int view_extend(struct view *view, uint64_t from, uint64_t to)
{
	const uint64_t length = align_up(to, PAGE_BYTES), first = align_up(from, PAGE_BYTES) / PAGE_BYTES;
	uint64_t page = view_attached_pages(view);
	int error;

	/* An exact view belongs to a pool that nobody resizes while it is attached. */
	if (!view->attached || view->exact)
		return 0;
	error = view_memory_extend(view, length);
	if (error)
		return error;
	if (first < length / PAGE_BYTES)
		view_discard(view, first, length / PAGE_BYTES - first);
	view_supersede_copies(view);
	while (!error && page < length / PAGE_BYTES) {
		struct placement at = view->ops->find(view->owner, page, length / PAGE_BYTES - page);

		if (at.placed)
			error = populate_placed(view, page, &at);
		page += at.pages;
	}
	if (!error)
		note_attached(view, length);
	return error;
}

void view_detach(struct view *view)
{
	view->attached = false;
	view->attached_size = 0;
}

bool view_take_stored(struct view *view)
{
	const bool stored = view->stored;

	view->stored = false;
	return stored;
}

unsigned char *view_memory(struct view *view)
{
	return view->attached ? view->memory : NULL;
}

int view_fd(const struct view *view)
{
	return view->fd;
}

/* ---- Giving it back -------------------------------------------------------------------- */

int view_share(const struct view *view)
{
	char number[16];
	int fd;

	/* Others open an exact view by its path, as its mode allows. */
	if (view->exact) {
		fd = fcntl(view->fd, F_DUPFD_CLOEXEC, 0);
	} else {
		if (view->domain->descriptors < 0)
			return view->domain->descriptors;
		snprintf(number, sizeof(number), "%d", view->fd);
		fd = openat(view->domain->descriptors, number, O_RDWR | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

/*
 * Clients have descriptors that were opened for them, so the kernel counts these as writers of the file: with
 * all copies of them, on their way through a socket too, and with all mappings, because a mapping keeps its
 * open file. It grants a read lease only where there is no writer (fcntl(2)). The descriptor of
 * memfd_create() was not opened and does not count.
 */
static bool memory_is_shared(const struct view *view)
{
	if (fcntl(view->fd, F_SETLEASE, F_RDLCK) < 0)
		return true;
	fcntl(view->fd, F_SETLEASE, F_UNLCK);
	return false;
}

bool view_in_use(const struct view *view)
{
	return view->exact || memory_is_shared(view);
}

bool view_release(struct view *view)
{
	if (!view->attached || view_in_use(view) || view_has_volatile_lines(view))
		return false;
	view_drop(view);
	/* What waits in a WPQ has nothing newer, and may be older than what is stored from here on. */
	view_supersede_copies(view);
	return true;
}
