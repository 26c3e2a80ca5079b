/* SPDX-License-Identifier: BSD-3-Clause */

/* Which pools are active, and what their views may take. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "pool/pools.h"
#include "pool/view_limits.h"
#include "pooltest.h"

static void close_handle(struct pooltest_bench *bench)
{
	pool_close(bench->handle);
	bench->handle = NULL;
}

static void the_limits_leave_half_of_the_descriptors_and_most_of_the_memory(void **state)
{
	struct pooltest_bench *bench = *state;
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= 1000) {
		limit.rlim_cur = 1000;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	}
	pools_set_limits(bench->pools);
	assert_int_equal(bench->pools->populated_max, limit.rlim_cur / 2);
	assert_int_equal(bench->pools->present_max, sysconf(_SC_PHYS_PAGES) / 8);
	bench->pools->options.regions = 4;
	pools_set_limits(bench->pools);
	assert_int_equal(bench->pools->populated_max, limit.rlim_cur / 2 / 4);
	assert_int_equal(bench->pools->present_max, sysconf(_SC_PHYS_PAGES) / 8 / 4);
}

static void the_memory_of_a_view_is_counted_while_it_has_any(void **state)
{
	struct pooltest_bench *bench = *state;

	pooltest_fill(bench, 0, 3 * PAGE_BYTES, 1);
	assert_int_equal(bench->pools->populated, 1);
	assert_int_equal(bench->pools->present_pages, 3);
	assert_int_equal(bench->pools->dirty_pages, 3);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	assert_int_equal(bench->pools->present_pages, 3);
	assert_int_equal(bench->pools->dirty_pages, 0);
	pool_drop_clean_view(bench->pool);
	assert_int_equal(bench->pools->populated, 0);
	assert_int_equal(bench->pools->present_pages, 0);
	pooltest_expect(bench, 0, 3 * PAGE_BYTES, 1);
}

static void a_view_with_volatile_bytes_is_not_dropped(void **state)
{
	struct pooltest_bench *bench = *state;

	pooltest_fill(bench, 0, PAGE_BYTES, 1);
	pool_drop_clean_view(bench->pool);
	assert_int_equal(bench->pools->present_pages, 1);
	assert_int_equal(bench->pools->dirty_pages, 1);
	pooltest_expect(bench, 0, PAGE_BYTES, 1);
}

static void too_many_views_make_closed_pools_durable_and_drop_them(void **state)
{
	struct pooltest_bench *bench = *state;

	pooltest_fill(bench, 0, PAGE_BYTES, 1);
	close_handle(bench);
	pools_limit_views(bench->pools);
	assert_int_equal(bench->pools->populated, 1);
	bench->pools->populated_max = 0;
	pools_limit_views(bench->pools);
	assert_int_equal(bench->pools->populated, 0);
	assert_int_equal(bench->pool->durable_size, PAGE_BYTES);
	assert_false(pool_is_volatile(bench->pool));
}

static void the_view_of_an_open_pool_is_not_dropped(void **state)
{
	struct pooltest_bench *bench = *state;

	pooltest_fill(bench, 0, PAGE_BYTES, 1);
	bench->pools->populated_max = 0;
	pools_limit_views(bench->pools);
	assert_int_equal(bench->pools->populated, 1);
	assert_true(pool_is_volatile(bench->pool));
	assert_int_equal(pool_sync(bench->handle, false), 0);
	bench->pools->present_max = 0;
	pools_limit_memory(bench->pools);
	assert_int_equal(bench->pools->present_pages, 1);
}

static void too_much_memory_drops_closed_pools_that_are_clean_and_no_others(void **state)
{
	struct pooltest_bench *bench = *state;

	bench->pools->present_max = 0;
	pooltest_fill(bench, 0, PAGE_BYTES, 1);
	close_handle(bench);
	pools_limit_memory(bench->pools);
	assert_int_equal(bench->pools->present_pages, 1);
	assert_true(pool_is_volatile(bench->pool));
	assert_int_equal(pool_sync_pool(bench->pool, false), 0);
	pools_limit_memory(bench->pools);
	assert_int_equal(bench->pools->present_pages, 0);
}

static void each_copy_of_the_active_pools_has_a_reference(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pool **active;
	uint64_t references;
	size_t count;

	/* The root is active already: creating the file changed its times. */
	assert_false(bench->pool->is_active);
	pool_activate(bench->pool);
	pool_activate(bench->pool);
	references = bench->pool->references;
	active = pools_copy_active(bench->pools, &count);
	assert_int_equal(count, 2);
	assert_ptr_equal(active[0], bench->pools->root);
	assert_ptr_equal(active[1], bench->pool);
	assert_int_equal(bench->pool->references, references + 1);
	pool_unref(active[0], 1);
	pool_unref(active[1], 1);
	free(active);
}

static void a_destroyed_pool_does_not_become_active(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pool *root = pool_root(bench->pools);

	pool_activate(bench->pool);
	assert_int_equal(pool_unlink(root, "file"), 0);
	pool_unref(root, 1);
	close_handle(bench);
	assert_true(bench->pool->is_destroyed);
	assert_false(bench->pool->is_active);
	pool_activate(bench->pool);
	assert_false(bench->pool->is_active);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(the_limits_leave_half_of_the_descriptors_and_most_of_the_memory),
		POOLTEST(the_memory_of_a_view_is_counted_while_it_has_any),
		POOLTEST(a_view_with_volatile_bytes_is_not_dropped),
		POOLTEST(too_many_views_make_closed_pools_durable_and_drop_them),
		POOLTEST(the_view_of_an_open_pool_is_not_dropped),
		POOLTEST(too_much_memory_drops_closed_pools_that_are_clean_and_no_others),
		POOLTEST(each_copy_of_the_active_pools_has_a_reference),
		POOLTEST(a_destroyed_pool_does_not_become_active),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
