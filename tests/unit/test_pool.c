/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "common/align.h"
#include "common/rng.h"
#include "pool/pool.h"
#include "mediatest.h"
#include "pooltest.h"

struct bench {
	struct region *region;
	struct pools *pools;
};

static void print_line(void *context, const char *line)
{
	print_message("# %s\n", line);
}

static struct pools *open_pools(struct region *region)
{
	struct pools_options options = { .log = { .line = print_line } };
	struct message message = { 0 };
	struct pools *pools = NULL;

	if (pools_open(region, &options, &pools, &message) != 0)
		fail_msg("%s", message.text);
	return pools;
}

static int setup_size(void **state, const char *spec)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct pools_format_options format = { 0 };

	assert_int_equal(region_open(spec, 0, &bench->region, NULL), 0);
	assert_int_equal(pools_format(bench->region, &format, NULL), 0);
	bench->pools = open_pools(bench->region);
	*state = bench;
	return 0;
}

static int setup(void **state)
{
	return setup_size(state, "memfd:64M");
}

static int setup_small(void **state)
{
	return setup_size(state, "memfd:2M");
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
	bench->pools = open_pools(bench->region);
}

static struct pool *make(struct bench *bench, const char *name, mode_t mode, uint64_t size)
{
	struct pool_new attributes = { .mode = mode, .uid = 7, .gid = 8, .size = size };
	struct pool *root = pool_root(bench->pools), *pool = NULL;

	assert_int_equal(pool_create(root, name, &attributes, &pool), 0);
	pool_unref(root, 1);
	return pool;
}

static struct pool_handle *open_path(struct bench *bench, const char *path)
{
	struct pool_handle *handle = NULL;
	struct pool *pool = NULL;

	assert_int_equal(pool_lookup_path(bench->pools, path, &pool), 0);
	assert_int_equal(pool_open(pool, &handle), 0);
	pool_unref(pool, 1);
	return handle;
}

static void put(struct pool_handle *handle, const char *text, uint64_t offset)
{
	assert_int_equal(pool_write(handle, text, strlen(text), offset, POOL_WRITE_FILE), strlen(text));
}

static void expect(struct pool_handle *handle, const char *text, size_t length, uint64_t offset)
{
	char *buffer = calloc(1, length + 1);

	assert_int_equal(pool_read(handle, buffer, length, offset), length);
	assert_memory_equal(buffer, text, length);
	free(buffer);
}

static uint64_t size_of(struct pool_handle *handle)
{
	struct pool_attributes attributes;

	assert_int_equal(pool_get_attributes(pool_of(handle), &attributes), 0);
	return attributes.size;
}

static void synced_bytes_survive_and_others_do_not(void **state)
{
	struct bench *bench = *state;
	struct pool_handle *handle;

	pool_unref(make(bench, "a", S_IFREG | 0644, 0), 1);
	handle = open_path(bench, "a");
	put(handle, "durable", 0);
	assert_int_equal(pool_sync(handle, false), 0);
	put(handle, "VOLATILE, and longer", 0);
	expect(handle, "VOLATILE, and longer", 20, 0);
	pool_close(handle);
	restart(bench);
	handle = open_path(bench, "a");
	assert_int_equal(size_of(handle), 7);
	expect(handle, "durable", 7, 0);
	pool_close(handle);
	pooltest_assert_sound(bench->region);
}

static void a_clean_stop_keeps_everything(void **state)
{
	struct bench *bench = *state;
	struct pool_handle *handle;
	struct pools_info info;

	pool_unref(make(bench, "a", S_IFREG | 0644, 0), 1);
	handle = open_path(bench, "a");
	put(handle, "never synced", 5000);
	pool_close(handle);
	assert_int_equal(pools_close(bench->pools, NULL), 0);
	bench->pools = open_pools(bench->region);
	handle = open_path(bench, "a");
	assert_int_equal(size_of(handle), 5012);
	expect(handle, "never synced", 12, 5000);
	pool_close(handle);
	pools_info(bench->pools, &info);
	assert_int_equal(info.dirty_shutdowns, 0);
	assert_int_equal(info.generation, 2);
}

