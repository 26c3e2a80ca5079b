/* SPDX-License-Identifier: BSD-3-Clause */
/* Pools that are created without a name (O_TMPFILE), and pools that lose their last name. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "pool/pool.h"
#include "pooltest.h"

/* The pools must also close cleanly. */
static int teardown(void **state)
{
	struct pooltest_bench *bench = *state;

	assert_int_equal(pools_close(bench->pools, NULL), 0);
	bench->pools = NULL;
	return pooltest_teardown(state);
}

static struct pool *make_nameless(struct pooltest_bench *bench, struct pool_handle **handle)
{
	const struct pool_new attributes = { .mode = S_IFREG | 0640, .uid = 7, .gid = 8 };
	struct pool *root = pool_root(bench->pools), *pool = NULL;

	assert_int_equal(pool_open_nameless(root, &attributes, &pool, handle), 0);
	pool_unref(root, 1);
	return pool;
}

static void put_synced(struct pool_handle *handle, const char *text)
{
	assert_int_equal(pool_write(handle, text, strlen(text), 0, POOL_WRITE_FILE), strlen(text));
	assert_int_equal(pool_sync(handle, false), 0);
}

static uint64_t file_count(struct pooltest_bench *bench)
{
	struct pools_info info;

	pools_info(bench->pools, &info);
	return info.pools;
}

static void a_nameless_pool_is_destroyed_when_it_is_closed(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pool *root = pool_root(bench->pools);
	struct pool_attributes attributes;
	struct pool_handle *handle;
	struct pool *pool = make_nameless(bench, &handle);

	assert_int_equal(pool_get_attributes(pool, &attributes), 0);
	assert_int_equal(attributes.links, 0);
	assert_int_equal(attributes.mode, S_IFREG | 0640);
	assert_int_equal(file_count(bench), 1);
	pool_close(handle);
	assert_int_equal(file_count(bench), 0);
	assert_int_equal(pool_link(pool, root, "late"), -ENOENT);
	pool_unref(pool, 1);
	pool_unref(root, 1);
	pooltest_assert_sound(bench->region);
}

static void a_nameless_pool_that_gets_a_name_is_kept(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pool *root = pool_root(bench->pools);
	struct pool_handle *handle;
	struct pool *pool = make_nameless(bench, &handle);
	char text[5] = "";

	put_synced(handle, "kept");
	assert_int_equal(pool_link(pool, root, "named"), 0);
	pool_close(handle);
	pool_unref(pool, 1);
	pool_unref(root, 1);
	pooltest_restart(bench);
	assert_int_equal(file_count(bench), 1);
	handle = pooltest_handle(bench->pools, "named");
	assert_int_equal(pool_read(handle, text, 4, 0), 4);
	assert_string_equal(text, "kept");
	pool_close(handle);
	pooltest_assert_sound(bench->region);
}

static void a_nameless_pool_does_not_survive_a_restart(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pool_handle *handle;
	struct pool *pool = make_nameless(bench, &handle);

	put_synced(handle, "lost");
	pool_unref(pool, 1);
	pooltest_restart(bench);
	/* Its pool ended with the abandoned pools: only the handle's own memory is left. */
	free(handle);
	assert_int_equal(file_count(bench), 0);
	pooltest_assert_sound(bench->region);
}

static void a_pool_whose_last_name_was_removed_cannot_be_named_again(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pool *root = pool_root(bench->pools), *pool = NULL;
	struct pool_handle *handle;

	pooltest_make(bench->pools, "/file", S_IFREG | 0644, 0);
	handle = pooltest_handle(bench->pools, "file");
	assert_int_equal(pool_lookup(root, "file", &pool), 0);
	assert_int_equal(pool_unlink(root, "file"), 0);
	assert_int_equal(pool_link(pool, root, "again"), -ENOENT);
	pool_close(handle);
	pool_unref(pool, 1);
	pool_unref(root, 1);
	pooltest_assert_sound(bench->region);
}

#define NAMELESS(test) cmocka_unit_test_setup_teardown(test, pooltest_setup_empty, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NAMELESS(a_nameless_pool_is_destroyed_when_it_is_closed),
		NAMELESS(a_nameless_pool_that_gets_a_name_is_kept),
		NAMELESS(a_nameless_pool_does_not_survive_a_restart),
		NAMELESS(a_pool_whose_last_name_was_removed_cannot_be_named_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
