/* SPDX-License-Identifier: BSD-3-Clause */

/* References, handles, and the end of a pool. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pool/lifetime.h"
#include "pool/pools.h"
#include "pooltest.h"

static void close_handle(struct pooltest_bench *bench)
{
	pool_close(bench->handle);
	bench->handle = NULL;
}

static void unlink_file(struct pooltest_bench *bench)
{
	struct pool *root = pool_root(bench->pools);

	assert_int_equal(pool_unlink(root, "file"), 0);
	pool_unref(root, 1);
}

static void a_file_without_a_name_lives_until_its_last_handle_is_closed(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t free_before = bench->pools->space.free;
	uint32_t free_entries;

	pooltest_fill(bench, 0, 2 * PAGE_BYTES, 1);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	unlink_file(bench);
	free_entries = bench->pools->free_count;
	assert_false(bench->pool->dead);
	assert_true(bench->pool->is_nameless);
	pooltest_expect(bench, 0, 2 * PAGE_BYTES, 1);
	close_handle(bench);
	assert_true(bench->pool->dead);
	assert_int_equal(bench->pools->space.free, free_before);
	assert_int_equal(bench->pools->free_count, free_entries + 1);
}

static void a_file_with_a_name_lives_without_handles(void **state)
{
	struct pooltest_bench *bench = *state;

	close_handle(bench);
	assert_false(bench->pool->dead);
	assert_false(pool_destroy_if_unused(bench->pool));
	assert_false(bench->pool->dead);
	assert_ptr_equal(bench->pools->files[bench->pool->index], bench->pool);
}

static void an_open_file_and_the_root_are_in_use(void **state)
{
	struct pooltest_bench *bench = *state;

	unlink_file(bench);
	assert_false(pool_destroy_if_unused(bench->pool));
	assert_false(pool_destroy_if_unused(bench->pools->root));
	assert_false(bench->pool->dead || bench->pools->root->dead);
}

static void a_destroyed_pool_cannot_be_opened_or_changed(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pool_handle *handle = NULL;

	unlink_file(bench);
	close_handle(bench);
	assert_int_equal(pool_open(bench->pool, &handle), -ESTALE);
	assert_null(handle);
	assert_int_equal(pool_truncate(bench->pool, NULL, 5), -ESTALE);
}

static void a_destroyed_pool_stays_in_memory_until_its_last_reference_is_dropped(void **state)
{
	struct pooltest_bench *bench = *state;

	pool_ref(bench->pool, 1);
	unlink_file(bench);
	close_handle(bench);
	assert_ptr_equal(LIST_FIRST(&bench->pools->destroyed), bench->pool);
	assert_null(bench->pools->files[bench->pool->index]);
	pool_unref(bench->pool, 1);
	assert_ptr_equal(LIST_FIRST(&bench->pools->destroyed), bench->pool);
	pool_unref(bench->pool, 1);
	assert_true(LIST_EMPTY(&bench->pools->destroyed));

	/* For teardown. */
	pooltest_make(bench->pools, "/file", S_IFREG | 0600, 0);
	assert_int_equal(pool_lookup_path(bench->pools, "/file", &bench->pool), 0);
}

static void pools_without_a_name_are_destroyed_together_though_they_are_open(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t files = bench->pools->file_count;

	pooltest_make(bench->pools, "/kept", S_IFREG | 0600, 0);
	unlink_file(bench);
	pools_destroy_nameless(bench->pools);
	assert_true(bench->pool->dead);
	assert_true(LIST_EMPTY(&bench->pools->nameless));
	assert_int_equal(bench->pools->file_count, files);
}

static void volatile_bytes_of_a_destroyed_pool_give_their_promise_back(void **state)
{
	struct pooltest_bench *bench = *state;

	pooltest_fill(bench, 0, 3 * PAGE_BYTES, 1);
	assert_int_equal(bench->pools->space.promised, 3);
	unlink_file(bench);
	close_handle(bench);
	assert_int_equal(bench->pools->space.promised, 0);
	assert_int_equal(bench->pools->present_pages, 0);
	assert_int_equal(bench->pools->populated, 0);
}

static void a_handle_keeps_a_reference_and_knows_its_generation(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t references = bench->pool->references;
	struct pool_handle *handle = NULL;

	assert_int_equal(pool_open(bench->pool, &handle), 0);
	assert_ptr_equal(pool_of(handle), bench->pool);
	assert_int_equal(bench->pool->references, references + 1);
	assert_int_equal(bench->pool->opens, 2);
	assert_int_equal(pool_handle_check(handle), 0);
	pools_stop(bench->pools);
	pools_resume(bench->pools);
	assert_int_equal(pool_handle_check(handle), -EIO);
	pool_close(handle);
	assert_int_equal(bench->pool->references, references);
	assert_int_equal(bench->pool->opens, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(a_file_without_a_name_lives_until_its_last_handle_is_closed),
		POOLTEST(a_file_with_a_name_lives_without_handles),
		POOLTEST(an_open_file_and_the_root_are_in_use),
		POOLTEST(a_destroyed_pool_cannot_be_opened_or_changed),
		POOLTEST(a_destroyed_pool_stays_in_memory_until_its_last_reference_is_dropped),
		POOLTEST(pools_without_a_name_are_destroyed_together_though_they_are_open),
		POOLTEST(volatile_bytes_of_a_destroyed_pool_give_their_promise_back),
		POOLTEST(a_handle_keeps_a_reference_and_knows_its_generation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