static void power_failure(struct bench *bench, enum chooser_policy policy, uint64_t seed)
{
	const struct chooser chooser = { .policy = policy, .seed = seed };
	const struct pools_outage outage = { .mappers_are_gone = false };

	pools_stop(bench->pools);
	assert_int_equal(pools_decide(bench->pools, &chooser, &outage), 0);
	pools_resume(bench->pools);
}

/* How many of 64 seeds keep a part of a page that was stored to through a mapping and written back. */
static unsigned torn_pages(struct bench *bench, const char *name, enum pool_mode mode)
{
	const struct pool_attributes attributes = { .pool_mode = mode };
	static char old[PAGE_BYTES], new[PAGE_BYTES];
	unsigned torn = 0, kept = 0;

	memset(old, 'o', sizeof(old));
	memset(new, 'n', sizeof(new));
	pool_unref(make(bench, name, S_IFREG | 0644, 0), 1);
	for (uint64_t seed = 0; seed < 64; seed++) {
		struct pool_handle *handle = open_path(bench, name);
		unsigned changed = 0;

		assert_int_equal(pool_set_attributes(pool_of(handle), POOL_SET_POOL_MODE, &attributes), 0);
		assert_int_equal(pool_write(handle, old, PAGE_BYTES, 0, POOL_WRITE_FILE), PAGE_BYTES);
		assert_int_equal(pool_sync(handle, false), 0);
		assert_int_equal(pool_write(handle, new, PAGE_BYTES, 0, POOL_WRITE_MAPPED), PAGE_BYTES);
		pool_close(handle);
		power_failure(bench, CHOOSER_RANDOM, seed);
		handle = open_path(bench, name);
		assert_int_equal(pool_read(handle, new, PAGE_BYTES, 0), PAGE_BYTES);
		for (unsigned i = 0; i < PAGE_BYTES; i++)
			changed += new[i] == 'n';
		memset(new, 'n', sizeof(new));
		torn += changed > 0 && changed < PAGE_BYTES;
		kept += changed == PAGE_BYTES;
		pool_close(handle);
	}
	assert_true(mode != POOL_MODE_SECTOR_4096 || (kept > 16 && kept < 48));
	return torn;
}

static void a_mapped_page_that_is_written_back_tears_as_its_mode_says(void **state)
{
	assert_int_equal(torn_pages(*state, "sectors", POOL_MODE_SECTOR_4096), 0);
	/* The negative control, and smaller sectors. */
	assert_true(torn_pages(*state, "lines", POOL_MODE_FSDAX) > 60);
	assert_true(torn_pages(*state, "small", POOL_MODE_SECTOR_512) > 50);
}

static void a_handle_of_an_older_generation_fails(void **state)
{
	struct bench *bench = *state;
	struct pool_handle *handle;
	char byte;

	pool_unref(make(bench, "a", S_IFREG | 0644, 0), 1);
	handle = open_path(bench, "a");
	put(handle, "x", 0);
	power_failure(bench, CHOOSER_LOSE, 0);
	assert_int_equal(pool_read(handle, &byte, 1, 0), -EIO);
	assert_int_equal(pool_write(handle, "y", 1, 0, POOL_WRITE_FILE), -EIO);
	assert_int_equal(pool_sync(handle, false), -EIO);
	pool_close(handle);
	handle = open_path(bench, "a");
	assert_int_equal(size_of(handle), 0);
	pool_close(handle);
}

