/* SPDX-License-Identifier: BSD-3-Clause */
#include "scene.h"

#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../unit/pooltest.h"

static struct pool *find(struct pools *pools, const char *path)
{
	struct pool *pool = NULL;

	assert_int_equal(pool_lookup_path(pools, path, &pool), 0);
	return pool;
}

static void link_to(struct pools *pools, const char *path, const char *target)
{
	const char *name;
	struct pool *parent = pooltest_parent(pools, path, &name), *pool = NULL;

	assert_int_equal(pool_symlink(parent, name, target, 3, 4, &pool), 0);
	pool_unref(pool, 1);
	pool_unref(parent, 1);
}

static void hard_link(struct pools *pools, const char *from, const char *to)
{
	const char *name;
	struct pool *parent = pooltest_parent(pools, to, &name), *pool = find(pools, from);

	assert_int_equal(pool_link(pool, parent, name), 0);
	pool_unref(pool, 1);
	pool_unref(parent, 1);
}

static void rename_to(struct pools *pools, const char *from, const char *to, unsigned flags)
{
	const char *old_name, *new_name;
	struct pool *old_parent = pooltest_parent(pools, from, &old_name);
	struct pool *new_parent = pooltest_parent(pools, to, &new_name);

	assert_int_equal(pool_rename(old_parent, old_name, new_parent, new_name, flags), 0);
	pool_unref(old_parent, 1);
	pool_unref(new_parent, 1);
}

static void set_mode(struct pools *pools, const char *path, mode_t mode, enum pool_mode pool_mode)
{
	const struct pool_attributes attributes = { .mode = mode, .pool_mode = pool_mode,
						    .mtime = { .tv_sec = -5 } };
	struct pool *pool = find(pools, path);

	assert_int_equal(pool_set_attributes(pool, POOL_SET_MODE | POOL_SET_MTIME | POOL_SET_POOL_MODE,
					     &attributes),
			 0);
	pool_unref(pool, 1);
}

static void allocate(struct pools *pools, const char *path, int mode, uint64_t offset, uint64_t length)
{
	struct pool_handle *handle = pooltest_handle(pools, path);

	assert_int_equal(pool_fallocate(handle, mode, offset, length), 0);
	pool_close(handle);
}

void scene_prepare(struct pools *pools)
{
	pooltest_make(pools, "/dir", S_IFDIR | 0755, 0);
	pooltest_make(pools, "/dir/sub", S_IFDIR | 02750, 0);
	pooltest_make(pools, "/a", S_IFREG | 0644, 0);
	pooltest_put(pools, "/a", "the first file", 0, true);
	pooltest_make(pools, "/b", S_IFREG | 0600, 0);
	pooltest_put(pools, "/b", "behind a hole", 9000, true);
	pooltest_make(pools, "/target", S_IFREG | 0600, 0);
	pooltest_put(pools, "/target", "to be replaced", 0, true);
	pooltest_make(pools, "/reserved", S_IFREG | 0600, 40960);
	pooltest_put(pools, "/reserved", "written in reserved space", 8192, true);
	pooltest_make(pools, "/fifo", S_IFIFO | 0622, 0);
	/* More extents than an entry or one map block holds. */
	pooltest_make(pools, "/dir/pieces", S_IFREG | 0600, 2200000);
	for (int i = 0; i < 262; i++)
		allocate(pools, "/dir/pieces", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (uint64_t)(2 * i + 1) * 4096, 4096);
	pooltest_put(pools, "/dir/pieces", "in a piece", 8192, true);
	link_to(pools, "/link", "dir/pieces");
	hard_link(pools, "/a", "/dir/sub/a-too");
	set_mode(pools, "/b", 04711, POOL_MODE_SECTOR_512);
	/* A directory with more names. */
	for (int i = 0; i < 20; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/dir/sub/%d", i);
		pooltest_make(pools, path, S_IFREG | 0640, 0);
	}
}

static void create(struct pools *pools)
{
	pooltest_make(pools, "/dir/new", S_IFREG | 0640, 8192);
}

static void create_with_a_mode(struct pools *pools)
{
	const struct pool_new attributes = { .mode = S_IFDIR | 0755, .has_metadata = true,
					     .metadata = METADATA_STRICT };
	struct pool *root = pool_root(pools), *directory;

	assert_int_equal(pool_create(root, "strict", &attributes, &directory), 0);
	pool_unref(directory, 1);
	pool_unref(root, 1);
	pooltest_make(pools, "/strict/inherits", S_IFDIR | 0755, 0);
}

static void exchange(struct pools *pools)
{
	rename_to(pools, "/a", "/dir/pieces", RENAME_EXCHANGE);
}

static void replace(struct pools *pools)
{
	rename_to(pools, "/b", "/target", 0);
}

static void move(struct pools *pools)
{
	rename_to(pools, "/link", "/dir/moved", 0);
}

static void append(struct pools *pools)
{
	pooltest_put(pools, "/target", "more, in a page of its own", 12300, true);
}

static void punch(struct pools *pools)
{
	allocate(pools, "/a", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 200000, 8192);
}

static void shrink(struct pools *pools)
{
	struct pool *pool = find(pools, "/a");

	assert_int_equal(pool_truncate(pool, NULL, 3 * 4096 + 5), 0);
	pool_unref(pool, 1);
}

static void drop(struct pools *pools)
{
	const char *name;
	struct pool *parent = pooltest_parent(pools, "/reserved", &name);

	assert_int_equal(pool_unlink(parent, name), 0);
	pool_unref(parent, 1);
}

static void grow_the_table(struct pools *pools)
{
	for (int i = 0; i < 30; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/dir/grow-%d", i);
		pooltest_make(pools, path, S_IFDIR | 0700, 0);
	}
}

static void set_attribute(struct pools *pools, const char *path, const char *name, const char *value)
{
	struct pool *pool = find(pools, path);

	assert_int_equal(pool_xattr_set(pool, name, value, strlen(value), 0), 0);
	pool_unref(pool, 1);
}

static void set_attributes(struct pools *pools)
{
	set_attribute(pools, "/dir", "user.of-a-directory", "value");
	set_attribute(pools, "/a", "user.second", "another");
	set_attribute(pools, "/a", "security.first", "");
	set_attribute(pools, "/a", "user.second", "changed");
}

static void remove_attribute(struct pools *pools)
{
	struct pool *pool = find(pools, "/a");

	assert_int_equal(pool_xattr_remove(pool, "user.second"), 0);
	pool_unref(pool, 1);
}

const struct scene_operation scene_operations[] = {
	{ "create with a size", create },
	{ "exchange", exchange },
	{ "rename over a name", replace },
	{ "rename to another directory", move },
	{ "append and sync", append },
	{ "punch", punch },
	{ "shrink", shrink },
	{ "unlink", drop },
	{ "creates that make the table grow", grow_the_table },
	{ "extended attributes are set", set_attributes },
	{ "an extended attribute is removed", remove_attribute },
	{ "directories with a metadata mode", create_with_a_mode },
	{ NULL, NULL },
};
