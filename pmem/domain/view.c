/* SPDX-License-Identifier: BSD-3-Clause */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cleanup.h"
#include "common/write_all.h"
#include "domain/chunk.h"
#include "domain/domain_state.h"
#include "domain/view_memory.h"

int view_create(struct domain *domain, const struct view_owner_ops *ops, void *owner, struct view **out)
{
	struct view *view = alloc_zeroed(sizeof(*view));

	if (!view)
		return -ENOMEM;
	view->domain = domain;
	view->ops = ops;
	view->owner = owner;
	view->fd = -1;
	LOCK_SCOPE(&domain->lock);
	view->id = domain->next_view_id++;
	view->next = domain->views;
	view->link = &domain->views;
	if (view->next)
		view->next->link = &view->next;
	domain->views = view;
	*out = view;
	return 0;
}

void view_destroy(struct view *view)
{
	if (!view)
		return;
	{
		LOCK_SCOPE(&view->domain->lock);
		*view->link = view->next;
		if (view->next)
			view->next->link = view->link;
	}
	view_drop(view);
	free(view);
}

bool view_is_dirty(const struct view *view)
{
	return view->dirty_pages || view->attached;
}

uint64_t view_dirty_pages(const struct view *view)
{
	return view->dirty_pages;
}

uint64_t view_present_pages(const struct view *view)
{
	return view->present_pages;
}

/* ---- Memory --------------------------------------------------------------- */

static int memory_reserve(struct view *view, uint64_t size)
{
	uint64_t wanted;
	void *memory;

	if (size <= view->memory_size)
		return 0;
	/* Double, so that a growing file is not remapped at each step; addresses cost nothing. */
	wanted = max_u64(align_up(size, 2u << 20), 2 * view->memory_size);
	if (view->memory)
		memory = mremap(view->memory, view->memory_size, wanted, MREMAP_MAYMOVE);
	else
		memory = mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, view->fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	view->memory = memory;
	view->memory_size = wanted;
	return 0;
}

/*
 * Clients with the descriptor of a view that may grow can make its file longer. Their bytes past its end are
 * not the pool's: whatever is there later begins as zeros.
 */
static int grow_file(struct view *view, uint64_t size)
{
	struct stat st;

	if (fstat(view->fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size > view->fd_size &&
	    fallocate(view->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)view->fd_size,
		      st.st_size - (off_t)view->fd_size) < 0)
		return -errno;
	if ((uint64_t)st.st_size < size && ftruncate(view->fd, (off_t)size) < 0)
		return -errno;
	view->fd_size = size;
	return 0;
}