static void the_policies_lose_all_keep_all_or_mix_by_the_seed(void **state)
{
	struct bench *bench = *state;
	unsigned char block[64 * 64], back[64 * 64];
	uint64_t kept[2] = { 0, 0 };

	pool_unref(make(bench, "a", S_IFREG | 0644, sizeof(block)), 1);
	for (int policy = CHOOSER_LOSE; policy <= CHOOSER_RANDOM; policy++) {
		for (int round = 0; round < 2; round++) {
			struct pool_handle *handle = open_path(bench, "a");
			uint64_t new_lines = 0;

			memset(block, 0x11, sizeof(block));
			assert_int_equal(pool_write(handle, block, sizeof(block), 0, POOL_WRITE_FILE),
					 sizeof(block));
			assert_int_equal(pool_sync(handle, false), 0);
			memset(block, 0x22, sizeof(block));
			assert_int_equal(pool_write(handle, block, sizeof(block), 0, POOL_WRITE_FILE),
					 sizeof(block));
			power_failure(bench, policy, 42);
			pool_close(handle);
			handle = open_path(bench, "a");
			assert_int_equal(pool_read(handle, back, sizeof(back), 0), sizeof(back));
			for (unsigned line = 0; line < 64; line++) {
				assert_memory_equal(back + line * 64,
						    back[line * 64] == 0x22 ?
							    block :
							    (memset(block, 0x11, 64), block),
						    64);
				memset(block, 0x22, 64);
				new_lines += back[line * 64] == 0x22;
			}
			if (policy == CHOOSER_LOSE)
				assert_int_equal(new_lines, 0);
			else if (policy == CHOOSER_KEEP)
				assert_int_equal(new_lines, 64);
			else
				kept[round] = new_lines;
			pool_close(handle);
		}
	}
	assert_true(kept[0] > 10 && kept[0] < 54);
	assert_int_equal(kept[0], kept[1]);
}

static void holes_read_as_zero_and_take_no_space(void **state)
{
	struct bench *bench = *state;
	struct pool_handle *handle;
	struct pool_attributes attributes;

	pool_unref(make(bench, "a", S_IFREG | 0644, 0), 1);
	handle = open_path(bench, "a");
	put(handle, "end", (1u << 30) - 3);
	assert_int_equal(pool_sync(handle, false), 0);
	assert_int_equal(pool_get_attributes(pool_of(handle), &attributes), 0);
	assert_int_equal(attributes.size, 1u << 30);
	assert_int_equal(attributes.allocated, 4096);
	expect(handle, "\0\0\0\0\0\0\0\0", 8, 12345);
	assert_int_equal(pool_seek(handle, 0, SEEK_DATA), (1u << 30) - 4096);
	assert_int_equal(pool_seek(handle, 0, SEEK_HOLE), 0);
	pool_close(handle);
	pooltest_assert_sound(bench->region);
}

static void bytes_that_were_cut_off_do_not_reappear(void **state)
{
	struct bench *bench = *state;
	struct pool_handle *handle;

	pool_unref(make(bench, "a", S_IFREG | 0644, 0), 1);
	handle = open_path(bench, "a");
	put(handle, "0123456789", 0);
	assert_int_equal(pool_sync(handle, false), 0);
	assert_int_equal(pool_truncate(pool_of(handle), handle, 3), 0);
	assert_int_equal(pool_truncate(pool_of(handle), handle, 10), 0);
	expect(handle, "012\0\0\0\0\0\0\0", 10, 0);
	pool_close(handle);
	restart(bench);
	handle = open_path(bench, "a");
	expect(handle, "012\0\0\0\0\0\0\0", 10, 0);
	assert_int_equal(pool_truncate(pool_of(handle), handle, 3), 0);
	pool_close(handle);
	restart(bench);
	handle = open_path(bench, "a");
	put(handle, "z", 8);
	assert_int_equal(pool_sync(handle, false), 0);
	pool_close(handle);
	restart(bench);
	handle = open_path(bench, "a");
	expect(handle, "012\0\0\0\0\0z", 9, 0);
	pool_close(handle);
	pooltest_assert_sound(bench->region);
}

