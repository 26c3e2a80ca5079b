/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace/replay_contents.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/align.h"
#include "common/write_all.h"
#include "trace/idmap.h"

struct replay_file {
	uint64_t size;
	struct idmap pages; /* by offset / PAGE_BYTES: unsigned char[PAGE_BYTES] */
};

struct trace_replay {
	struct idmap files;
	uint64_t last_id; /* most events are about the same file */
	struct replay_file *last;
};

struct trace_replay *trace_replay_create(void)
{
	return calloc(1, sizeof(struct trace_replay));
}

static void free_file(void *value)
{
	struct replay_file *file = value;

	idmap_clear(&file->pages, free);
	free(file);
}

void trace_replay_destroy(struct trace_replay *replay)
{
	if (!replay)
		return;
	idmap_clear(&replay->files, free_file);
	free(replay);
}

/* The file's contents, new if it has none yet. NULL: no memory. */
static struct replay_file *file_of(struct trace_replay *replay, uint64_t id)
{
	if (!replay->last || replay->last_id != id) {
		replay->last = idmap_make(&replay->files, id, sizeof(*replay->last));
		replay->last_id = id;
	}
	return replay->last;
}

static void copy_masked(unsigned char *to, const unsigned char *from, uint32_t at, size_t length,
			uint64_t mask)
{
	for (size_t i = 0; i < length; i++)
		if (trace_mask_has(mask, at + (uint32_t)i))
			to[i] = from[i];
}

static int set_bytes(struct replay_file *file, const struct trace_event *event)
{
	const uint64_t mask = event->kind == TRACE_STORE ? event->store.mask : 0;
	const unsigned char *from = event->store.bytes.at;
	uint64_t offset = event->store.offset;
	uint32_t at = 0;

	while (at < event->store.bytes.length) {
		const size_t within = offset % PAGE_BYTES;
		const size_t piece = (size_t)min_u64(event->store.bytes.length - at, PAGE_BYTES - within);
		unsigned char *page = idmap_make(&file->pages, offset / PAGE_BYTES, PAGE_BYTES);

		if (!page)
			return -ENOMEM;
		if (mask)
			copy_masked(page + within, from + at, at, piece, mask);
		else
			memcpy(page + within, from + at, piece);
		at += (uint32_t)piece;
		offset += piece;
	}
	return 0;
}

/* Bytes from `start` up to `end` read as 0. Only pages that are held cost time. */
static void clear_bytes(struct replay_file *file, uint64_t start, uint64_t end)
{
	for (const struct idmap_entry *entry = NULL; (entry = idmap_next(&file->pages, entry));) {
		const uint64_t page = entry->key * PAGE_BYTES;
		const uint64_t from = max_u64(start, page), to = min_u64(end, page + PAGE_BYTES);

		if (from < to)
			memset((unsigned char *)entry->value + (from - page), 0, (size_t)(to - from));
	}
}

static void resize(struct replay_file *file, uint64_t size)
{
	if (size < file->size)
		clear_bytes(file, size, UINT64_MAX);
	file->size = size;
}

static int allocate(struct replay_file *file, const struct trace_event *event)
{
	const uint64_t end = event->range.offset + event->range.length;

	if (event->op & ~(uint32_t)(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (event->op & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		clear_bytes(file, event->range.offset, end);
	if (!(event->op & FALLOC_FL_KEEP_SIZE))
		file->size = max_u64(file->size, end);
	return 0;
}

static bool changes_contents(const struct trace_event *event)
{
	switch (event->kind) {
	case TRACE_STORE:
	case TRACE_WRITE:
	case TRACE_IMAGE:
	case TRACE_TRUNCATE:
	case TRACE_FALLOCATE:
	case TRACE_FILE:
		return true;
	case TRACE_OPEN:
		return event->op & O_TRUNC;
	default:
		return false;
	}
}

int trace_replay_apply(struct trace_replay *replay, const struct trace_event *event)
{
	struct replay_file *file;

	if (!changes_contents(event))
		return 0;
	file = file_of(replay, event->file);
	if (!file)
		return -ENOMEM;
	switch (event->kind) {
	case TRACE_FILE:
		file->size = event->node.size;
		return 0;
	case TRACE_OPEN:
		resize(file, 0);
		return 0;
	case TRACE_TRUNCATE:
		resize(file, event->range.length);
		return 0;
	case TRACE_FALLOCATE:
		return allocate(file, event);
	case TRACE_WRITE:
		/* A page that the kernel writes back may reach beyond the end: the file stays as long. */
		if (!(event->flags & TRACE_WRITE_PAGE))
			file->size = max_u64(file->size, event->store.offset + event->store.bytes.length);
		return set_bytes(file, event);
	default:
		return set_bytes(file, event);
	}
}

uint64_t trace_replay_size(const struct trace_replay *replay, uint64_t id)
{
	const struct replay_file *file = idmap_get(&replay->files, id);

	return file ? file->size : 0;
}

void trace_replay_read(const struct trace_replay *replay, uint64_t id, uint64_t offset, void *to,
		       size_t length)
{
	const struct replay_file *file = idmap_get(&replay->files, id);
	unsigned char *at = to;

	memset(to, 0, length);
	if (!file || offset >= file->size)
		return;
	for (length = (size_t)min_u64(length, file->size - offset); length;) {
		const size_t within = offset % PAGE_BYTES,
			     piece = (size_t)min_u64(length, PAGE_BYTES - within);
		const unsigned char *page = idmap_get(&file->pages, offset / PAGE_BYTES);

		if (page)
			memcpy(at, page + within, piece);
		at += piece;
		offset += piece;
		length -= piece;
	}
}

int trace_replay_save(const struct trace_replay *replay, uint64_t id, int fd)
{
	const struct replay_file *file = idmap_get(&replay->files, id);
	const uint64_t size = trace_replay_size(replay, id);

	if (ftruncate(fd, (off_t)size) < 0)
		return -errno;
	for (const struct idmap_entry *entry = NULL; file && (entry = idmap_next(&file->pages, entry));) {
		const uint64_t offset = entry->key * PAGE_BYTES;
		const size_t length = offset < size ? (size_t)min_u64(PAGE_BYTES, size - offset) : 0;
		int error = write_all_at(fd, entry->value, length, offset);

		if (error)
			return error;
	}
	return 0;
}

size_t trace_replay_pages(const struct trace_replay *replay)
{
	size_t pages = 0;

	for (const struct idmap_entry *entry = NULL; (entry = idmap_next(&replay->files, entry));)
		pages += ((const struct replay_file *)entry->value)->pages.count;
	return pages;
}
