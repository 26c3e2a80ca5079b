/* SPDX-License-Identifier: BSD-3-Clause */
#include "recorder/recorder_files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "pool/pool.h"
#include "recorder/recorder_state.h"
#include "trace/event.h"

/* An image is written in pieces of this size. */
#define PIECE_BYTES (256u << 10)
_Static_assert(PIECE_BYTES <= TRACE_BYTES_MAX && PIECE_BYTES % PAGE_BYTES == 0, "a piece fits an event");

static int64_t nanoseconds(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

struct trace_attributes recorder_attributes(const struct pool_attributes *attributes)
{
	return (struct trace_attributes){
		.mode = attributes->mode,
		.uid = attributes->uid,
		.gid = attributes->gid,
		.atime = nanoseconds(&attributes->atime),
		.mtime = nanoseconds(&attributes->mtime),
	};
}

/* ---- Contents ------------------------------------------------------------------------- */

static bool is_zero(const unsigned char *bytes, size_t length)
{
	return !length || (!bytes[0] && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* Put the pages that are not zero, those in a row as one event. */
static int put_pages(struct recorder *recorder, uint64_t file, uint64_t offset, const unsigned char *bytes,
		     size_t length)
{
	struct trace_event image = { .kind = TRACE_IMAGE, .file = file };
	size_t start = 0;
	int error = 0;

	while (!error && start < length) {
		size_t end = start;

		while (end < length && !is_zero(bytes + end, min_u64(PAGE_BYTES, length - end)))
			end += PAGE_BYTES;
		end = min_u64(end, length);
		if (end > start) {
			image.store.offset = offset + start;
			image.store.bytes.at = bytes + start;
			image.store.bytes.length = (uint32_t)(end - start);
			error = recorder_append(recorder, &image);
		}
		start = end > start ? end : start + PAGE_BYTES;
	}
	return error;
}

static int put_contents(struct recorder *recorder, uint64_t file, struct pool_handle *handle, uint64_t size)
{
	CLEANUP_FREE unsigned char *bytes = malloc(PIECE_BYTES);
	uint64_t offset = 0;
	int error = bytes ? 0 : -ENOMEM;

	while (!error && offset < size) {
		const int64_t data = pool_seek(handle, offset, SEEK_DATA);
		ssize_t got;

		/* -ENXIO: there is only a hole. */
		if (data < 0)
			return data == -ENXIO ? 0 : (int)data;
		offset = align_down((uint64_t)data, PAGE_BYTES);
		got = pool_read(handle, bytes, PIECE_BYTES, offset);
		if (got <= 0)
			return (int)got;
		error = put_pages(recorder, file, offset, bytes, (size_t)got);
		offset += (uint64_t)got;
	}
	return error;
}

static int put_image(struct recorder *recorder, uint64_t file, struct pool *pool, uint64_t size)
{
	struct pool_handle *handle;
	int error = pool_open(pool, &handle);

	if (error)
		return error;
	error = put_contents(recorder, file, handle, size);
	pool_close(handle);
	return error;
}

/* ---- Definitions ---------------------------------------------------------------------- */

static const char *region_name(const struct recorder *recorder, const struct pool *pool)
{
	for (unsigned i = 0; recorder->region_count > 1 && i < recorder->region_count; i++)
		if (recorder->regions[i].pools == pool_pools(pool))
			return recorder->regions[i].name;
	return NULL;
}

/* The path on the mount; "" if the pool has no name. */
static void find_path(const struct recorder *recorder, struct pool *pool, char *path, size_t size)
{
	const char *region = region_name(recorder, pool);
	int length = region ? snprintf(path, size, "/%s", region) : 0;

	if (pool_path(pool, path + length, size - (size_t)length) < 0)
		*path = '\0';
}

static struct trace_bytes bytes_of(const char *text)
{
	return (struct trace_bytes){ (const unsigned char *)text, (uint32_t)strlen(text) };
}

static int define(struct recorder *recorder, struct pool *pool, uint64_t file)
{
	struct trace_event event = { .kind = TRACE_FILE, .file = file };
	char path[TRACE_PATH_MAX + 1], target[POOL_SYMLINK_MAX + 1] = "";
	struct pool_attributes attributes;
	int error = pool_get_attributes(pool, &attributes);

	if (!error && S_ISLNK(attributes.mode))
		error = pool_readlink(pool, target, sizeof(target));
	if (error)
		return error;
	find_path(recorder, pool, path, sizeof(path));
	event.node.size = S_ISREG(attributes.mode) ? attributes.size : 0;
	memcpy(event.node.uuid, attributes.uuid, sizeof(event.node.uuid));
	event.node.attributes = recorder_attributes(&attributes);
	event.node.path = bytes_of(path);
	event.node.target = bytes_of(target);
	error = recorder_append(recorder, &event);
	if (!error && S_ISREG(attributes.mode))
		error = put_image(recorder, file, pool, attributes.size);
	return error;
}

int recorder_files_define(struct recorder *recorder, struct pool *pool, uint64_t *file)
{
	int error;
	LOCK_SCOPE(&recorder->files_lock);

	if (pool_tag(pool) < recorder->first_tag) {
		const uint64_t tag = recorder->last_tag + 1;

		error = define(recorder, pool, tag - recorder->first_tag + 1);
		/* Also after an error: the trace may have the definition. */
		recorder->last_tag = tag;
		if (error)
			return error;
		pool_set_tag(pool, tag);
	}
	*file = pool_tag(pool) - recorder->first_tag + 1;
	return 0;
}
