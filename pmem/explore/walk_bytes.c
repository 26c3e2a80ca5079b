/* SPDX-License-Identifier: BSD-3-Clause */

/* The events of a walk about the bytes and sizes of files. */

#include "explore/walk_state.h"

#include <errno.h>
#include <stdlib.h>

/* The model numbers threads without gaps. */
static int thread_of(struct explore_walk *walk, uint32_t id, uint32_t *thread)
{
	void *known = idmap_get(&walk->threads, id);

	if (!known) {
		known = (void *)(uintptr_t)(walk->thread_count + 1);
		if (walk->thread_count == LINES_THREADS || idmap_set(&walk->threads, id, known))
			return -ENOMEM;
		walk->thread_count++;
	}
	*thread = (uint32_t)(uintptr_t)known - 1;
	return 0;
}

static int feed_store(struct explore_walk *walk, const struct explore_file *file, uint64_t offset,
		      const void *bytes, uint64_t length, uint64_t mask, bool nontemporal)
{
	struct lines_store store = {
		.address = file->address + offset,
		.length = length,
		.bytes = bytes,
		.mask = mask,
		.nontemporal = nontemporal,
		.id = walk->count,
	};
	int error = thread_of(walk, walk->event.thread, &store.thread);

	return error ? error : lines_store(walk->lines, &store);
}

int explore_walk_store(struct explore_walk *walk, struct explore_file *file)
{
	const struct trace_event *event = &walk->event;
	uint32_t thread;
	int error = 0;

	if (event->flags & TRACE_LOCKED) {
		error = thread_of(walk, event->thread, &thread);
		if (!error)
			error = lines_fence(walk->lines, thread);
	}
	return error ? error :
		       feed_store(walk, file, event->store.offset, event->store.bytes.at,
				  event->store.bytes.length, event->store.mask,
				  event->flags & TRACE_NONTEMPORAL);
}

int explore_walk_flush(struct explore_walk *walk, struct explore_file *file)
{
	const struct trace_event *event = &walk->event;
	uint64_t line = align_down(event->flush.offset, LINE_SIZE);
	uint32_t thread;
	int error = thread_of(walk, event->thread, &thread);

	for (; !error && line < event->flush.offset + event->flush.length; line += LINE_SIZE)
		error = event->op == TRACE_CLFLUSH ? lines_clflush(walk->lines, file->address + line) :
						     lines_clwb(walk->lines, thread, file->address + line);
	return error;
}

int explore_walk_fence(struct explore_walk *walk)
{
	uint32_t thread;
	int error = thread_of(walk, walk->event.thread, &thread);

	return error ? error : lines_fence(walk->lines, thread);
}

/* Guarantee what is undetermined in a range of the file, whichever thread stored it. */
static int sync_range(struct explore_walk *walk, const struct explore_file *file, uint64_t offset,
		      uint64_t length)
{
	uint64_t first = file->address + align_down(offset, LINE_SIZE);
	uint64_t last = file->address + offset + length;
	size_t count = lines_undetermined(walk->lines, NULL, 0);
	uint64_t *places = count ? calloc(count, sizeof(*places)) : NULL;
	int error = count && !places ? -ENOMEM : explore_walk_fence(walk);

	if (!error)
		count = lines_undetermined(walk->lines, places, count);
	for (size_t i = 0; !error && i < count; i++)
		if (places[i] >= first && places[i] < last)
			error = lines_clflush(walk->lines, places[i]);
	free(places);
	return error;
}

int explore_walk_sync_bytes(struct explore_walk *walk, const struct explore_file *file)
{
	return sync_range(walk, file, 0, TRACE_STORE_END);
}

/* ---- Sizes ----------------------------------------------------------------------- */

void explore_walk_commit_size(struct explore_walk *walk, const struct names_op *op)
{
	struct explore_file *file = walk_file_of(walk, op->inode);

	if (file)
		file->size = op->size;
	for (size_t i = 0; op->note && i < walk->cuts.count; i++) {
		if (walk->cuts.items[i] != op->note)
			continue;
		explore_cut_destroy(walk->cuts.items[i]);
		walk->cuts.items[i] = walk->cuts.items[--walk->cuts.count];
		break;
	}
}