int view_memory_extend(struct view *view, uint64_t end)
{
	if (view->fd < 0) {
		view->fd = memfd_create("softpmem-view", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (view->fd < 0)
			return -errno;
	}
	if (end > view->fd_size) {
		int error = grow_file(view, align_up(end, 2u << 20));

		if (error)
			return error;
	}
	return memory_reserve(view, end);
}

static bool is_present(const struct view *view, uint64_t offset, size_t length)
{
	uint64_t end = (offset + length - 1) / PAGE_BYTES + 1;

	if (view->attached && offset + length <= view->attached_size)
		return true;
	for (uint64_t page = offset / PAGE_BYTES; page < end; page++)
		if (!view_page_present(view, page))
			return false;
	return true;
}

static int memory_store(struct view *view, uint64_t offset, const void *bytes, size_t length)
{
	/*
	 * Pages that are there are mapped and warm, and in an attached view only a
	 * plain copy keeps aligned words whole for those who look. Else write(2)
	 * allocates pages for less than our own page faults would cost.
	 */
	if (is_present(view, offset, length)) {
		memcpy(view->memory + offset, bytes, length);
		return 0;
	}
	return write_all_at(view->fd, bytes, length, offset);
}

/* Read the page from the media: 1; 0 if it has no media and reads as zero; or -EIO. */
static int read_media_page(const struct view *view, uint64_t page, unsigned char *bytes)
{
	struct placement at = view->ops->find(view->owner, page, 1);
	int error;

	if (!at.placed)
		return 0;
	error = media_read(view->domain->region, at.media_offset, bytes, PAGE_BYTES);
	return error ? error : 1;
}

/* Make the page present: if it is not, its memory gets the media's content. */
static int make_present(struct view *view, uint64_t page)
{
	unsigned char copy[PAGE_BYTES];
	struct view_chunk *chunk = chunk_make(view, page);
	int has_media, error;

	if (!chunk)
		return -ENOMEM;
	if (chunk->present & page_bit(page))
		return 0;
	/* Its memory is newer than its media. */
	if (page < view_attached_pages(view)) {
		chunk_mark_present(view, page);
		return 0;
	}
	has_media = read_media_page(view, page, copy);
	if (has_media < 0)
		return has_media;
	if (has_media) {
		error = memory_store(view, page * PAGE_BYTES, copy, PAGE_BYTES);
		if (error)
			return error;
	}
	chunk_mark_present(view, page);
	return 0;
}

/* ---- Stores and loads ------------------------------------------------------- */

/* Lines of `page` that [offset, offset+length) touches. */
static uint64_t line_mask(uint64_t page, uint64_t offset, uint64_t length)
{
	uint64_t start = max_u64(offset, page * PAGE_BYTES) - page * PAGE_BYTES;
	uint64_t end = min_u64(offset + length, (page + 1) * PAGE_BYTES) - page * PAGE_BYTES;
	unsigned first = (unsigned)(start / LINE_SIZE), last = (unsigned)((end - 1) / LINE_SIZE);

	return (ALL_LINES >> (63 - last)) & (ALL_LINES << first);
}

static int store_file(struct view *view, uint64_t offset, const void *bytes, size_t length)
{
	uint64_t first = offset / PAGE_BYTES, last = (offset + length - 1) / PAGE_BYTES;
	int error;

	/* Pages that are stored to in part get the rest from the media first. */
	if (!is_aligned(offset, PAGE_BYTES)) {
		error = make_present(view, first);
		if (error)
			return error;
	}
	if (!is_aligned(offset + length, PAGE_BYTES)) {
		error = make_present(view, last);
		if (error)
			return error;
	}
	for (uint64_t page = first; page <= last; page++)
		if (!chunk_make(view, page))
			return -ENOMEM;
	error = memory_store(view, offset, bytes, length);
	if (error)
		return error;
	for (uint64_t page = first; page <= last; page++) {
		chunk_mark_present(view, page);
		chunk_set_dirty(view, page, line_mask(page, offset, length));
	}
	return 0;
}

/*
 * The lines of the page that storing `bytes` at `start` in it would change. -EIO if the page
 * is not present and its media cannot be read.
 */
static int changed_lines(const struct view *view, uint64_t page, uint64_t start, const unsigned char *bytes,
			 size_t length, uint64_t *mask)
{
	unsigned char copy[PAGE_BYTES];
	const unsigned char *now = copy;
	int has_media;

	*mask = 0;
	if (view_in_memory(view, page)) {
		now = view->memory + page * PAGE_BYTES;
	} else {
		has_media = read_media_page(view, page, copy);
		if (has_media < 0)
			return has_media;
		if (!has_media)
			memset(copy, 0, sizeof(copy));
	}
	for (uint64_t at = 0; at < length;) {
		uint64_t line = (start + at) / LINE_SIZE;
		uint64_t piece = min_u64(length - at, (line + 1) * LINE_SIZE - (start + at));

		if (memcmp(now + start + at, bytes + at, piece) != 0)
			*mask |= (uint64_t)1 << line;
		at += piece;
	}
	return 0;
}

static int store_mapped_page(struct view *view, uint64_t page, uint64_t start, const unsigned char *bytes,
			     size_t length)
{
	uint64_t mask;
	int error = changed_lines(view, page, start, bytes, length, &mask);

	if (error || !mask)
		return error;
	error = make_present(view, page);
	for (uint64_t rest = mask; !error && rest; rest &= rest - 1) {
		uint64_t line = (uint64_t)__builtin_ctzll(rest) * LINE_SIZE;
		uint64_t from = max_u64(line, start), to = min_u64(line + LINE_SIZE, start + length);

		error = memory_store(view, page * PAGE_BYTES + from, bytes + (from - start), to - from);
	}
	if (!error)
		chunk_set_dirty(view, page, mask);
	return error;
}

static int store_mapped(struct view *view, uint64_t offset, const unsigned char *bytes, size_t length)
{
	while (length) {
		uint64_t page = offset / PAGE_BYTES, start = offset % PAGE_BYTES;
		size_t piece = (size_t)min_u64(length, PAGE_BYTES - start);
		int error = store_mapped_page(view, page, start, bytes, piece);

		if (error)
			return error;
		offset += piece;
		bytes += piece;
		length -= piece;
	}
	return 0;
}

int view_store(struct view *view, uint64_t offset, const void *bytes, size_t length,
	       enum view_store_kind kind)
{
	int error;

	if (length == 0)
		return 0;
	error = view_memory_extend(view, align_up(offset + length, PAGE_BYTES));
	if (error)
		return error;
	return kind == VIEW_STORE_MAPPED ? store_mapped(view, offset, bytes, length)
					 : store_file(view, offset, bytes, length);
}

int view_store_zero(struct view *view, uint64_t offset, uint64_t length)
{
	static const unsigned char zeros[PAGE_BYTES];

	while (length) {
		uint64_t page = offset / PAGE_BYTES;
		uint64_t piece = min_u64(length, (page + 1) * PAGE_BYTES - offset);
		int error;

		if (view_page_present(view, page) || view->ops->find(view->owner, page, 1).placed) {
			error = view_store(view, offset, zeros, piece, VIEW_STORE_FILE);
			if (error)
				return error;
		} else if (view_next_in_memory(view, page, page + 1) == page) {
			memset(view->memory + offset, 0, piece);
		}
		offset += piece;
		length -= piece;
	}
	return 0;
}

uint64_t view_memory_pages(const struct view *view)
{
	struct stat st;

	return view->fd >= 0 && fstat(view->fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 / PAGE_BYTES : 0;
}

uint64_t view_take_back(struct view *view)
{
	const uint64_t limit = view->attached ? view->attached_size : view->fd_size;
	const uint64_t block = 512; /* of st_blocks */
	uint64_t end, taken;
	struct stat st;

	/* Only clients that have the descriptor can have stored outside, and not if the file cannot grow. */
	if (!view->sealed || view->exact || fstat(view->fd, &st) < 0)
		return 0;
	taken = (uint64_t)st.st_blocks * block;
	end = max_u64((uint64_t)st.st_size, view->fd_size);
	if (end <= limit || (end == view->fd_size && taken <= limit))
		return 0;
	if (fallocate(view->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)limit,
		      (off_t)(end - limit)) < 0 ||
	    fstat(view->fd, &st) < 0)
		return 0;
	return taken - min_u64(taken, (uint64_t)st.st_blocks * block);
}

void view_supersede_copies(struct view *view)
{
	LOCK_SCOPE(&view->domain->lock);
	view->superseded = view->domain->batch;
}

void view_discard(struct view *view, uint64_t page, uint64_t pages)
{
	uint64_t end = page + pages;
	uint64_t first = page;

	/* All of it, as when an outage takes back what a file has: nobody waits until memory is freed. */
	if (view->fd >= 0 && !view->attached && first == 0 && end >= view->fd_size / PAGE_BYTES) {
		view_drop(view);
		view->durable_lines = 0;
		return;
	}
	for (; (page = view_next_present(view, page, end)) < end; page++) {
		chunk_mark_absent(view, page);
	}
	/* The memory must be zero when a page without media is made present again. */
	if (view->fd >= 0 && first * PAGE_BYTES < view->fd_size)
		fallocate(view->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(first * PAGE_BYTES),
			  (off_t)(min_u64(end * PAGE_BYTES, view->fd_size) - first * PAGE_BYTES));
	if (view->attached)
		view_supersede_copies(view);
}

/* The size of a piece of a range that has neither memory nor media. */
#define ZERO_PAGES 64u
static const unsigned char zero_pages[ZERO_PAGES * PAGE_BYTES];

/* The bytes from `offset` on, below `end`, that are in one place. */
struct piece {
	enum { PIECE_MEMORY, PIECE_MEDIA, PIECE_ZERO } kind;
	const unsigned char *memory; /* PIECE_MEMORY */
	uint64_t media_offset;	     /* PIECE_MEDIA */
	uint64_t length;
};

static struct piece piece_at(const struct view *view, uint64_t offset, uint64_t end)
{
	const uint64_t page = offset / PAGE_BYTES, last = (end - 1) / PAGE_BYTES + 1;
	const uint64_t present = view_next_in_memory(view, page, last);
	struct piece piece;
	uint64_t stop;

	if (present == page) {
		stop = page + 1;
		while (stop < last && view_next_in_memory(view, stop, stop + 1) == stop)
			stop++;
		piece = (struct piece){ .kind = PIECE_MEMORY, .memory = view->memory + offset };
	} else if (page < view_attached_pages(view)) {
		stop = min_u64(present, view_attached_pages(view));
		piece = (struct piece){ .kind = PIECE_ZERO };
	} else {
		struct placement at = view->ops->find(view->owner, page, present - page);

		stop = page + at.pages;
		piece = (struct piece){ .kind = at.placed ? PIECE_MEDIA : PIECE_ZERO,
					.media_offset = at.media_offset + offset % PAGE_BYTES };
	}
	piece.length = min_u64(stop * PAGE_BYTES, end) - offset;
	return piece;
}

int view_pieces(const struct view *view, uint64_t offset, size_t length, struct iovec *iov, int max,
		size_t *covered)
{
	uint64_t end = offset + length;
	int count = 0;

	*covered = 0;
	while (offset < end && count < max) {
		struct piece piece = piece_at(view, offset, end);
		const void *from = piece.memory;
		int error = 0;

		if (piece.kind == PIECE_MEDIA)
			error = media_borrow(view->domain->region, piece.media_offset, piece.length, &from);
		if (error)
			return error;
		if (piece.kind == PIECE_ZERO) {
			piece.length = min_u64(piece.length, sizeof(zero_pages));
			from = zero_pages;
		}
		iov[count].iov_base = (void *)(uintptr_t)from;
		iov[count].iov_len = piece.length;
		*covered += piece.length;
		offset += piece.length;
		count++;
	}
	return count;
}

int view_load(const struct view *view, uint64_t offset, void *buffer, size_t length)
{
	const uint64_t end = offset + length;
	unsigned char *to = buffer;
	int error = 0;

	while (!error && offset < end) {
		struct piece piece = piece_at(view, offset, end);

		switch (piece.kind) {
		case PIECE_MEMORY:
			memcpy(to, piece.memory, piece.length);
			break;
		case PIECE_MEDIA:
			error = media_read(view->domain->region, piece.media_offset, to, piece.length);
			break;
		case PIECE_ZERO:
			memset(to, 0, piece.length);
			break;
		}
		to += piece.length;
		offset += piece.length;
	}
	return error;
}

void view_drop_clean(struct view *view)
{
	if (view->fd < 0 || view_is_dirty(view))
		return;
	view_drop(view);
}
