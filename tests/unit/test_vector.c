/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/vector.h"

struct pair {
	uint64_t a, b;
};

struct pairs {
	VECTOR_FIELDS(struct pair);
};

static void an_all_zero_vector_is_empty(void **state)
{
	VECTOR(int) numbers = { 0 };

	assert_int_equal(numbers.count, 0);
	assert_null(numbers.items);
	vector_free(&numbers);
	assert_null(numbers.items);
}

static void appended_items_keep_their_order_and_values(void **state)
{
	CLEANUP_VECTOR struct pairs pairs = { 0 };

	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(vector_append(&pairs, (struct pair){ .a = i, .b = ~i }), 0);
	assert_int_equal(pairs.count, 1000);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(pairs.items[i].a, i);
		assert_int_equal(pairs.items[i].b, ~i);
	}
}

static void appended_copies_keep_their_order_and_values(void **state)
{
	static const struct pair some[] = { { 1, 2 }, { 3, 4 }, { 5, 6 } };
	CLEANUP_VECTOR struct pairs pairs = { 0 };

	assert_int_equal(vector_append_all(&pairs, some, 0), 0);
	assert_null(pairs.items);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(vector_append_all(&pairs, some, 3), 0);
	assert_int_equal(pairs.count, 300);
	for (size_t i = 0; i < pairs.count; i++)
		assert_memory_equal(&pairs.items[i], &some[i % 3], sizeof(some[0]));
}

static void appending_allocates_memory_a_logarithmic_number_of_times(void **state)
{
	CLEANUP_VECTOR VECTOR(uint8_t) bytes = { 0 };
	unsigned grown = 0;

	for (unsigned i = 0; i < 1u << 16; i++) {
		size_t room = bytes.room;

		assert_int_equal(vector_append(&bytes, (uint8_t)i), 0);
		grown += bytes.room != room;
	}
	assert_in_range(grown, 1, 16);
}

static void a_zero_item_is_zero_where_another_item_was_before(void **state)
{
	CLEANUP_VECTOR struct pairs pairs = { 0 };
	struct pair *item;

	assert_int_equal(vector_append(&pairs, (struct pair){ 1, 2 }), 0);
	pairs.count = 0;
	item = vector_append_zero(&pairs);
	assert_ptr_equal(item, &pairs.items[0]);
	assert_int_equal(item->a, 0);
	assert_int_equal(item->b, 0);
	assert_int_equal(pairs.count, 1);
}

static void items_are_inserted_and_removed_at_any_index(void **state)
{
	CLEANUP_VECTOR VECTOR(int) numbers = { 0 };
	const int inserted[] = { 10, 11, 12, 13 }, left[] = { 11, 13 };

	assert_int_equal(vector_insert(&numbers, 0, 12), 0);
	assert_int_equal(vector_insert(&numbers, 0, 10), 0);
	assert_int_equal(vector_insert(&numbers, 2, 13), 0);
	assert_int_equal(vector_insert(&numbers, 1, 11), 0);
	assert_int_equal(numbers.count, 4);
	assert_memory_equal(numbers.items, inserted, sizeof(inserted));
	vector_remove(&numbers, 2);
	vector_remove(&numbers, 0);
	assert_int_equal(numbers.count, 2);
	assert_memory_equal(numbers.items, left, sizeof(left));
	vector_remove(&numbers, 1);
	vector_remove(&numbers, 0);
	assert_int_equal(numbers.count, 0);
}

static void reserved_room_is_used_without_moving_the_items(void **state)
{
	CLEANUP_VECTOR VECTOR(int) numbers = { 0 };
	const int *items;

	assert_int_equal(vector_reserve(&numbers, 100), 0);
	items = numbers.items;
	for (int i = 0; i < 100; i++)
		assert_int_equal(vector_append(&numbers, i), 0);
	assert_ptr_equal(numbers.items, items);
	assert_int_equal(vector_reserve(&numbers, 0), 0);
	assert_ptr_equal(numbers.items, items);
}

static void a_size_that_overflows_is_enomem_and_changes_nothing(void **state)
{
	const size_t too_many[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, SIZE_MAX / sizeof(struct pair) + 1,
				    SIZE_MAX / sizeof(struct pair) };
	CLEANUP_VECTOR struct pairs pairs = { 0 };
	struct pairs before;

	assert_int_equal(vector_append(&pairs, (struct pair){ 7, 8 }), 0);
	before = pairs;
	for (size_t i = 0; i < sizeof(too_many) / sizeof(too_many[0]); i++) {
		assert_int_equal(vector_reserve(&pairs, too_many[i]), -ENOMEM);
		assert_memory_equal(&pairs, &before, sizeof(pairs));
		assert_int_equal(pairs.items[0].a, 7);
		assert_int_equal(pairs.items[0].b, 8);
	}
}

/* The room is an invented number: growing it would overflow, so no item may be stored. */
static void an_append_that_fails_stores_nothing_and_does_not_evaluate_its_value(void **state)
{
	struct pairs full = { .count = SIZE_MAX, .room = SIZE_MAX };
	unsigned evaluated = 0;

	assert_int_equal(vector_append(&full, (struct pair){ .a = ++evaluated }), -ENOMEM);
	assert_null(vector_append_zero(&full));
	assert_int_equal(vector_insert(&full, 0, (struct pair){ .a = ++evaluated }), -ENOMEM);
	assert_int_equal(evaluated, 0);
	assert_null(full.items);
	assert_int_equal(full.count, SIZE_MAX);
}

static void a_freed_vector_may_be_used_again(void **state)
{
	CLEANUP_VECTOR VECTOR(int) numbers = { 0 };

	assert_int_equal(vector_append(&numbers, 1), 0);
	vector_free(&numbers);
	assert_int_equal(numbers.count, 0);
	assert_int_equal(vector_append(&numbers, 2), 0);
	assert_int_equal(numbers.items[0], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_all_zero_vector_is_empty),
		cmocka_unit_test(appended_items_keep_their_order_and_values),
		cmocka_unit_test(appended_copies_keep_their_order_and_values),
		cmocka_unit_test(appending_allocates_memory_a_logarithmic_number_of_times),
		cmocka_unit_test(a_zero_item_is_zero_where_another_item_was_before),
		cmocka_unit_test(items_are_inserted_and_removed_at_any_index),
		cmocka_unit_test(reserved_room_is_used_without_moving_the_items),
		cmocka_unit_test(a_size_that_overflows_is_enomem_and_changes_nothing),
		cmocka_unit_test(an_append_that_fails_stores_nothing_and_does_not_evaluate_its_value),
		cmocka_unit_test(a_freed_vector_may_be_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
