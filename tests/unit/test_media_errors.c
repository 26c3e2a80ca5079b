/* SPDX-License-Identifier: BSD-3-Clause */

/* A page of the media that cannot be read or written: whom it concerns, and whom it does not. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "badpage.h"
#include "mediatest.h"
#include "pool/format.h"
#include "pooltest.h"

#define SPEC "memfd:4M"
#define SIZE (4u << 20)
#define PAGE 4096u

struct bench {
	struct region *region;
	struct pools *pools;
};

/* Two files of four pages, each page beginning with a text of its own. */
static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	bench->region = pooltest_region(SPEC);
	bench->pools = pooltest_open(bench->region);
	for (unsigned i = 0; i < 2; i++) {
		const char *path = i ? "/other" : "/file";

		pooltest_make(bench->pools, path, S_IFREG | 0644, 0);
		for (unsigned page = 0; page < 4; page++) {
			char text[] = "file X page X";

			text[5] = path[1];
			text[12] = (char)('0' + page);
			pooltest_put(bench->pools, path, text, page * PAGE, true);
		}
	}
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	if (bench->pools)
		pools_abandon(bench->pools);
	region_close(bench->region);
	free(bench);
	return 0;
}

/* Where in the media the page is that begins with this text. */
static uint64_t find(const struct region *region, const char *text)
{
	for (uint64_t at = 0; at < SIZE; at += PAGE)
		if (media_compare(region, at, text, strlen(text)) == 0)
			return at;
	fail_msg("'%s' is not on the media", text);
	return 0;
}

static void reopen(struct bench *bench)
{
	pools_abandon(bench->pools);
	bench->pools = pooltest_open(bench->region);
}

/* What reading this page of the file gives: its length or an error. */
static ssize_t read_page(struct pools *pools, const char *path, unsigned page, char *text)
{
	struct pool_handle *handle = pooltest_handle(pools, path);
	ssize_t got = pool_read(handle, text, 13, page * PAGE);

	pool_close(handle);
	return got;
}

static void assert_page(struct pools *pools, const char *path, unsigned page, const char *expected)
{
	char text[14] = "";

	assert_int_equal(read_page(pools, path, page, text), 13);
	assert_string_equal(text, expected);
}

static int sync_file(struct pools *pools, const char *path)
{
	struct pool_handle *handle = pooltest_handle(pools, path);
	int error = pool_sync(handle, false);

	pool_close(handle);
	return error;
}

/* ---- Bytes of a file --------------------------------------------------------------------- */

static void reading_a_bad_page_is_eio_and_the_rest_is_read(void **state)
{
	struct bench *bench = *state;
	char text[13];

	reopen(bench);
	badpage_unreadable(bench->region, find(bench->region, "file f page 1"));
	assert_int_equal(read_page(bench->pools, "/file", 1, text), -EIO);
	assert_int_equal(read_page(bench->pools, "/file", 1, text), -EIO);
	assert_page(bench->pools, "/file", 0, "file f page 0");
	assert_page(bench->pools, "/file", 2, "file f page 2");
	assert_page(bench->pools, "/other", 1, "file o page 1");
	assert_false(region_failed(bench->region));
}

static void a_read_for_the_kernel_of_a_page_known_to_be_bad_is_eio(void **state)
{
	struct bench *bench = *state;
	struct pool_handle *handle;
	struct pool_read read;
	char text[13];

	reopen(bench);
	badpage_unreadable(bench->region, find(bench->region, "file f page 1"));
	assert_int_equal(read_page(bench->pools, "/file", 1, text), -EIO);
	handle = pooltest_handle(bench->pools, "/file");
	assert_int_equal(pool_read_begin(handle, 0, 3 * PAGE, &read), -EIO);
	assert_int_equal(pool_read_begin(handle, 2 * PAGE, 13, &read), 0);
	pool_read_end(&read);
	pool_close(handle);
}

static void a_store_to_a_part_of_a_bad_page_is_eio(void **state)
{
	struct bench *bench = *state;
	struct pool_handle *handle;

	reopen(bench);
	badpage_unreadable(bench->region, find(bench->region, "file f page 1"));
	handle = pooltest_handle(bench->pools, "/file");
	assert_int_equal(pool_write(handle, "x", 1, PAGE + 5, POOL_WRITE_FILE), -EIO);
	assert_int_equal(pool_write(handle, "x", 1, 5, POOL_WRITE_FILE), 1);
	pool_close(handle);
}

static void a_sync_to_a_bad_page_is_eio_each_time_and_the_other_pages_are_durable(void **state)
{
	struct bench *bench = *state;
	uint64_t bad = find(bench->region, "file f page 1");

	pooltest_put(bench->pools, "/file", "new", 0, false);
	pooltest_put(bench->pools, "/file", "new", PAGE, false);
	pooltest_put(bench->pools, "/file", "new", 2 * PAGE, false);
	badpage_unreadable(bench->region, bad);
	assert_int_equal(sync_file(bench->pools, "/file"), -EIO);
	assert_int_equal(sync_file(bench->pools, "/file"), -EIO);
	assert_int_equal(sync_file(bench->pools, "/other"), 0);
	reopen(bench);
	assert_page(bench->pools, "/file", 0, "newe f page 0");
	assert_page(bench->pools, "/file", 2, "newe f page 2");
}

