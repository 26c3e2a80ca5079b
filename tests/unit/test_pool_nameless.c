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

struct bench {
	struct region *region;
	struct pools *pools;
};

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	bench->region = pooltest_region("memfd:16M");
	bench->pools = pooltest_open(bench->region);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(pools_close(bench->pools, NULL), 0);
	region_close(bench->region);
	free(bench);
	return 0;
}

/* A killed daemon leaves a region that the next one loads. */
static void restart(struct bench *bench)
{
	pools_abandon(bench->pools);
	bench->pools = pooltest_open(bench->region);
}

static void assert_sound(struct bench *bench)
{
	const struct pools_check_options options = { 0 };
	struct pools_check_result result;

	assert_int_equal(pools_check(bench->region, &options, &result, NULL), 0);
	assert_int_equal(result.leftovers + result.redundant + result.damaged, 0);
}

static struct pool *make_nameless(struct bench *bench, struct pool_handle **handle)
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
	assert_int_equal(pool_sync(handle), 0);
}

static uint64_t file_count(struct bench *bench)
{
	struct pools_info info;

	pools_info(bench->pools, &info);
	return info.pools;
}

static void a_nameless_pool_is_destroyed_when_it_is_closed(void **state)
{
	struct bench *bench = *state;
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
	assert_sound(bench);
}

static void a_nameless_pool_that_gets_a_name_is_kept(void **state)
{
	struct bench *bench = *state;
	struct pool *root = pool_root(bench->pools);
	struct pool_handle *handle;
	struct pool *pool = make_nameless(bench, &handle);
	char text[5] = "";

	put_synced(handle, "kept");
	assert_int_equal(pool_link(pool, root, "named"), 0);
	pool_close(handle);
	pool_unref(pool, 1);
	pool_unref(root, 1);
	restart(bench);
	assert_int_equal(file_count(bench), 1);
	handle = pooltest_handle(bench->pools, "named");
	assert_int_equal(pool_read(handle, text, 4, 0), 4);
	assert_string_equal(text, "kept");
	pool_close(handle);
	assert_sound(bench);
}

static void a_nameless_pool_does_not_survive_a_restart(void **state)
{
	struct bench *bench = *state;
	struct pool_handle *handle;
	struct pool *pool = make_nameless(bench, &handle);

	put_synced(handle, "lost");
	pool_unref(pool, 1);
	restart(bench);
	/* Its pool ended with the abandoned pools: only the handle's own memory is left. */
	free(handle);
	assert_int_equal(file_count(bench), 0);
	assert_sound(bench);
}

static void a_pool_whose_last_name_was_removed_cannot_be_named_again(void **state)
{
	struct bench *bench = *state;
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
	assert_sound(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_nameless_pool_is_destroyed_when_it_is_closed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_nameless_pool_that_gets_a_name_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_nameless_pool_does_not_survive_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(a_pool_whose_last_name_was_removed_cannot_be_named_again,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
