/* SPDX-License-Identifier: BSD-3-Clause */

/* What the client's flushes, fences and stores put into the thread's WPQ. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <libpmem.h>

#include "clienttest.h"

#define PAGES 4u

static int open_adr(void **state)
{
	*state = clienttest_open(PAGES, PERSISTENCE_MEMORY_CONTROLLER);
	return 0;
}

static int open_eadr(void **state)
{
	*state = clienttest_open(PAGES, PERSISTENCE_CPU_CACHE);
	return 0;
}

static int close_pool(void **state)
{
	clienttest_close(*state, PAGES);
	return 0;
}

static void test_persist_publishes_the_line(void **state)
{
	unsigned char *pool = *state;

	pool[200] = 7;
	pmem_persist(pool + 200, 1);
	assert_int_equal(clienttest_published(), 2 * LINE_SIZE);
	assert_int_equal(clienttest_record(0)->offset, 192);
	assert_int_equal(clienttest_record(0)->lines, 1);
	assert_int_equal(((const unsigned char *)(clienttest_record(0) + 1))[8], 7);
}

/*
 * Memory of another persistent device, mapped with MAP_SYNC by pmem_map_file(): the kernel of a machine with
 * DAX accepts that, so the table knows the range without its being a pool. Its offset and its numbers are 0,
 * as those of the pool's range are.
 */
static void enter_foreign(unsigned char *memory, size_t length)
{
	const struct range range = { .start = (uintptr_t)memory,
				     .end = (uintptr_t)memory + length,
				     .flags = RANGE_REGISTERED };
	uint64_t signals = ranges_lock();

	assert_int_equal(ranges_insert(&range), 0);
	ranges_unlock(signals);
}

static void test_memory_of_another_device_reaches_no_wpq(void **state)
{
	unsigned char *pool = *state;
	unsigned char *foreign =
		mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(foreign, MAP_FAILED);
	enter_foreign(foreign, PAGE_BYTES);
	for (int i = 0; i < 3; i++)
		pmem_persist(foreign, 1);
	pmem_memcpy_persist(foreign, pool, PAGE_BYTES);
	pmem_memset_persist(foreign, 1, PAGE_BYTES);
	assert_int_equal(pmem_msync(foreign, PAGE_BYTES), 0);
	assert_int_equal(clienttest_published() + clienttest_pending(), 0);
	pmem_persist(pool, 1);
	assert_int_equal(clienttest_published(), 2 * LINE_SIZE);
	munmap(foreign, PAGE_BYTES);
}

/* eADR: what is appended and not published takes back a store, if power fails now. */
static void assert_undoable(const unsigned char *pool, uint64_t lines)
{
	assert_int_equal(clienttest_pending(), lines * 3 * LINE_SIZE);
	assert_int_equal(clienttest_published(), 0);
	for (uint64_t i = 0; i < lines; i++) {
		const struct wpq_record *record = clienttest_record(i * 3 * LINE_SIZE);

		assert_int_equal(record->kind, WPQ_UNDO);
		assert_int_equal(record->lines, 2);
		assert_memory_equal(record + 2, pool + record->offset, LINE_SIZE);
	}
	pmem_drain();
	assert_int_equal(clienttest_pending(), 0);
	assert_int_equal(clienttest_published(), lines * 3 * LINE_SIZE);
}

static void test_eadr_large_memset_can_be_undone_until_the_fence(void **state)
{
	unsigned char *pool = *state;

	pmem_memset_nodrain(pool + 32, 5, 1024);
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(pool[32 + i], 5);
	assert_int_equal(pool[31] | pool[32 + 1024], 0);
	assert_undoable(pool, 17);
}

static void test_eadr_large_memcpy_can_be_undone_until_the_fence(void **state)
{
	unsigned char *pool = *state, source[512];

	memset(source, 9, sizeof(source));
	pmem_memcpy_nodrain(pool, source, sizeof(source));
	assert_memory_equal(pool, source, sizeof(source));
	assert_undoable(pool, 8);
}

static void test_eadr_overlapping_memmove_can_be_undone_until_the_fence(void **state)
{
	unsigned char *pool = *state, expected[2048];
	const int distances[] = { 1, 100, 1024, -1, -100, -1024 };

	for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
		const uint64_t before = clienttest_published();

		for (unsigned at = 0; at < 4096; at++)
			pool[at] = (unsigned char)(at * 7 >> 3);
		memcpy(expected, pool + 1024 + distances[i], sizeof(expected));
		pmem_memmove_nodrain(pool + 1024, pool + 1024 + distances[i], sizeof(expected));
		assert_memory_equal(pool + 1024, expected, sizeof(expected));
		assert_int_equal(clienttest_published(), before);
		assert_int_equal(clienttest_pending(), 32 * 3 * LINE_SIZE);
		pmem_drain();
	}
}

static void test_eadr_cached_stores_need_no_record(void **state)
{
	unsigned char *pool = *state;

	pmem_memset(pool, 5, 1024, PMEM_F_MEM_NODRAIN | PMEM_F_MEM_TEMPORAL);
	pmem_memset(pool, 5, 1024, PMEM_F_MEM_NOFLUSH);
	pmem_memset_nodrain(pool, 5, 64);
	pmem_memset_persist(pool, 5, 1024);
	pmem_persist(pool, 1024);
	assert_int_equal(clienttest_published() + clienttest_pending(), 0);
}

#define adr(test) cmocka_unit_test_setup_teardown(test, open_adr, close_pool)
#define eadr(test) cmocka_unit_test_setup_teardown(test, open_eadr, close_pool)

int main(void)
{
	const struct CMUnitTest tests[] = {
		adr(test_persist_publishes_the_line),
		adr(test_memory_of_another_device_reaches_no_wpq),
		eadr(test_eadr_large_memset_can_be_undone_until_the_fence),
		eadr(test_eadr_large_memcpy_can_be_undone_until_the_fence),
		eadr(test_eadr_overlapping_memmove_can_be_undone_until_the_fence),
		eadr(test_eadr_cached_stores_need_no_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
