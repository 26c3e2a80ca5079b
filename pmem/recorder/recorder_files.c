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

/* What a power failure may do to the pool. */
static int put_rules(struct recorder *recorder, uint64_t file, const struct pool *pool,
		     const struct pool_attributes *attributes)
{
	struct trace_event event = { .kind = TRACE_RULES, .file = file };

	if (pool_has_own_metadata(pool))
		event.rules.metadata = (uint32_t)attributes->metadata + 1;
	if (S_ISREG(attributes->mode) && attributes->pool_mode >= POOL_MODE_SECTOR_512)
		event.rules.sector = (uint32_t)attributes->pool_mode;
	return recorder_append(recorder, &event);
}

/* The same of a pool that the trace has nothing of yet: without rules, it may do what it may do to most. */
static int put_first_rules(struct recorder *recorder, uint64_t file, const struct pool *pool,
			   const struct pool_attributes *attributes)
{
	if (!pool_has_own_metadata(pool) && attributes->pool_mode < POOL_MODE_SECTOR_512)
		return 0;
	return put_rules(recorder, file, pool, attributes);
}

int recorder_files_rules(struct recorder *recorder, struct pool *pool)
{
	struct pool_attributes attributes;
	uint64_t file;
	int error = recorder_files_define(recorder, pool, &file);

	if (!error)
		error = pool_get_last_attributes(pool, &attributes);
	return error ? error : put_rules(recorder, file, pool, &attributes);
}

static int put_xattr(struct recorder *recorder, uint64_t file, struct pool *pool, const char *name)
{
	struct trace_event event = { .kind = TRACE_XATTR, .file = file };
	unsigned char value[POOL_XATTRS_MAX];
	ssize_t length = pool_xattr_get(pool, name, value, sizeof(value));

	if (length < 0)
		return (int)length;
	event.xattr.name = bytes_of(name);
	event.xattr.value = (struct trace_bytes){ value, (uint32_t)length };
	return recorder_append(recorder, &event);
}

static int put_xattrs(struct recorder *recorder, uint64_t file, struct pool *pool)
{
	char list[POOL_XATTRS_MAX];
	ssize_t length = pool_xattr_list(pool, true, list, sizeof(list));
	int error = length < 0 ? (int)length : 0;

	for (ssize_t at = 0; !error && at < length; at += (ssize_t)strlen(list + at) + 1)
		error = put_xattr(recorder, file, pool, list + at);
	return error;
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
	if (!error)
		error = put_first_rules(recorder, file, pool, &attributes);
	if (!error)
		error = put_xattrs(recorder, file, pool);
	if (!error && S_ISREG(attributes.mode))
		error = put_image(recorder, file, pool, attributes.size);
	return error;
}

/* The number of a file in the trace, for the next tag. files_lock is held. */
static uint64_t next_file(struct recorder *recorder)
{
	return ++recorder->last_tag - recorder->first_tag + 1;
}

static bool find_file(const struct recorder *recorder, const struct pool *pool, uint64_t *file)
{
	const uint64_t tag = pool_tag(pool);

	if (tag < recorder->first_tag)
		return false;
	*file = tag - recorder->first_tag + 1;
	return true;
}

int recorder_files_define(struct recorder *recorder, struct pool *pool, uint64_t *file)
{
	int error;

	/* A tag is set once in a recording. */
	if (find_file(recorder, pool, file))
		return 0;
	LOCK_SCOPE(&recorder->files_lock);
	if (find_file(recorder, pool, file))
		return 0;
	*file = next_file(recorder);
	error = define(recorder, pool, *file);
	if (!error)
		pool_set_tag(pool, recorder->first_tag + *file - 1);
	return error;
}

static enum trace_kind creation_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return TRACE_CREATE;
	case S_IFDIR:
		return TRACE_MKDIR;
	case S_IFLNK:
		return TRACE_SYMLINK;
	default: /* a fifo or a socket */
		return TRACE_MKFIFO;
	}
}

int recorder_files_create(struct recorder *recorder, struct pool *pool, uint64_t parent,
			  struct trace_bytes name)
{
	struct trace_event event = { .name = { .parent = parent, .name = name } };
	const struct trace_event size = { .kind = TRACE_TRUNCATE };
	char target[POOL_SYMLINK_MAX + 1] = "";
	struct pool_attributes attributes;
	int error = pool_get_attributes(pool, &attributes);
	LOCK_SCOPE(&recorder->files_lock);

	if (!error && S_ISLNK(attributes.mode))
		error = pool_readlink(pool, target, sizeof(target));
	if (error)
		return error;
	event.kind = creation_of(attributes.mode);
	event.file = next_file(recorder);
	event.name.target = bytes_of(target);
	event.name.attributes = recorder_attributes(&attributes);
	error = recorder_append(recorder, &event);
	if (error)
		return error;
	pool_set_tag(pool, recorder->last_tag);
	error = put_first_rules(recorder, event.file, pool, &attributes);
	if (error)
		return error;
	/* `softpmem create` gives a pool its size at once. */
	if (event.kind != TRACE_CREATE || !attributes.size)
		return 0;
	event = size;
	event.file = recorder->last_tag - recorder->first_tag + 1;
	event.range.length = attributes.size;
	return recorder_append(recorder, &event);
}

