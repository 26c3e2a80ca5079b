/* SPDX-License-Identifier: BSD-3-Clause */

/* The client's table of mapped pools, against an array that knows each page. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "client/queues.h"
#include "client/ranges.h"
#include "common/rng.h"

#define PAGES 64u
#define BASE ((uintptr_t)1 << 32)

struct page {
	uint64_t offset;
	uint32_t view;
	uint16_t flags;
	intptr_t alias;
};
static struct page pages[PAGES];

static uintptr_t address_of(unsigned page)
{
	return BASE + page * (uintptr_t)PAGE_BYTES;
}

static void insert(unsigned first, unsigned count, struct page page)
{
	const struct range range = { .start = address_of(first),
				     .end = address_of(first + count),
				     .offset = page.offset,
				     .view = page.view,
				     .region = 3,
				     .flags = page.flags,
				     .alias = page.alias };
	uint64_t signals = ranges_lock();

	assert_int_equal(ranges_insert(&range), 0);
	ranges_unlock(signals);
	for (unsigned i = 0; i < count; i++) {
		pages[first + i] = page;
		pages[first + i].offset += i * (uint64_t)PAGE_BYTES;
	}
}

static void erase(unsigned first, unsigned count)
{
	uint64_t signals = ranges_lock();

	ranges_erase(address_of(first), address_of(first + count));
	ranges_unlock(signals);
	memset(&pages[first], 0, count * sizeof(pages[0]));
}

static void mark(unsigned first, unsigned count)
{
	uint64_t signals = ranges_lock();

	ranges_mark(address_of(first), address_of(first + count), RANGE_REGISTERED, 0);
	ranges_unlock(signals);
	for (unsigned i = first; i < first + count; i++)
		if (pages[i].flags)
			pages[i].flags |= RANGE_REGISTERED;
}

static void assert_found(unsigned page, uintptr_t within)
{
	const struct range found = ranges_find(address_of(page) + within);

	assert_int_equal(found.flags, pages[page].flags);
	assert_int_equal(found.start, address_of(page) + within);
	assert_true(found.end >= address_of(page + 1));
	if (!found.flags)
		return;
	assert_int_equal(found.view, pages[page].view);
	assert_int_equal(found.offset, pages[page].offset + within);
	assert_int_equal(found.alias, pages[page].alias);
	assert_int_equal(found.region, found.flags & RANGE_POOL ? 3 : RANGE_NO_REGION);
}

static int clear(void **state)
{
	(void)state;
	erase(0, PAGES);
	return 0;
}

static void test_the_table_equals_an_array_of_pages(void **state)
{
	struct rng rng = { .state = 7 };

	(void)state;
	for (unsigned step = 0; step < 20000; step++) {
		unsigned first = (unsigned)rng_below(&rng, PAGES);
		unsigned count = 1 + (unsigned)rng_below(&rng, min_u64(8, PAGES - first));
		const struct page page = { .offset = rng_below(&rng, 4) * PAGE_BYTES,
					   .view = (uint32_t)rng_below(&rng, 2),
					   .flags = rng_below(&rng, 4) ? RANGE_POOL : RANGE_REGISTERED,
					   .alias = (intptr_t)rng_below(&rng, 2) * PAGE_BYTES };

		switch (rng_below(&rng, 4)) {
		case 0:
			erase(first, count);
			break;
		case 1:
			mark(first, count);
			break;
		default:
			insert(first, count, page);
		}
		for (unsigned i = 0; i < PAGES; i++)
			assert_found(i, rng_below(&rng, PAGE_BYTES));
	}
}

static void test_ranges_that_continue_each_other_are_one(void **state)
{
	(void)state;
	insert(0, 2, (struct page){ .flags = RANGE_POOL });
	insert(2, 2, (struct page){ .flags = RANGE_POOL, .offset = 2 * PAGE_BYTES });
	assert_int_equal(ranges_find(BASE).end, address_of(4));
	insert(4, 1, (struct page){ .flags = RANGE_POOL, .offset = 9 * PAGE_BYTES });
	assert_int_equal(ranges_find(BASE).end, address_of(4));
}

static void test_ranges_with_different_aliases_stay_apart(void **state)
{
	(void)state;
	insert(0, 2, (struct page){ .flags = RANGE_POOL, .alias = PAGE_BYTES });
	insert(2, 2, (struct page){ .flags = RANGE_POOL, .offset = 2 * PAGE_BYTES });
	assert_int_equal(ranges_find(BASE).end, address_of(2));
	assert_int_equal(ranges_find(BASE).alias, PAGE_BYTES);
	assert_int_equal(ranges_find(address_of(2)).alias, 0);
}

#define cleared(test) cmocka_unit_test_setup(test, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cleared(test_the_table_equals_an_array_of_pages),
		cleared(test_ranges_that_continue_each_other_are_one),
		cleared(test_ranges_with_different_aliases_stay_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
