/* SPDX-License-Identifier: BSD-3-Clause */
#include "pooltest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crc32c.h"

struct region *pooltest_region(const char *spec)
{
	const struct pools_format_options options = { 0 };
	struct region *region = NULL;

	assert_int_equal(region_open(spec, 0, &region, NULL), 0);
	assert_int_equal(pools_format(region, &options, NULL), 0);
	return region;
}

struct pools *pooltest_open(struct region *region)
{
	const struct pools_options options = { 0 };
	struct message message = { "" };
	struct pools *pools = NULL;

	if (pools_open(region, &options, &pools, &message) != 0)
		fail_msg("%s", message.text);
	return pools;
}

int pooltest_setup_empty(void **state)
{
	struct pooltest_bench *bench = calloc(1, sizeof(*bench));

	bench->region = pooltest_region("memfd:16M");
	bench->pools = pooltest_open(bench->region);
	*state = bench;
	return 0;
}

int pooltest_setup(void **state)
{
	struct pooltest_bench *bench;

	pooltest_setup_empty(state);
	bench = *state;
	pooltest_make(bench->pools, "/file", S_IFREG | 0640, 0);
	assert_int_equal(pool_lookup_path(bench->pools, "/file", &bench->pool), 0);
	assert_int_equal(pool_open(bench->pool, &bench->handle), 0);
	return 0;
}

static void abandon(struct pooltest_bench *bench)
{
	if (bench->handle)
		pool_close(bench->handle);
	if (bench->pool)
		pool_unref(bench->pool, 1);
	if (bench->pools)
		pools_abandon(bench->pools);
	bench->handle = NULL;
	bench->pool = NULL;
}

void pooltest_restart(struct pooltest_bench *bench)
{
	abandon(bench);
	bench->pools = pooltest_open(bench->region);
}

static void print_problem(void *context, const struct pools_problem *problem)
{
	print_message("# problem %d: %s\n", problem->kind, problem->text);
}

void pooltest_assert_sound(const struct region *region)
{
	const struct pools_check_options options = { .problem = print_problem };
	struct pools_check_result result;

	assert_int_equal(pools_check(region, &options, &result, NULL), 0);
	assert_int_equal(result.leftovers + result.redundant + result.damaged, 0);
}

int pooltest_teardown(void **state)
{
	struct pooltest_bench *bench = *state;

	abandon(bench);
	region_close(bench->region);
	free(bench);
	return 0;
}

void pooltest_fail_power(struct pools *pools, enum metadata_mode mode, const struct chooser *chooser)
{
	const struct pools_outage outage = { .metadata = mode };

	pools_stop(pools);
	assert_int_equal(pools_decide(pools, chooser, &outage), 0);
	pools_resume(pools);
}

void pooltest_fill(struct pooltest_bench *bench, uint64_t offset, size_t length, unsigned char byte)
{
	unsigned char *bytes = malloc(length);

	memset(bytes, byte, length);
	assert_int_equal(pool_write(bench->handle, bytes, length, offset, POOL_WRITE_FILE), length);
	free(bytes);
}

void pooltest_expect(struct pooltest_bench *bench, uint64_t offset, size_t length, unsigned char byte)
{
	unsigned char *bytes = malloc(length);

	assert_int_equal(pool_read(bench->handle, bytes, length, offset), length);
	for (size_t i = 0; i < length; i++)
		if (bytes[i] != byte)
			fail_msg("byte %llu is %#x, not %#x", (unsigned long long)(offset + i), bytes[i],
				 byte);
	free(bytes);
}

struct pool *pooltest_parent(struct pools *pools, const char *path, const char **name)
{
	char directory[256];
	struct pool *parent = NULL;

	*name = strrchr(path, '/') + 1;
	snprintf(directory, sizeof(directory), "%.*s", (int)(*name - path), path);
	assert_int_equal(pool_lookup_path(pools, directory, &parent), 0);
	return parent;
}

void pooltest_make(struct pools *pools, const char *path, mode_t mode, uint64_t size)
{
	const struct pool_new attributes = { .mode = mode, .uid = 7, .gid = 8, .size = size };
	const char *name;
	struct pool *parent = pooltest_parent(pools, path, &name), *pool = NULL;

	assert_int_equal(pool_create(parent, name, &attributes, &pool), 0);
	pool_unref(pool, 1);
	pool_unref(parent, 1);
}

struct pool_handle *pooltest_handle(struct pools *pools, const char *path)
{
	struct pool_handle *handle = NULL;
	struct pool *pool = NULL;

	assert_int_equal(pool_lookup_path(pools, path, &pool), 0);
	assert_int_equal(pool_open(pool, &handle), 0);
	pool_unref(pool, 1);
	return handle;
}