/* The file has another size, or other blocks: may be taken back, with the bytes of `cut` (NULL: none). */
static int change_size(struct explore_walk *walk, struct explore_file *file, enum names_kind kind,
		       uint64_t size, struct explore_cut *cut)
{
	const struct names_op op = {
		.kind = kind, .id = walk->count, .inode = file->id, .size = size, .note = cut
	};
	int error = 0;

	if (cut && vector_append(&walk->cuts, cut)) {
		explore_cut_destroy(cut);
		return -ENOMEM;
	}
	file->newest = size;
	if (explore_image_reserve(file->image, size) != 0)
		return -EFBIG;
	error = explore_walk_names_size(walk->names, &op);
	/* The page fault of a mapping that promises to be durable commits the size first. */
	if (!error && file->mapped)
		names_commit(explore_walk_names_model(walk->names), op.id);
	return error;
}

int explore_walk_write(struct explore_walk *walk, struct explore_file *file)
{
	const struct trace_event *event = &walk->event;
	const uint64_t end = event->store.offset + event->store.bytes.length;
	int error = feed_store(walk, file, event->store.offset, event->store.bytes.at,
			       event->store.bytes.length, 0, false);

	if (!error)
		error = end > file->newest ? change_size(walk, file, NAMES_APPEND, end, NULL) :
					     explore_walk_names_overwrite(walk->names, file->id);
	walk->synced = file->id;
	walk->to_sync = event->flags & (TRACE_WRITE_SYNC | TRACE_WRITE_DSYNC);
	return error;
}

/* msync(2) is an fdatasync of a range: vfs_fsync_range(file, start, end, 1). */
int explore_walk_msync(struct explore_walk *walk, struct explore_file *file)
{
	int error = sync_range(walk, file, walk->event.range.offset, walk->event.range.length);

	names_fdatasync(explore_walk_names_model(walk->names), file->id, false);
	return error;
}

/*
 * Make [offset, end) zero. Lines there that are undetermined count as synced: the line model has no event
 * that takes a part of a line back. *cut gets the bytes, which come back if the operation is lost.
 */
static int make_zero(struct explore_walk *walk, struct explore_file *file, uint64_t offset, uint64_t end,
		     struct explore_cut **cut)
{
	static const unsigned char zeros[PAGE_BYTES];
	uint64_t page = offset / PAGE_BYTES;
	int error = sync_range(walk, file, offset, end - offset);

	if (!error)
		error = explore_cut_create(file->image, file->address, offset, end, cut);
	for (; !error &&
	       (page = explore_image_next_page(file->image, page)) < align_up(end, PAGE_BYTES) / PAGE_BYTES;
	     page++) {
		uint64_t from = max_u64(page * PAGE_BYTES, offset);
		uint64_t to = min_u64((page + 1) * PAGE_BYTES, end);

		error = explore_image_write(file->image, from, zeros, to - from);
	}
	if (error) {
		explore_cut_destroy(*cut);
		*cut = NULL;
	}
	return error;
}

int explore_walk_truncate(struct explore_walk *walk, struct explore_file *file)
{
	uint64_t size = walk->event.range.length;
	struct explore_cut *cut = NULL;
	int error = 0;

	file->truncated |= !size;
	if (size < file->newest)
		error = make_zero(walk, file, size, align_up(file->newest, PAGE_BYTES), &cut);
	return error ? error : change_size(walk, file, NAMES_RESIZE, size, cut);
}

int explore_walk_fallocate(struct explore_walk *walk, struct explore_file *file)
{
	/* The values of fallocate(2), which a trace has. */
	enum { KEEP_SIZE = 1, PUNCH_HOLE = 2, ZERO_RANGE = 16 };
	const struct trace_event *event = &walk->event;
	uint64_t end = event->range.offset + event->range.length, size = file->newest;
	struct explore_cut *cut = NULL;
	int error = 0;

	if (event->op & ~(uint32_t)(KEEP_SIZE | PUNCH_HOLE | ZERO_RANGE))
		return -EOPNOTSUPP;
	if (event->op & (PUNCH_HOLE | ZERO_RANGE))
		error = make_zero(walk, file, event->range.offset, end, &cut);
	if (!(event->op & KEEP_SIZE))
		size = max_u64(size, end);
	return error ? error : change_size(walk, file, NAMES_RESIZE, size, cut);
}