/* A sync that a kill interrupts before its commit leaves bytes behind the end, which must never be read. */
static void bytes_behind_the_end_are_zeroed_after_a_crash(void **state)
{
	struct bench *bench = *state;
	struct pool_handle *handle;
	uint64_t at = 0;

	pool_unref(make(bench, "a", S_IFREG | 0644, 0), 1);
	handle = open_path(bench, "a");
	put(handle, "the end of this file", 0);
	assert_int_equal(pool_sync(handle, false), 0);
	pool_close(handle);
	while (media_compare(bench->region, at, "the end of this file", 20) == 1)
		at += 4096;
	mediatest_write(bench->region, at + 20, "bytes of a cut sync", 19);
	restart(bench);
	assert_int_equal(mediatest_byte(bench->region, at + 20), 0);
	handle = open_path(bench, "a");
	assert_int_equal(size_of(handle), 20);
	pool_close(handle);
}

/* The region is full, and the file ends at `end`. */
static void writes_what_fits(struct pool_handle *handle, uint64_t end)
{
	const uint64_t fits = 5 * PAGE_BYTES, from = end - fits;
	static char bytes[16 * PAGE_BYTES], got[PAGE_BYTES];

	memset(bytes, 'w', sizeof(bytes));
	assert_int_equal(pool_truncate(pool_of(handle), handle, from), 0);
	assert_int_equal(pool_write(handle, bytes, sizeof(bytes), from, POOL_WRITE_WHOLE), -ENOSPC);
	assert_int_equal(size_of(handle), from);
	assert_int_equal(pool_write(handle, bytes, sizeof(bytes), from + 1, POOL_WRITE_FILE), fits - 1);
	assert_int_equal(size_of(handle), end);
	assert_int_equal(pool_read(handle, got, PAGE_BYTES, end - PAGE_BYTES), PAGE_BYTES);
	assert_memory_equal(got, bytes, PAGE_BYTES);
	assert_int_equal(pool_write(handle, bytes, sizeof(bytes), end, POOL_WRITE_FILE), -ENOSPC);
	assert_int_equal(pool_write(handle, bytes, 1, end, POOL_WRITE_FILE), -ENOSPC);
	/* Pages that are there already need no space. */
	assert_int_equal(pool_write(handle, bytes, sizeof(bytes), end - 3, POOL_WRITE_FILE), 3);
	assert_int_equal(pool_sync(handle, false), 0);
}

static void a_full_region_refuses_writes_and_stays_consistent(void **state)
{
	struct bench *bench = *state;
	struct pool_new big = { .mode = S_IFREG | 0600, .size = 64u << 20 };
	struct pool *root = pool_root(bench->pools), *pool = NULL;
	struct pools_info before, after;
	struct pool_handle *handle;
	char page[4096];
	uint64_t offset = 0;
	ssize_t done;

	pools_info(bench->pools, &before);
	assert_int_equal(pool_create(root, "big", &big, &pool), -ENOSPC);
	pools_info(bench->pools, &after);
	assert_int_equal(before.free, after.free);
	assert_int_equal(pool_lookup(root, "big", &pool), -ENOENT);
	pool_unref(make(bench, "fill", S_IFREG | 0600, 0), 1);
	handle = open_path(bench, "fill");
	memset(page, 'f', sizeof(page));
	while ((done = pool_write(handle, page, sizeof(page), offset, POOL_WRITE_FILE)) > 0)
		offset += (uint64_t)done;
	assert_int_equal(done, -ENOSPC);
	assert_int_equal(offset, before.free);
	/* A write reserves the space that a later sync needs. */
	assert_int_equal(pool_sync(handle, false), 0);
	writes_what_fits(handle, offset);
	pool_close(handle);
	pooltest_assert_sound(bench->region);
	assert_int_equal(pool_unlink(root, "fill"), 0);
	pools_info(bench->pools, &after);
	assert_int_equal(before.free, after.free);
	pool_unref(root, 1);
	pooltest_assert_sound(bench->region);
}