void pooltest_put(struct pools *pools, const char *path, const char *text, uint64_t offset, bool sync)
{
	struct pool_handle *handle = pooltest_handle(pools, path);

	assert_int_equal(pool_write(handle, text, strlen(text), offset, POOL_WRITE_FILE), strlen(text));
	if (sync)
		assert_int_equal(pool_sync(handle, false), 0);
	pool_close(handle);
}

/* ---- Fingerprint ------------------------------------------------------------- */

struct text {
	char *bytes;
	size_t length;
};

static void append(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(struct text *text, const char *format, ...)
{
	char line[1024];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	text->bytes = realloc(text->bytes, text->length + (size_t)length + 1);
	memcpy(text->bytes + text->length, line, (size_t)length + 1);
	text->length += (size_t)length;
}

static uint32_t content_checksum(struct pool *pool, uint64_t size)
{
	struct pool_handle *handle = NULL;
	uint32_t crc = 0;

	assert_int_equal(pool_open(pool, &handle), 0);
	for (uint64_t offset = 0; offset < size; offset += 65536) {
		char buffer[65536];
		ssize_t done = pool_read(handle, buffer, sizeof(buffer), offset);

		assert_true(done > 0);
		crc = crc32c(crc, buffer, (size_t)done);
	}
	pool_close(handle);
	return crc;
}

struct item {
	char name[POOL_NAME_MAX + 1];
	struct pool *pool;
};

struct listing {
	struct item *items;
	size_t count;
};

static int collect(void *context, const char *name, struct pool *pool, uint64_t next)
{
	struct listing *listing = context;

	listing->items = realloc(listing->items, (listing->count + 1) * sizeof(struct item));
	snprintf(listing->items[listing->count].name, sizeof(listing->items[0].name), "%s", name);
	listing->items[listing->count++].pool = pool;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static void describe_xattrs(struct text *text, struct pool *pool)
{
	char list[POOL_XATTRS_MAX], value[POOL_XATTRS_MAX];
	ssize_t length = pool_xattr_list(pool, true, list, sizeof(list));

	assert_true(length >= 0);
	for (ssize_t at = 0; at < length; at += (ssize_t)strlen(list + at) + 1) {
		ssize_t size = pool_xattr_get(pool, list + at, value, sizeof(value));

		assert_true(size >= 0);
		append(text, " %s %lld %08x", list + at, (long long)size, crc32c(0, value, (size_t)size));
	}
}

static void describe(struct text *text, const char *path, struct pool *pool)
{
	struct pool_attributes a;

	assert_int_equal(pool_get_attributes(pool, &a), 0);
	append(text,
	       "%s mode %o owner %u:%u links %u size %llu pool-mode %d mtime %lld uuid %02x%02x%02x%02x",
	       path, a.mode, a.uid, a.gid, (unsigned)a.links, (unsigned long long)a.size, a.pool_mode,
	       S_ISDIR(a.mode) ? 0 : (long long)a.mtime.tv_sec, a.uuid[0], a.uuid[1], a.uuid[2], a.uuid[3]);
	if (S_ISREG(a.mode))
		append(text, " allocated %llu content %08x", (unsigned long long)a.allocated,
		       content_checksum(pool, a.size));
	if (S_ISLNK(a.mode)) {
		char target[POOL_SYMLINK_MAX + 1];

		assert_int_equal(pool_readlink(pool, target, sizeof(target)), 0);
		append(text, " to %s", target);
	}
	if (a.own_metadata)
		append(text, " metadata %u", 1 + (unsigned)a.metadata);
	describe_xattrs(text, pool);
	append(text, "\n");
}

static void walk(struct text *text, const char *path, struct pool *directory)
{
	struct listing listing = { 0 };

	assert_int_equal(pool_readdir(directory, 0, collect, &listing), 0);
	if (listing.count)
		qsort(listing.items, listing.count, sizeof(struct item), by_name);
	for (size_t i = 0; i < listing.count; i++) {
		struct pool_attributes attributes;
		char child[512];

		snprintf(child, sizeof(child), "%s/%s", path, listing.items[i].name);
		describe(text, child, listing.items[i].pool);
		assert_int_equal(pool_get_attributes(listing.items[i].pool, &attributes), 0);
		if (S_ISDIR(attributes.mode))
			walk(text, child, listing.items[i].pool);
		pool_unref(listing.items[i].pool, 1);
	}
	free(listing.items);
}

char *pooltest_fingerprint(struct pools *pools)
{
	struct text text = { 0 };
	struct pool *root = pool_root(pools);

	describe(&text, "/", root);
	walk(&text, "", root);
	pool_unref(root, 1);
	return text.bytes;
}