static void an_attached_file_syncs_around_a_bad_page(void **state)
{
	struct bench *bench = *state;
	struct pool_attachment attachment;
	struct pool *pool = NULL;
	uint64_t bad = find(bench->region, "file f page 1");

	assert_int_equal(pool_lookup_path(bench->pools, "/file", &pool), 0);
	assert_int_equal(pool_attach(pool, &attachment), 0);
	for (unsigned page = 0; page < 3; page++)
		pooltest_put(bench->pools, "/file", "new", page * PAGE, false);
	badpage_unreadable(bench->region, bad);
	assert_int_equal(sync_file(bench->pools, "/file"), -EIO);
	assert_int_equal(sync_file(bench->pools, "/file"), -EIO);
	pool_unref(pool, 1);
	reopen(bench);
	assert_page(bench->pools, "/file", 0, "newe f page 0");
	assert_page(bench->pools, "/file", 2, "newe f page 2");
}

static void a_file_with_a_bad_page_cannot_be_attached(void **state)
{
	struct bench *bench = *state;
	struct pool_attachment attachment;
	struct pool *pool = NULL;

	reopen(bench);
	badpage_unreadable(bench->region, find(bench->region, "file f page 1"));
	assert_int_equal(pool_lookup_path(bench->pools, "/file", &pool), 0);
	assert_int_equal(pool_attach(pool, &attachment), -EIO);
	pool_unref(pool, 1);
	assert_int_equal(pool_lookup_path(bench->pools, "/other", &pool), 0);
	assert_int_equal(pool_attach(pool, &attachment), 0);
	pool_unref(pool, 1);
}

/* ---- Metadata -------------------------------------------------------------------------------- */

/* Make copy 0, or both copies, of all entries bad; the table has one chunk, of one page a copy or more. */
static void spoil_table(struct bench *bench, unsigned copies)
{
	struct superblock superblock;
	uint64_t half;

	mediatest_read(bench->region, 0, &superblock, sizeof(superblock));
	half = superblock.chunks[0].blocks / 2;
	for (uint64_t block = 0; block < half * copies; block++)
		badpage_unreadable(bench->region, (superblock.chunks[0].block + block) * BLOCK_BYTES);
}

static void with_one_bad_copy_every_operation_succeeds(void **state)
{
	struct bench *bench = *state;
	struct pool *root = pool_root(bench->pools);

	spoil_table(bench, 1);
	pooltest_make(bench->pools, "/new", S_IFREG | 0644, 0);
	assert_int_equal(pool_rename(root, "new", root, "newer", 0), 0);
	assert_int_equal(pool_unlink(root, "other"), 0);
	pooltest_put(bench->pools, "/newer", "file n page 0", 0, true);
	pool_unref(root, 1);
	reopen(bench);
	assert_page(bench->pools, "/newer", 0, "file n page 0");
	assert_page(bench->pools, "/file", 3, "file f page 3");
	assert_int_equal(pool_lookup_path(bench->pools, "/other", &root), -ENOENT);
}

static void with_both_copies_bad_an_operation_is_eio_and_changes_no_name(void **state)
{
	const struct pool_new attributes = { .mode = S_IFREG | 0644 };
	struct bench *bench = *state;
	struct pool *root = pool_root(bench->pools), *pool = NULL;

	spoil_table(bench, 2);
	assert_int_equal(pool_create(root, "new", &attributes, &pool), -EIO);
	assert_int_equal(pool_lookup_path(bench->pools, "/new", &pool), -ENOENT);
	assert_int_equal(pool_rename(root, "file", root, "moved", 0), -EIO);
	assert_int_equal(pool_rename(root, "file", root, "other", RENAME_EXCHANGE), -EIO);
	assert_int_equal(pool_lookup_path(bench->pools, "/moved", &pool), -ENOENT);
	assert_int_equal(pool_unlink(root, "other"), -EIO);
	assert_page(bench->pools, "/file", 0, "file f page 0");
	assert_page(bench->pools, "/other", 0, "file o page 0");
	assert_false(region_failed(bench->region));
	pool_unref(root, 1);
}

static void with_one_bad_superblock_the_region_is_closed_and_opened(void **state)
{
	struct bench *bench = *state;

	badpage_unreadable(bench->region, 0);
	assert_int_equal(pools_close(bench->pools, NULL), 0);
	bench->pools = pooltest_open(bench->region);
	assert_page(bench->pools, "/file", 3, "file f page 3");
}

static void with_both_superblocks_bad_closing_says_so(void **state)
{
	struct message message = { "" };
	struct bench *bench = *state;

	badpage_unreadable(bench->region, 0);
	badpage_unreadable(bench->region, SIZE - PAGE);
	assert_int_equal(pools_close(bench->pools, &message), -EIO);
	assert_non_null(strstr(message.text, "superblock"));
	bench->pools = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(reading_a_bad_page_is_eio_and_the_rest_is_read),
		TEST(a_read_for_the_kernel_of_a_page_known_to_be_bad_is_eio),
		TEST(a_store_to_a_part_of_a_bad_page_is_eio),
		TEST(a_sync_to_a_bad_page_is_eio_each_time_and_the_other_pages_are_durable),
		TEST(an_attached_file_syncs_around_a_bad_page),
		TEST(a_file_with_a_bad_page_cannot_be_attached),
		TEST(with_one_bad_copy_every_operation_succeeds),
		TEST(with_both_copies_bad_an_operation_is_eio_and_changes_no_name),
		TEST(with_one_bad_superblock_the_region_is_closed_and_opened),
		TEST(with_both_superblocks_bad_closing_says_so),
	};

	badpage_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
