/* SPDX-License-Identifier: BSD-3-Clause */

/* Extended attributes: what they are, what is refused, and what of the media is trusted. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "common/rng.h"
#include "mediatest.h"
#include "pool/inode.h"
#include "pool/pools.h"
#include "pool/superblock.h"
#include "pool/table.h"
#include "pooltest.h"

static void set(struct pooltest_bench *bench, const char *name, const char *value)
{
	assert_int_equal(pool_xattr_set(bench->pool, name, value, strlen(value), 0), 0);
}

static void expect(struct pooltest_bench *bench, const char *name, const char *value)
{
	char bytes[64] = "";

	assert_int_equal(pool_xattr_get(bench->pool, name, bytes, sizeof(bytes)), strlen(value));
	assert_string_equal(bytes, value);
}

/* As pooltest_restart(), and find the file again. */
static void restart(struct pooltest_bench *bench)
{
	pooltest_restart(bench);
	assert_int_equal(pool_lookup_path(bench->pools, "/file", &bench->pool), 0);
}

static void attributes_are_set_read_listed_and_removed(void **state)
{
	struct pooltest_bench *bench = *state;
	char list[64];

	set(bench, "user.b", "second");
	set(bench, "user.a", "first");
	set(bench, "security.c", "third");
	set(bench, "trusted.d", "");
	set(bench, "user.b", "changed");
	expect(bench, "user.a", "first");
	expect(bench, "user.b", "changed");
	expect(bench, "security.c", "third");
	expect(bench, "trusted.d", "");
	assert_int_equal(pool_xattr_get(bench->pool, "user.a", NULL, 0), 5);
	assert_int_equal(pool_xattr_list(bench->pool, false, NULL, 0), 25);
	assert_int_equal(pool_xattr_list(bench->pool, false, list, sizeof(list)), 25);
	assert_memory_equal(list, "security.c\0user.a\0user.b", 25);
	assert_int_equal(pool_xattr_list(bench->pool, true, list, sizeof(list)), 35);
	assert_memory_equal(list, "security.c\0trusted.d\0user.a\0user.b", 35);
	assert_int_equal(pool_xattr_remove(bench->pool, "user.a"), 0);
	assert_int_equal(pool_xattr_get(bench->pool, "user.a", NULL, 0), -ENODATA);
	expect(bench, "user.b", "changed");
	pooltest_assert_sound(bench->region);
	restart(bench);
	expect(bench, "user.b", "changed");
	assert_int_equal(pool_xattr_get(bench->pool, "user.a", NULL, 0), -ENODATA);
}

static void what_cannot_be_done_is_refused_with_the_error_of_xattr_7(void **state)
{
	struct pooltest_bench *bench = *state;
	struct pool *pool = bench->pool;
	char name[300] = "user.", value[8];

	set(bench, "user.a", "value");
	assert_int_equal(pool_xattr_set(pool, "user.a", "x", 1, XATTR_CREATE), -EEXIST);
	assert_int_equal(pool_xattr_set(pool, "user.b", "x", 1, XATTR_REPLACE), -ENODATA);
	assert_int_equal(pool_xattr_set(pool, "user.a", "x", 1, 8), -EINVAL);
	assert_int_equal(pool_xattr_set(pool, "user.", "x", 1, 0), -EINVAL);
	assert_int_equal(pool_xattr_set(pool, "other.a", "x", 1, 0), -EOPNOTSUPP);
	assert_int_equal(pool_xattr_set(pool, "system.posix_acl_access", "x", 1, 0), -EOPNOTSUPP);
	assert_int_equal(pool_xattr_remove(pool, "user.b"), -ENODATA);
	assert_int_equal(pool_xattr_get(pool, "user.a", value, 4), -ERANGE);
	assert_int_equal(pool_xattr_list(pool, true, value, 4), -ERANGE);
	memset(name + 5, 'n', 251);
	assert_int_equal(pool_xattr_set(pool, name, "x", 1, 0), -ERANGE);
	/* Negative controls: the same within the limits. */
	name[255] = '\0';
	assert_int_equal(pool_xattr_set(pool, name, "x", 1, XATTR_CREATE), 0);
	assert_int_equal(pool_xattr_set(pool, name, "y", 1, XATTR_REPLACE), 0);
	assert_int_equal(pool_xattr_get(pool, "user.a", value, 5), 5);
}