static void names_are_linked_renamed_and_removed(void **state)
{
	struct bench *bench = *state;
	struct pool *root = pool_root(bench->pools), *found = NULL;
	struct pool *a = make(bench, "a", S_IFREG | 0644, 0), *b = make(bench, "b", S_IFREG | 0644, 0);
	struct pool *dir = make(bench, "dir", S_IFDIR | 0755, 0);
	char path[64];

	assert_int_equal(pool_link(a, dir, "a2"), 0);
	assert_int_equal(pool_rename(root, "a", root, "b", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(pool_rename(root, "a", root, "b", RENAME_EXCHANGE), 0);
	assert_int_equal(pool_lookup(root, "b", &found), 0);
	assert_ptr_equal(found, a);
	pool_unref(found, 1);
	assert_int_equal(pool_rename(root, "b", dir, "c", 0), 0);
	assert_int_equal(pool_rename(root, "a", dir, "c", 0), 0);
	assert_int_equal(pool_rename(root, "dir", dir, "d", 0), -EINVAL);
	assert_int_equal(pool_rmdir(root, "dir"), -ENOTEMPTY);
	assert_int_equal(pool_path(b, path, sizeof(path)), 0);
	assert_string_equal(path, "/dir/c");
	assert_int_equal(pool_path(a, path, sizeof(path)), 0);
	assert_string_equal(path, "/dir/a2");
	pool_unref(a, 1);
	pool_unref(b, 1);
	pool_unref(dir, 1);
	pool_unref(root, 1);
	restart(bench);
	assert_int_equal(pool_lookup_path(bench->pools, "/dir/c", &found), 0);
	pool_unref(found, 1);
	assert_int_equal(pool_lookup_path(bench->pools, "/b", &found), -ENOENT);
	pooltest_assert_sound(bench->region);
}

static void punched_and_zeroed_ranges_read_as_zero(void **state)
{
	struct bench *bench = *state;
	struct pool_handle *handle;
	unsigned char *data = malloc(1u << 20), *back = malloc(1u << 20);

	memset(data, 0xaa, 1u << 20);
	pool_unref(make(bench, "a", S_IFREG | 0644, 0), 1);
	handle = open_path(bench, "a");
	assert_int_equal(pool_write(handle, data, 1u << 20, 0, POOL_WRITE_FILE), 1u << 20);
	assert_int_equal(pool_sync(handle, false), 0);
	assert_int_equal(pool_fallocate(handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 50000), 0);
	memset(data + 1000, 0, 50000);
	assert_int_equal(pool_fallocate(handle, FALLOC_FL_ZERO_RANGE, 100000, 70000), 0);
	memset(data + 100000, 0, 70000);
	assert_int_equal(pool_read(handle, back, 1u << 20, 0), 1u << 20);
	assert_memory_equal(data, back, 1u << 20);
	assert_int_equal(pool_write(handle, "in the middle of zeros", 22, 120000, POOL_WRITE_FILE), 22);
	memcpy(data + 120000, "in the middle of zeros", 22);
	assert_int_equal(pool_sync(handle, false), 0);
	pool_close(handle);
	restart(bench);
	handle = open_path(bench, "a");
	assert_int_equal(pool_read(handle, back, 1u << 20, 0), 1u << 20);
	assert_memory_equal(data, back, 1u << 20);
	pool_close(handle);
	free(data);
	free(back);
	pooltest_assert_sound(bench->region);
}

static void a_directory_holds_many_names(void **state)
{
	struct bench *bench = *state;
	struct pool *root = pool_root(bench->pools);
	struct pool_new attributes = { .mode = S_IFREG | 0600 };
	struct pools_info info;

	for (int i = 0; i < 5000; i++) {
		struct pool *pool;
		char name[32];

		snprintf(name, sizeof(name), "pool-%d", i);
		assert_int_equal(pool_create(root, name, &attributes, &pool), 0);
		pool_unref(pool, 1);
	}
	pool_unref(root, 1);
	restart(bench);
	pools_info(bench->pools, &info);
	assert_int_equal(info.pools, 5000);
	pooltest_assert_sound(bench->region);
}

/*
 * Each pool with volatile bytes takes a descriptor. When there are too many, closed pools are synced and
 * their descriptors closed.
 */
static void more_pools_can_be_dirty_than_there_are_descriptors(void **state)
{
	struct bench *bench = *state;
	struct rlimit before, few;
	struct pool_handle *handle;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){ .rlim_cur = 200, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	restart(bench);
	for (int i = 0; i < 1000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "dirty-%d", i);
		pool_unref(make(bench, name, S_IFREG | 0644, 0), 1);
		handle = open_path(bench, name);
		put(handle, name, 0);
		/* A view that is made without a write counts as well. */
		assert_int_equal(pool_truncate(pool_of(handle), handle, 5000), 0);
		pool_close(handle);
	}
	handle = open_path(bench, "dirty-0");
	expect(handle, "dirty-0", 7, 0);
	pool_close(handle);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	pooltest_assert_sound(bench->region);
}

static struct pool_attributes attributes_of(struct pool *pool)
{
	struct pool_attributes attributes;

	assert_int_equal(pool_get_attributes(pool, &attributes), 0);
	return attributes;
}

static void a_file_created_in_a_set_group_id_directory_gets_its_group(void **state)
{
	const struct pool_new file = { .mode = S_IFREG | 0644, .uid = 1, .gid = 2 };
	const struct pool_new directory = { .mode = S_IFDIR | 0755, .uid = 1, .gid = 2 };
	struct bench *bench = *state;
	struct pool *plain = make(bench, "plain", S_IFDIR | 0755, 0);
	struct pool *shared = make(bench, "shared", S_IFDIR | S_ISGID | 0775, 0);
	struct pool *made;

	assert_int_equal(pool_create(shared, "file", &file, &made), 0);
	assert_int_equal(attributes_of(made).gid, 8);
	assert_int_equal(attributes_of(made).mode, S_IFREG | 0644);
	pool_unref(made, 1);
	assert_int_equal(pool_symlink(shared, "link", "file", 1, 2, &made), 0);
	assert_int_equal(attributes_of(made).gid, 8);
	pool_unref(made, 1);
	assert_int_equal(pool_create(shared, "directory", &directory, &made), 0);
	assert_int_equal(attributes_of(made).gid, 8);
	assert_int_equal(attributes_of(made).mode, S_IFDIR | S_ISGID | 0755);
	pool_unref(made, 1);
	/* Negative control: a directory without the bit. */
	assert_int_equal(pool_create(plain, "directory", &directory, &made), 0);
	assert_int_equal(attributes_of(made).gid, 2);
	assert_int_equal(attributes_of(made).mode, S_IFDIR | 0755);
	pool_unref(made, 1);
	pool_unref(plain, 1);
	pool_unref(shared, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(synced_bytes_survive_and_others_do_not, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clean_stop_keeps_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(a_mapped_page_that_is_written_back_tears_as_its_mode_says,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_handle_of_an_older_generation_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_policies_lose_all_keep_all_or_mix_by_the_seed, setup, teardown),
		cmocka_unit_test_setup_teardown(holes_read_as_zero_and_take_no_space, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes_that_were_cut_off_do_not_reappear, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes_behind_the_end_are_zeroed_after_a_crash, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			a_full_region_refuses_writes_and_stays_consistent, setup_small, teardown),
		cmocka_unit_test_setup_teardown(names_are_linked_renamed_and_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(punched_and_zeroed_ranges_read_as_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(
			more_pools_can_be_dirty_than_there_are_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(a_directory_holds_many_names, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_file_created_in_a_set_group_id_directory_gets_its_group, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
