/* SPDX-License-Identifier: BSD-3-Clause */
#include "atomicity_operations.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pool/contents.h"
#include "pool/pools.h"
#include "pooltest.h"

static void prepare(struct pools *pools)
{
	const char *name;
	struct pool *parent, *pool = NULL;

	pooltest_make(pools, "/dir", S_IFDIR | 0755, 0);
	pooltest_make(pools, "/dir/sub", S_IFDIR | 0700, 0);
	pooltest_make(pools, "/a", S_IFREG | 0644, 0);
	pooltest_put(pools, "/a", "the first file", 0, true);
	pooltest_make(pools, "/b", S_IFREG | 0600, 0);
	pooltest_put(pools, "/b", "the second", 9000, true);
	pooltest_make(pools, "/dir/c", S_IFREG | 0600, 40960);
	/* More extents than the entry holds: every second page. */
	pooltest_make(pools, "/pieces", S_IFREG | 0600, 0);
	for (int i = 0; i < 15; i++)
		pooltest_put(pools, "/pieces", "piece", (uint64_t)i * 8192, true);
	parent = pooltest_parent(pools, "/link", &name);
	assert_int_equal(pool_symlink(parent, name, "dir/c", 1, 2, &pool), 0);
	pool_unref(pool, 1);
	pool_unref(parent, 1);
}

static struct pool *find(struct pools *pools, const char *path)
{
	struct pool *pool = NULL;

	assert_int_equal(pool_lookup_path(pools, path, &pool), 0);
	return pool;
}

static void do_create(struct pools *pools)
{
	pooltest_make(pools, "/dir/new", S_IFREG | 0640, 0);
}

static void do_create_with_size(struct pools *pools)
{
	pooltest_make(pools, "/dir/new", S_IFREG | 0640, 100000);
}

static void do_mkdir(struct pools *pools)
{
	pooltest_make(pools, "/dir/new", S_IFDIR | 0750, 0);
}

static void do_symlink(struct pools *pools)
{
	struct pool *dir = find(pools, "/dir"), *pool = NULL;

	assert_int_equal(pool_symlink(dir, "l", "../a", 3, 4, &pool), 0);
	pool_unref(pool, 1);
	pool_unref(dir, 1);
}

static void do_link(struct pools *pools)
{
	struct pool *dir = find(pools, "/dir"), *a = find(pools, "/a");

	assert_int_equal(pool_link(a, dir, "a-too"), 0);
	pool_unref(a, 1);
	pool_unref(dir, 1);
}

static void unlink_from(struct pools *pools, const char *path, const char *name)
{
	struct pool *dir = find(pools, path);

	assert_int_equal(pool_unlink(dir, name), 0);
	pool_unref(dir, 1);
}

static void do_unlink(struct pools *pools)
{
	unlink_from(pools, "/dir", "c");
}

static void do_unlink_pieces(struct pools *pools)
{
	unlink_from(pools, "/", "pieces");
}

static void do_rmdir(struct pools *pools)
{
	struct pool *dir = find(pools, "/dir");

	assert_int_equal(pool_rmdir(dir, "sub"), 0);
	pool_unref(dir, 1);
}

static void rename_from_root(struct pools *pools, const char *from, const char *directory, const char *to,
			     unsigned flags)
{
	struct pool *root = find(pools, "/"), *dir = find(pools, directory);

	assert_int_equal(pool_rename(root, from, dir, to, flags), 0);
	pool_unref(dir, 1);
	pool_unref(root, 1);
}

static void do_rename(struct pools *pools)
{
	rename_from_root(pools, "a", "/dir", "elsewhere", 0);
}

static void do_rename_over(struct pools *pools)
{
	rename_from_root(pools, "a", "/dir", "c", 0);
}

static void do_rename_over_beside(struct pools *pools)
{
	rename_from_root(pools, "a", "/", "b", 0);
}

static void do_exchange(struct pools *pools)
{
	rename_from_root(pools, "a", "/dir", "c", RENAME_EXCHANGE);
}