static void all_attributes_together_have_room_in_one_area(void **state)
{
	struct pooltest_bench *bench = *state;
	static const unsigned char zeros[POOL_XATTRS_MAX + 1];
	const size_t rest = POOL_XATTRS_MAX - (4 + 6 + 5) - (4 + 6);
	const uint64_t free_before = pool_space_free_for_data(&bench->pools->space);

	set(bench, "user.a", "value");
	assert_int_equal(pool_xattr_set(bench->pool, "user.b", zeros, rest + 1, 0), -ENOSPC);
	assert_int_equal(pool_xattr_set(bench->pool, "user.b", zeros, sizeof(zeros), 0), -ENOSPC);
	assert_int_equal(pool_xattr_get(bench->pool, "user.b", NULL, 0), -ENODATA);
	assert_int_equal(pool_xattr_set(bench->pool, "user.b", zeros, rest, 0), 0);
	assert_int_equal(pool_xattr_get(bench->pool, "user.b", NULL, 0), rest);
	assert_int_equal(pool_space_free_for_data(&bench->pools->space), free_before - XATTR_BLOCKS);
	restart(bench);
	expect(bench, "user.a", "value");
	assert_int_equal(pool_xattr_get(bench->pool, "user.b", NULL, 0), rest);
	assert_int_equal(pool_xattr_remove(bench->pool, "user.a"), 0);
	assert_int_equal(pool_xattr_remove(bench->pool, "user.b"), 0);
	assert_int_equal(pool_space_free_for_data(&bench->pools->space), free_before);
	pooltest_assert_sound(bench->region);
}

static void a_removed_file_gives_the_blocks_of_its_attributes_back(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t free_before = pool_space_free_for_data(&bench->pools->space);
	struct pool *root;

	set(bench, "user.a", "value");
	assert_true(pool_space_free_for_data(&bench->pools->space) < free_before);
	pool_close(bench->handle);
	bench->handle = NULL;
	assert_int_equal(pool_lookup_path(bench->pools, "/", &root), 0);
	assert_int_equal(pool_unlink(root, "file"), 0);
	pool_unref(root, 1);
	assert_int_equal(pool_space_free_for_data(&bench->pools->space), free_before);
	assert_int_equal(pool_xattr_list(bench->pool, true, NULL, 0), 0);
	assert_int_equal(pool_xattr_set(bench->pool, "user.b", "x", 1, 0), -ENOENT);
}

static void a_full_region_refuses_an_attribute_and_keeps_the_old_ones(void **state)
{
	struct pooltest_bench *bench = *state;
	uint64_t block;

	set(bench, "user.a", "value");
	while (pool_space_take(&bench->pools->space, SPACE_DATA, 0, 1000, false, &block))
		continue;
	assert_int_equal(pool_xattr_set(bench->pool, "user.a", "x", 1, 0), -ENOSPC);
	expect(bench, "user.a", "value");
	/* One free block is not enough. */
	pool_space_release(&bench->pools->space, block, 1);
	assert_int_equal(pool_xattr_set(bench->pool, "user.a", "x", 1, 0), -ENOSPC);
	assert_int_equal(pool_xattr_remove(bench->pool, "user.a"), 0);
}

static void a_region_without_attributes_has_no_feature_bit(void **state)
{
	struct pooltest_bench *bench = *state;
	struct superblock superblock;

	mediatest_read(bench->region, 0, &superblock, sizeof(superblock));
	assert_int_equal(superblock.features_ro_compat, 0);
	set(bench, "user.a", "value");
	mediatest_read(bench->region, 0, &superblock, sizeof(superblock));
	assert_int_equal(superblock.features_ro_compat, FEATURE_XATTRS);
	assert_int_equal(superblock.features_compat | superblock.features_incompat, 0);
}

