/* SPDX-License-Identifier: BSD-3-Clause */

/* Pages of holes that CPUs have touched: how many there are, and what becomes of too many. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/align.h"
#include "domain/domain.h"
#include "pool/holes.h"
#include "pool/inode.h"
#include "pool/pools.h"
#include "pooltest.h"

/* Larger than the bench's region, of 16 MiB. */
#define PAGES 16384u
#define LENGTH (PAGES * PAGE_BYTES)

static unsigned char *map_pool(struct pool *pool)
{
	struct pool_attachment attachment;
	unsigned char *memory;

	assert_int_equal(pool_truncate(pool, NULL, LENGTH), 0);
	assert_int_equal(pool_attach(pool, &attachment), 0);
	memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, attachment.fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	close(attachment.fd);
	return memory;
}

static unsigned char *map(struct pooltest_bench *bench)
{
	return map_pool(bench->pool);
}

static void store(unsigned char *memory, unsigned page, unsigned pages)
{
	for (unsigned i = page; i < page + pages; i++)
		memory[i * PAGE_BYTES + 5] = 'Q';
}

static void read_pages(const unsigned char *memory, unsigned page, unsigned pages)
{
	for (unsigned i = page; i < page + pages; i++)
		assert_int_equal(*(const volatile unsigned char *)(memory + i * PAGE_BYTES), 0);
}

static uint64_t blocks(const struct pooltest_bench *bench)
{
	return bench->pools->space.blocks;
}

static struct pools_holes count(struct pooltest_bench *bench)
{
	struct pools_holes holes;

	pools_count_holes(bench->pools, &holes);
	return holes;
}

static void let_go(const struct pools_holes *holes)
{
	if (holes->over)
		pool_unref(holes->over, 1);
}

static void pages_that_were_stored_to_and_that_were_read_are_counted(void **state)
{
	struct pooltest_bench *bench = *state;
	unsigned char *memory = map(bench);
	struct pools_holes holes = count(bench);

	assert_int_equal(holes.stored + holes.read, 0);
	store(memory, 10, blocks(bench) / 2);
	read_pages(memory, 10000, 100);
	holes = count(bench);
	assert_int_equal(holes.stored, blocks(bench) / 2);
	assert_int_equal(holes.read, 100);
	assert_null(holes.over);
	/* So that the next look comes in time. */
	assert_in_range(holes.left, 1, blocks(bench) / 2);
	munmap(memory, LENGTH);
}

static void little_is_not_worth_a_look(void **state)
{
	struct pooltest_bench *bench = *state;
	unsigned char *memory = map(bench);
	const uint64_t before = count(bench).left;
	struct pools_holes holes;

	store(memory, 0, 10);
	holes = count(bench);
	assert_int_equal(holes.stored, 0);
	assert_int_equal(holes.left, before - 10);
	munmap(memory, LENGTH);
}

static void pages_with_a_block_are_not_counted(void **state)
{
	struct pooltest_bench *bench = *state;
	unsigned char *memory = map(bench);
	const unsigned half = (unsigned)blocks(bench) / 2;

	store(memory, 0, half);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	/* Also those that a write was promised. */
	pooltest_fill(bench, 8000 * PAGE_BYTES, 100 * PAGE_BYTES, 'w');
	store(memory, 12000, half);
	assert_int_equal(count(bench).stored, half);
	munmap(memory, LENGTH);
}

static void more_than_the_region_has_is_too_much_and_its_end_is_taken_back(void **state)
{
	struct pooltest_bench *bench = *state;
	unsigned char *memory = map(bench);
	const unsigned most = (unsigned)blocks(bench), from = 1000;
	struct pools_holes holes;

	store(memory, from, most);
	holes = count(bench);
	assert_null(holes.over);
	store(memory, from + most, 500);
	read_pages(memory, from + most + 500, 100);
	holes = count(bench);
	assert_ptr_equal(holes.over, bench->pool);
	assert_true(holes.over_stored);
	assert_int_equal(holes.keep, most);
	pool_discard_holes(holes.over, holes.keep);
	let_go(&holes);
	assert_int_equal(memory[(from + most - 1) * PAGE_BYTES + 5], 'Q');
	holes = count(bench);
	assert_null(holes.over);
	assert_int_equal(holes.stored, most);
	assert_int_equal(holes.read, 0);
	assert_int_equal(view_memory_pages(bench->pool->view), most);
	read_pages(memory, from + most, 600);
	munmap(memory, LENGTH);
}