int recorder_files_image_again(struct recorder *recorder, struct pool *pool)
{
	struct trace_event truncate = { .kind = TRACE_TRUNCATE };
	struct pool_attributes attributes;
	int error = recorder_files_define(recorder, pool, &truncate.file);

	if (!error)
		error = pool_get_attributes(pool, &attributes);
	if (!error)
		error = recorder_append(recorder, &truncate);
	if (error)
		return error;
	truncate.range.length = attributes.size;
	error = recorder_append(recorder, &truncate);
	return error ? error : put_image(recorder, truncate.file, pool, attributes.size);
}

/* ---- The whole tree ------------------------------------------------------------------------ */

struct found {
	struct pool *pool; /* with a reference */
	char *name;	   /* owned; in the directory */
};
struct found_list {
	VECTOR_FIELDS(struct found);
	int error;
};

static int collect(void *context, const char *name, struct pool *pool, uint64_t next)
{
	struct found_list *list = context;
	struct found found = { .pool = pool, .name = strdup(name) };

	list->error = found.name ? vector_append(list, found) : -ENOMEM;
	if (list->error)
		free(found.name);
	return list->error;
}

static void found_free(struct found *found)
{
	pool_unref(found->pool, 1);
	free(found->name);
}

/* Define what is in a directory; directories in it are appended to the list. */
static int image_directory(struct recorder *recorder, struct pool *directory, struct found_list *directories)
{
	struct trace_event name = { .kind = TRACE_NAME };
	struct found_list list = { 0 };
	int error = recorder_files_define(recorder, directory, &name.name.parent);

	if (!error)
		error = pool_readdir(directory, 0, collect, &list);
	error = error ? error : list.error;
	for (size_t i = 0; i < list.count; i++) {
		struct found *found = &list.items[i];

		if (!error)
			error = recorder_files_define(recorder, found->pool, &name.file);
		name.name.name = bytes_of(found->name);
		if (!error)
			error = recorder_append(recorder, &name);
		if (!error && S_ISDIR(pool_file_mode(found->pool)))
			error = vector_append(directories, *found);
		else
			found_free(found);
	}
	vector_free(&list);
	return error;
}

static int image_region(struct recorder *recorder, struct pool *root)
{
	struct found_list directories = { 0 };
	int error = image_directory(recorder, root, &directories);

	while (directories.count) {
		struct found next = directories.items[--directories.count];

		if (!error)
			error = image_directory(recorder, next.pool, &directories);
		found_free(&next);
	}
	vector_free(&directories);
	return error;
}

/* The root of a mount of several regions, which is no pool. */
static int define_top(struct recorder *recorder, uint64_t *file)
{
	struct trace_event top = { .kind = TRACE_FILE };
	LOCK_SCOPE(&recorder->files_lock);

	*file = top.file = next_file(recorder);
	top.node.attributes.mode = S_IFDIR | 0555;
	top.node.path = bytes_of("/");
	return recorder_append(recorder, &top);
}

static int image_named_region(struct recorder *recorder, const struct recorder_region *region,
			      struct pool *root, uint64_t top)
{
	struct trace_event name = { .kind = TRACE_NAME };
	int error = recorder_files_define(recorder, root, &name.file);

	name.name.parent = top;
	name.name.name = bytes_of(region->name);
	if (!error)
		error = recorder_append(recorder, &name);
	return error ? error : image_region(recorder, root);
}

static int put_property(struct recorder *recorder, const char *key)
{
	const struct trace_event event = { .kind = TRACE_INFO,
					   .info = { .key = bytes_of(key), .value = bytes_of("yes") } };

	return recorder_append(recorder, &event);
}

/* What power failures could do. The options of all regions are the daemon's. */
static int put_properties(struct recorder *recorder)
{
	bool da_alloc = false, own_metadata = false;
	int error = 0;

	for (unsigned i = 0; i < recorder->region_count; i++) {
		struct pools_info info;

		pools_info(recorder->regions[i].pools, &info);
		da_alloc |= info.auto_da_alloc;
		own_metadata |= info.own_metadata != 0;
	}
	recorder->own_metadata = own_metadata;
	if (da_alloc)
		error = put_property(recorder, TRACE_INFO_DA_ALLOC);
	return error || !own_metadata ? error : put_property(recorder, TRACE_INFO_OWN_METADATA);
}

int recorder_files_image(struct recorder *recorder)
{
	const bool several = recorder->region_count > 1;
	uint64_t top = 0;
	int error = put_properties(recorder);

	if (!error && several)
		error = put_property(recorder, TRACE_INFO_REGIONS);
	if (!error && several)
		error = define_top(recorder, &top);

	for (unsigned i = 0; !error && i < recorder->region_count; i++) {
		const struct recorder_region *region = &recorder->regions[i];
		struct pool *root;

		if (pools_media_lost(region->pools))
			continue;
		root = pool_root(region->pools);
		error = several ? image_named_region(recorder, region, root, top) :
				  image_region(recorder, root);
		pool_unref(root, 1);
	}
	return error;
}