static void capabilities_are_told_apart_and_the_rest_stays(void **state)
{
	struct pooltest_bench *bench = *state;

	set(bench, "user.a", "value");
	assert_false(pool_has_capability(bench->pool));
	set(bench, "security.capability", "bytes");
	assert_true(pool_has_capability(bench->pool));
	restart(bench);
	assert_true(pool_has_capability(bench->pool));
	assert_int_equal(pool_xattr_remove(bench->pool, POOL_CAPABILITY), 0);
	assert_false(pool_has_capability(bench->pool));
	assert_int_equal(pool_xattr_get(bench->pool, "security.capability", NULL, 0), -ENODATA);
	expect(bench, "user.a", "value");
}

/* ---- Hostile media ---------------------------------------------------------------- */

static struct xattr_area read_area(const struct pooltest_bench *bench)
{
	struct xattr_area area;

	mediatest_read(bench->region, bench->pool->xattrs_block * BLOCK_BYTES, &area, sizeof(area));
	return area;
}

/* Write the area with a correct checksum. */
static void write_area(struct pooltest_bench *bench, struct xattr_area *area)
{
	area->checksum = pool_slot_checksum(bench->pools->uuid_seed, area, sizeof(*area));
	mediatest_write(bench->region, bench->pool->xattrs_block * BLOCK_BYTES, area, sizeof(*area));
}

struct seen {
	bool xattrs;
};

static void see(void *context, const struct pools_problem *problem)
{
	struct seen *seen = context;

	if (problem->kind == POOLS_DAMAGE && strstr(problem->text, "extended attributes are damaged"))
		seen->xattrs = true;
}

static bool is_damaged(const struct pooltest_bench *bench)
{
	struct seen seen = { false };
	const struct pools_check_options options = { .problem = see, .context = &seen };
	struct pools_check_result result;
	int error = pools_check(bench->region, &options, &result, NULL);

	assert_int_equal(error, seen.xattrs ? -EUCLEAN : 0);
	return seen.xattrs;
}

static void each_damaged_byte_of_the_area_is_reported(void **state)
{
	struct pooltest_bench *bench = *state;
	struct xattr_area good, bad;

	set(bench, "user.a", "value");
	good = read_area(bench);
	assert_false(is_damaged(bench));
	for (size_t at = 0; at < sizeof(good); at += at < 80 ? 1 : 61) {
		bad = good;
		((unsigned char *)&bad)[at] ^= 0x40;
		mediatest_write(bench->region, bench->pool->xattrs_block * BLOCK_BYTES, &bad, sizeof(bad));
		assert_true(is_damaged(bench));
	}
	mediatest_write(bench->region, bench->pool->xattrs_block * BLOCK_BYTES, &good, sizeof(good));
	assert_false(is_damaged(bench));
}

static struct xattr_record *first_record(struct xattr_area *area)
{
	return (struct xattr_record *)area->records;
}

static void assert_damaged(struct pooltest_bench *bench, struct xattr_area area)
{
	write_area(bench, &area);
	assert_true(is_damaged(bench));
}

static void records_that_do_not_fit_their_area_are_damage_whatever_the_checksum(void **state)
{
	struct pooltest_bench *bench = *state;
	struct xattr_area good, bad;

	set(bench, "user.a", "value");
	set(bench, "user.b", "value");
	good = read_area(bench);
	write_area(bench, &good);
	assert_false(is_damaged(bench));
	bad = good;
	bad.length = 0;
	assert_damaged(bench, bad);
	bad.length = sizeof(bad.records) + 1;
	assert_damaged(bench, bad);
	bad.length = UINT32_MAX;
	assert_damaged(bench, bad);
	bad.length = good.length - 1;
	assert_damaged(bench, bad);
	bad.length = good.length + 1;
	assert_damaged(bench, bad);
	bad.length = good.length + 8;
	assert_damaged(bench, bad);
	bad = good;
	bad.count++;
	assert_damaged(bench, bad);
	bad = good;
	bad.owner++;
	assert_damaged(bench, bad);
	bad = good;
	first_record(&bad)->name_length = 0;
	assert_damaged(bench, bad);
	bad = good;
	first_record(&bad)->value_length = UINT16_MAX;
	assert_damaged(bench, bad);
	bad = good;
	first_record(&bad)->name[5] = 'b'; /* twice */
	assert_damaged(bench, bad);
	bad = good;
	first_record(&bad)->name[5] = 'c'; /* out of order */
	assert_damaged(bench, bad);
	bad = good;
	first_record(&bad)->name[2] = '\0';
	assert_damaged(bench, bad);
}