static void do_chmod(struct pools *pools)
{
	const struct pool_attributes attributes = {
		.mode = 0711, .uid = 99, .gid = 98, .mtime = { .tv_sec = 12345 }
	};
	struct pool *pool = find(pools, "/pieces");

	assert_int_equal(pool_set_attributes(pool,
					     POOL_SET_MODE | POOL_SET_UID | POOL_SET_GID | POOL_SET_MTIME,
					     &attributes),
			 0);
	pool_unref(pool, 1);
}

static void truncate_to(struct pools *pools, const char *path, uint64_t size)
{
	struct pool *pool = find(pools, path);

	assert_int_equal(pool_truncate(pool, NULL, size), 0);
	pool_unref(pool, 1);
}

static void do_shrink(struct pools *pools)
{
	truncate_to(pools, "/pieces", 5000);
}

static void do_shrink_a_little(struct pools *pools)
{
	truncate_to(pools, "/pieces", 13 * 8192 + 2);
}

static void do_grow(struct pools *pools)
{
	truncate_to(pools, "/a", 123456);
}

static void fallocate_pieces(struct pools *pools, int mode, uint64_t offset, uint64_t length)
{
	struct pool_handle *handle = pooltest_handle(pools, "/pieces");

	assert_int_equal(pool_fallocate(handle, mode, offset, length), 0);
	pool_close(handle);
}

static void do_allocate(struct pools *pools)
{
	fallocate_pieces(pools, 0, 0, 200000);
}

static void do_punch(struct pools *pools)
{
	fallocate_pieces(pools, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 65536);
}

static void do_zero(struct pools *pools)
{
	fallocate_pieces(pools, FALLOC_FL_ZERO_RANGE, 8192, 65536);
}

