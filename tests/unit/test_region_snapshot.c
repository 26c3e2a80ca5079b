/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "mediatest.h"
#include "region/region.h"
#include "region/snapshot.h"

#define MIB (1u << 20)

static struct region *region;

static int setup(void **state)
{
	return region_open("memfd:8M", 0, &region, NULL);
}

static int teardown(void **state)
{
	region_close(region);
	return 0;
}

static struct region_snapshot *take(void)
{
	struct region_snapshot *snapshot = NULL;

	assert_int_equal(region_snapshot_take(region, &snapshot), 0);
	return snapshot;
}

static void a_restored_region_has_the_bytes_of_the_snapshot(void **state)
{
	static const unsigned char zeros[2 * MIB];
	struct region_snapshot *snapshot;

	mediatest_write(region, 4000, "across two pages", 16);
	mediatest_write(region, 4090, "0123456789", 10);
	mediatest_write(region, 5 * MIB, "to be zeroed", 12);
	mediatest_write(region, 7 * MIB, "to be dropped", 13);
	snapshot = take();
	assert_int_equal(region_snapshot_bytes(snapshot), 0);
	mediatest_write(region, 4090, "abcdefghij", 10);
	assert_int_equal(region_snapshot_bytes(snapshot), 2 * 4096);
	assert_int_equal(media_zero(region, 5 * MIB, MIB), 0);
	assert_int_equal(media_discard(region, 7 * MIB, 4096), 0);
	mediatest_write(region, 8 * MIB - 1, "!", 1);
	assert_int_equal(region_snapshot_restore(snapshot), 0);
	assert_int_equal(media_compare(region, 4000, "across two pages", 16), 0);
	assert_int_equal(media_compare(region, 4090, "0123456789", 10), 0);
	assert_int_equal(media_compare(region, 5 * MIB, "to be zeroed", 12), 0);
	assert_int_equal(media_compare(region, 7 * MIB, "to be dropped", 13), 0);
	assert_int_equal(mediatest_byte(region, 8 * MIB - 1), 0);
	assert_int_equal(media_compare(region, MIB, zeros, sizeof(zeros)), 0);
}

static void a_snapshot_can_be_restored_again(void **state)
{
	struct region_snapshot *snapshot;

	mediatest_write(region, 0, "first", 5);
	snapshot = take();
	for (int i = 0; i < 3; i++) {
		mediatest_write(region, 0, "later", 5);
		mediatest_write(region, (uint64_t)(i + 1) * MIB, "later", 5);
		assert_int_equal(region_snapshot_restore(snapshot), 0);
		assert_int_equal(media_compare(region, 0, "first", 5), 0);
		assert_int_equal(mediatest_byte(region, (uint64_t)(i + 1) * MIB), 0);
	}
}

static void snapshots_are_independent_of_each_other(void **state)
{
	struct region_snapshot *old, *new;

	mediatest_write(region, 0, "one", 3);
	old = take();
	mediatest_write(region, 0, "two", 3);
	new = take();
	mediatest_write(region, 0, "six", 3);
	assert_int_equal(region_snapshot_restore(old), 0);
	assert_int_equal(media_compare(region, 0, "one", 3), 0);
	assert_int_equal(region_snapshot_restore(new), 0);
	assert_int_equal(media_compare(region, 0, "two", 3), 0);
	region_snapshot_drop(old);
	mediatest_write(region, 0, "ten", 3);
	assert_int_equal(region_snapshot_restore(new), 0);
	assert_int_equal(media_compare(region, 0, "two", 3), 0);
	region_snapshot_drop(new);
	mediatest_write(region, 0, "ten", 3);
	assert_int_equal(media_compare(region, 0, "ten", 3), 0);
}

static void a_region_has_so_many_snapshots_and_no_more(void **state)
{
	struct region_snapshot *last = NULL, *refused = NULL;

	for (unsigned i = 0; i < REGION_SNAPSHOTS_MAX; i++)
		last = take();
	assert_int_equal(region_snapshot_take(region, &refused), -ENOSPC);
	region_snapshot_drop(last);
	take();
}

/* The limit of file sizes stands for a lack of memory. */
static void a_snapshot_that_could_not_copy_a_page_is_not_restored(void **state)
{
	struct rlimit unlimited, limit;
	struct region_snapshot *snapshot = take();

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
	limit = (struct rlimit){ .rlim_cur = MIB, .rlim_max = unlimited.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	mediatest_write(region, 0, "copied", 6);
	assert_true(region_snapshot_is_whole(snapshot));
	mediatest_write(region, 2 * MIB, "not copied", 10);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
	assert_false(region_snapshot_is_whole(snapshot));
	assert_int_equal(region_snapshot_restore(snapshot), -ENOMEM);
	assert_int_equal(media_compare(region, 0, "copied", 6), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_restored_region_has_the_bytes_of_the_snapshot),
		TEST(a_snapshot_can_be_restored_again),
		TEST(snapshots_are_independent_of_each_other),
		TEST(a_region_has_so_many_snapshots_and_no_more),
		TEST(a_snapshot_that_could_not_copy_a_page_is_not_restored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