static void random_records_are_damage_or_read_back(void **state)
{
	struct pooltest_bench *bench = *state;
	struct rng rng = { .state = 17 };
	struct xattr_area good;

	for (char name[] = "user.a"; name[5] < 'k'; name[5]++)
		set(bench, name, "a value of some length");
	good = read_area(bench);
	for (unsigned round = 0; round < 2000; round++) {
		struct xattr_area area = good;

		for (uint64_t changes = 1 + rng_below(&rng, 3); changes > 0; changes--)
			((unsigned char *)&area)[8 + rng_below(&rng, 300)] = (unsigned char)rng_next(&rng);
		write_area(bench, &area);
		is_damaged(bench);
	}
}

static void set_slot_block(struct pooltest_bench *bench, uint64_t block)
{
	const uint64_t before = bench->pool->xattrs_block;

	bench->pool->xattrs_block = block;
	assert_int_equal(pool_inode_commit(bench->pool), 0);
	bench->pool->xattrs_block = before;
}

static void an_area_outside_the_region_or_of_another_file_is_damage(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t blocks = region_size(bench->region) / BLOCK_BYTES;

	set(bench, "user.a", "value");
	set_slot_block(bench, blocks - 1);
	assert_true(is_damaged(bench));
	set_slot_block(bench, UINT64_MAX);
	assert_true(is_damaged(bench));
	set_slot_block(bench, 1); /* the table */
	assert_true(is_damaged(bench));
	set_slot_block(bench, bench->pool->xattrs_block);
	assert_false(is_damaged(bench));
}

static void without_the_feature_bit_the_bytes_of_a_slot_are_reserved(void **state)
{
	struct pooltest_bench *bench = *state;

	set_slot_block(bench, 1);
	assert_false(is_damaged(bench));
	set(bench, "user.a", "value");
	set_slot_block(bench, 1);
	assert_true(is_damaged(bench));
}

static void damaged_attributes_leave_the_file_readable(void **state)
{
	struct pooltest_bench *bench = *state;
	const struct pools_options read_only = { .read_only = true };
	struct message message;
	struct pools *pools;
	struct pool *pool;

	set(bench, "user.a", "value");
	pooltest_fill(bench, 0, 100, 7);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	mediatest_write(bench->region, bench->pool->xattrs_block * BLOCK_BYTES, "damage", 6);
	assert_int_equal(pools_open(bench->region, &(struct pools_options){ 0 }, &pools, &message), -EUCLEAN);
	assert_int_equal(pools_open(bench->region, &read_only, &pools, &message), 0);
	assert_int_equal(pool_lookup_path(pools, "/file", &pool), 0);
	assert_int_equal(pool_xattr_get(pool, "user.a", NULL, 0), -EIO);
	pool_unref(pool, 1);
	pools_abandon(pools);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(attributes_are_set_read_listed_and_removed),
		POOLTEST(what_cannot_be_done_is_refused_with_the_error_of_xattr_7),
		POOLTEST(all_attributes_together_have_room_in_one_area),
		POOLTEST(a_removed_file_gives_the_blocks_of_its_attributes_back),
		POOLTEST(a_full_region_refuses_an_attribute_and_keeps_the_old_ones),
		POOLTEST(a_region_without_attributes_has_no_feature_bit),
		POOLTEST(capabilities_are_told_apart_and_the_rest_stays),
		POOLTEST(each_damaged_byte_of_the_area_is_reported),
		POOLTEST(records_that_do_not_fit_their_area_are_damage_whatever_the_checksum),
		POOLTEST(random_records_are_damage_or_read_back),
		POOLTEST(an_area_outside_the_region_or_of_another_file_is_damage),
		POOLTEST(without_the_feature_bit_the_bytes_of_a_slot_are_reserved),
		POOLTEST(damaged_attributes_leave_the_file_readable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