static void do_append_and_sync(struct pools *pools)
{
	char text[9001];

	memset(text, 'q', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	pooltest_put(pools, "/a", text, 14, true);
}

static void do_write_reserved(struct pools *pools)
{
	/* In what reads as zero already, so that either state has the same old bytes. */
	pooltest_put(pools, "/dir/c", "x", 20000, true);
}

static void prepare_sectors(struct pools *pools)
{
	const struct pool_attributes sector = { .pool_mode = POOL_MODE_SECTOR_4096 };
	struct pool *pool;

	prepare(pools);
	pool = find(pools, "/pieces");
	assert_int_equal(pool_set_attributes(pool, POOL_SET_POOL_MODE, &sector), 0);
	pool_unref(pool, 1);
}

/* In sector mode not even a copy that a killed daemon left half done shows: all of a sync, or nothing. */
static void do_overwrite_sectors(struct pools *pools)
{
	char text[30000];

	memset(text, 'o', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	pooltest_put(pools, "/pieces", text, 3000, true);
}

static void do_grow_the_table(struct pools *pools)
{
	const struct pool_new attributes = { .mode = S_IFREG | 0600 };
	struct pool *dir = find(pools, "/dir"), *pool;

	/* 48 entries are there at first; the one that makes the table grow is the measured one. */
	assert_int_equal(pool_create(dir, "last", &attributes, &pool), 0);
	pool_unref(pool, 1);
	pool_unref(dir, 1);
}

static void fill_the_table(struct pools *pools)
{
	prepare(pools);
	for (int i = 0; i < 17; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/fill-%d", i);
		pooltest_make(pools, path, S_IFREG | 0600, 0);
	}
}

static void fill_the_table_and_more(struct pools *pools)
{
	fill_the_table(pools);
	do_grow_the_table(pools);
	assert_true(pools->superblock.table_chunks > 1);
	pooltest_put(pools, "/dir/last", "bytes of a file in the last chunk of the table", 70000, true);
	for (int i = 0; i < 17; i++) {
		char path[32];

		snprintf(path, sizeof(path), "fill-%d", i);
		unlink_from(pools, "/", path);
	}
}

/* What is given back must not be part of the old state, whatever of it a crash leaves. */
static void do_unlink_and_trim(struct pools *pools)
{
	unlink_from(pools, "/dir", "last");
	for (unsigned i = 0; i < POOLS_TRIM_REST + 2; i++)
		pools_trim(pools);
	assert_int_equal(pools->superblock.table_chunks, 1);
	media_fence(pools->region);
}

static void set_attribute(struct pools *pools, const char *path, const char *value)
{
	struct pool *pool = find(pools, path);

	assert_int_equal(pool_xattr_set(pool, "user.name", value, strlen(value), 0), 0);
	pool_unref(pool, 1);
}

static void prepare_attributes(struct pools *pools)
{
	prepare(pools);
	set_attribute(pools, "/a", "old");
	set_attribute(pools, "/dir", "of a directory");
}

static void do_set_attribute(struct pools *pools)
{
	set_attribute(pools, "/a", "new");
}

static void do_remove_attribute(struct pools *pools)
{
	struct pool *pool = find(pools, "/a");

	assert_int_equal(pool_xattr_remove(pool, "user.name"), 0);
	pool_unref(pool, 1);
}

static void do_unlink_with_attributes(struct pools *pools)
{
	unlink_from(pools, "/", "a");
}

/* Of this test's one region. */
static struct pool_contents *contents;

static void prepare_contents(struct pools *pools)
{
	struct pool *pool;

	prepare(pools);
	pool = find(pools, "/pieces");
	assert_int_equal(pool_contents_keep(pool, &contents), 0);
	pool_unref(pool, 1);
	pooltest_put(pools, "/pieces", "other bytes over several pages and holes", 8190, true);
	truncate_to(pools, "/pieces", 70001);
	assert_int_equal(pools_sync(pools), 0);
}

static void do_restore(struct pools *pools)
{
	struct pool *pool = find(pools, "/pieces");

	assert_int_equal(pool_contents_restore(pool, contents, pools_attachments(pools)), 0);
	pool_contents_drop(pools, contents);
	pool_unref(pool, 1);
}

const struct atomicity_operation atomicity_operations[] = {
	{ "create", prepare, do_create },
	{ "create with a size", prepare, do_create_with_size },
	{ "mkdir", prepare, do_mkdir },
	{ "symlink", prepare, do_symlink },
	{ "link", prepare, do_link },
	{ "unlink", prepare, do_unlink },
	{ "unlink of many extents", prepare, do_unlink_pieces },
	{ "rmdir", prepare, do_rmdir },
	{ "rename to another directory", prepare, do_rename },
	{ "rename over a name in another directory", prepare, do_rename_over },
	{ "rename over a name", prepare, do_rename_over_beside },
	{ "exchange", prepare, do_exchange },
	{ "attributes", prepare, do_chmod },
	{ "shrink", prepare, do_shrink },
	{ "shrink, many extents left", prepare, do_shrink_a_little },
	{ "grow", prepare, do_grow },
	{ "allocate", prepare, do_allocate },
	{ "punch", prepare, do_punch },
	{ "zero range", prepare, do_zero },
	{ "append and sync", prepare, do_append_and_sync },
	{ "first write into reserved space", prepare, do_write_reserved },
	{ "overwrite in sector mode", prepare_sectors, do_overwrite_sectors },
	{ "create that grows the table", fill_the_table, do_grow_the_table },
	{ "the first attribute of a region", prepare, do_set_attribute },
	{ "set attribute", prepare_attributes, do_set_attribute },
	{ "remove attribute", prepare_attributes, do_remove_attribute },
	{ "unlink of a file with attributes", prepare_attributes, do_unlink_with_attributes },
	{ "unlink, then a trim", fill_the_table_and_more, do_unlink_and_trim },
	{ "restore of the contents", prepare_contents, do_restore },
	{ NULL, NULL, NULL },
};

const struct atomicity_operation atomicity_rename_over = { "rename over", prepare, do_rename_over };