static void of_several_pools_the_one_with_most_is_over(void **state)
{
	struct pooltest_bench *bench = *state;
	const unsigned most = (unsigned)blocks(bench);
	unsigned char *memory = map(bench), *other_memory;
	struct pool_handle *other;
	struct pools_holes holes;

	pooltest_make(bench->pools, "/other", S_IFREG | 0644, 0);
	other = pooltest_handle(bench->pools, "/other");
	other_memory = map_pool(pool_of(other));
	store(memory, 0, 1000);
	store(other_memory, 0, most);
	holes = count(bench);
	assert_ptr_equal(holes.over, pool_of(other));
	assert_int_equal(holes.keep, most - 1000);
	pool_discard_holes(holes.over, holes.keep);
	let_go(&holes);
	holes = count(bench);
	assert_null(holes.over);
	assert_int_equal(holes.stored, most);
	assert_int_equal(memory[999 * PAGE_BYTES + 5], 'Q');
	munmap(memory, LENGTH);
	munmap(other_memory, LENGTH);
	pool_close(other);
}

#define OTHERS 4u

/* None of their pools is as large as that of the first user. */
static void of_several_users_the_one_with_most_is_over(void **state)
{
	struct pooltest_bench *bench = *state;
	const unsigned most = (unsigned)blocks(bench);
	const struct pool_attributes other = { .uid = 65534 };
	unsigned char *memory = map(bench), *memories[OTHERS];
	struct pool_handle *others[OTHERS];
	struct pools_holes holes;
	char path[16];

	store(memory, 0, most / 3);
	for (unsigned i = 0; i < OTHERS; i++) {
		snprintf(path, sizeof(path), "/other%u", i);
		pooltest_make(bench->pools, path, S_IFREG | 0644, 0);
		others[i] = pooltest_handle(bench->pools, path);
		assert_int_equal(pool_set_attributes(pool_of(others[i]), POOL_SET_UID, &other), 0);
		memories[i] = map_pool(pool_of(others[i]));
		store(memories[i], 0, most / 5 + i);
	}
	holes = count(bench);
	assert_ptr_equal(holes.over, pool_of(others[OTHERS - 1]));
	let_go(&holes);
	for (unsigned i = 0; i < OTHERS; i++) {
		munmap(memories[i], LENGTH);
		pool_close(others[i]);
	}
	munmap(memory, LENGTH);
}

static void bytes_of_a_write_are_not_taken_back(void **state)
{
	struct pooltest_bench *bench = *state;
	unsigned char *memory = map(bench);

	pooltest_fill(bench, 100 * PAGE_BYTES, 10 * PAGE_BYTES, 'w');
	store(memory, 90, 10);
	store(memory, 110, 10);
	pool_discard_holes(bench->pool, 5);
	pooltest_expect(bench, 100 * PAGE_BYTES, 10 * PAGE_BYTES, 'w');
	assert_int_equal(memory[94 * PAGE_BYTES + 5], 'Q');
	read_pages(memory, 95, 5);
	read_pages(memory, 110, 10);
	assert_int_equal(pool_sync(bench->handle, false), 0);
	pooltest_assert_sound(bench->region);
	munmap(memory, LENGTH);
}

static void pages_that_were_only_read_may_be_as_many_as_the_machine_has_room_for(void **state)
{
	struct pooltest_bench *bench = *state;
	unsigned char *memory = map(bench);
	const unsigned most = (unsigned)blocks(bench);
	struct pools_holes holes;

	read_pages(memory, 0, most + 500);
	holes = count(bench);
	assert_int_equal(holes.read, most + 500);
	assert_null(holes.over);
	bench->pools->present_max = 0;
	store(memory, most + 1000, 300);
	holes = count(bench);
	assert_ptr_equal(holes.over, bench->pool);
	assert_false(holes.over_stored);
	pool_discard_holes(holes.over, holes.keep);
	let_go(&holes);
	holes = count(bench);
	assert_int_equal(holes.read, 0);
	assert_int_equal(holes.stored, 300);
	munmap(memory, LENGTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(pages_that_were_stored_to_and_that_were_read_are_counted),
		POOLTEST(little_is_not_worth_a_look),
		POOLTEST(pages_with_a_block_are_not_counted),
		POOLTEST(more_than_the_region_has_is_too_much_and_its_end_is_taken_back),
		POOLTEST(of_several_pools_the_one_with_most_is_over),
		POOLTEST(of_several_users_the_one_with_most_is_over),
		POOLTEST(bytes_of_a_write_are_not_taken_back),
		POOLTEST(pages_that_were_only_read_may_be_as_many_as_the_machine_has_room_for),
	};

	return cmocka_run_group_tests_name("pool_holes", tests, NULL, NULL);
}
