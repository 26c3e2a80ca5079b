/* SPDX-License-Identifier: BSD-3-Clause */

/* Which of two copies of a line is the newer one, also where lines or pages share what is remembered. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain/chunk.h"
#include "domain/domain_state.h"
#include "domain/order.h"

enum { THREAD_A = 2, THREAD_B = 4, THREAD_C = 6 };
#define FIRST_LINE 1u

/* A domain and a view of which only what order.c looks at is filled in. */
struct fixture {
	struct domain domain;
	struct view view;
};

static void begin(struct fixture *fixture)
{
	*fixture = (struct fixture){ .domain = { .batch = 1 } };
	fixture->view.domain = &fixture->domain;
	fixture->domain.recent = order_create();
	assert_non_null(fixture->domain.recent);
}

static void end(struct fixture *fixture)
{
	order_destroy(fixture->domain.recent);
}

/* `writer` writes in batch `now` what it copied in batch `taken`. Returns the lines of unknown order. */
static uint64_t write_lines(struct fixture *fixture, uint64_t page, uint64_t mask, uint64_t writer,
			    uint64_t taken, uint64_t now)
{
	const struct settle_copy copy = { .writer = writer, .batch = taken };

	fixture->domain.batch = now;
	return order_unknown(&fixture->view, page, mask, &copy);
}

/* A page that shares its entries with page 0; found by what the order says, not by its hash. */
static uint64_t page_sharing_with_page_0(uint64_t mask)
{
	static uint64_t found[2];
	uint64_t *page = &found[mask == ALL_LINES];
	struct fixture fixture;

	if (*page)
		return *page;
	begin(&fixture);
	write_lines(&fixture, 0, mask, THREAD_A, 1, 2);
	while (!write_lines(&fixture, ++*page, mask, THREAD_B, 1, 2))
		assert_true(*page < 10000000);
	end(&fixture);
	return *page;
}

static void a_copy_older_than_another_writers_is_written_from_the_view(void **state)
{
	struct fixture fixture;

	begin(&fixture);
	assert_int_equal(write_lines(&fixture, 0, FIRST_LINE, THREAD_B, 1, 2), 0);
	assert_int_equal(write_lines(&fixture, 0, FIRST_LINE, THREAD_A, 1, 4), FIRST_LINE);
	end(&fixture);
}

static void a_copy_taken_after_the_other_writers_drain_is_newer(void **state)
{
	struct fixture fixture;

	begin(&fixture);
	assert_int_equal(write_lines(&fixture, 0, FIRST_LINE, THREAD_B, 1, 2), 0);
	assert_int_equal(write_lines(&fixture, 0, FIRST_LINE, THREAD_A, 3, 4), 0);
	end(&fixture);
}

/* B writes a line; then A a newer copy of one that shares its entry, and an older copy of the line. */
static void shared_entry(uint64_t mask)
{
	const uint64_t other = page_sharing_with_page_0(mask);
	struct fixture fixture;

	begin(&fixture);
	assert_int_equal(write_lines(&fixture, 0, mask, THREAD_B, 1, 2), 0);
	assert_int_equal(write_lines(&fixture, other, mask, THREAD_A, 3, 4), 0);
	assert_int_equal(write_lines(&fixture, 0, mask, THREAD_A, 1, 4), mask);
	end(&fixture);
}

static void a_line_that_shares_its_entry_does_not_make_an_older_copy_seem_newer(void **state)
{
	shared_entry(FIRST_LINE);
}

static void a_page_that_shares_its_entry_does_not_make_an_older_copy_seem_newer(void **state)
{
	shared_entry(ALL_LINES);
}

static void an_entry_remembers_the_newest_of_several_other_writers(void **state)
{
	const uint64_t other = page_sharing_with_page_0(FIRST_LINE);
	struct fixture fixture;

	begin(&fixture);
	assert_int_equal(write_lines(&fixture, 0, FIRST_LINE, THREAD_C, 1, 2), 0);
	assert_int_equal(write_lines(&fixture, 0, FIRST_LINE, THREAD_B, 5, 6), 0);
	assert_int_equal(write_lines(&fixture, other, FIRST_LINE, THREAD_A, 7, 8), 0);
	assert_int_equal(write_lines(&fixture, other, FIRST_LINE, THREAD_A, 9, 10), 0);
	assert_int_equal(write_lines(&fixture, 0, FIRST_LINE, THREAD_A, 5, 10), FIRST_LINE);
	end(&fixture);
}

static void copies_of_one_writer_are_in_order_although_another_wrote_before(void **state)
{
	struct fixture fixture;

	begin(&fixture);
	assert_int_equal(write_lines(&fixture, 0, FIRST_LINE, THREAD_B, 1, 2), 0);
	assert_int_equal(write_lines(&fixture, 0, FIRST_LINE, THREAD_A, 3, 4), 0);
	assert_int_equal(write_lines(&fixture, 0, FIRST_LINE, THREAD_A, 3, 6), 0);
	end(&fixture);
}

static void a_part_of_a_page_written_by_another_writer_is_remembered_for_a_whole_page(void **state)
{
	const uint64_t other = page_sharing_with_page_0(FIRST_LINE);
	struct fixture fixture;

	begin(&fixture);
	assert_int_equal(write_lines(&fixture, 0, FIRST_LINE, THREAD_B, 1, 2), 0);
	assert_int_equal(write_lines(&fixture, other, FIRST_LINE, THREAD_A, 3, 4), 0);
	assert_int_equal(write_lines(&fixture, 0, ALL_LINES, THREAD_A, 1, 4), FIRST_LINE);
	end(&fixture);
}

static void a_line_written_from_the_view_is_newer_than_all_copies_taken_before(void **state)
{
	struct fixture fixture;

	begin(&fixture);
	fixture.domain.batch = 4;
	order_note_direct(&fixture.view, 0, FIRST_LINE);
	assert_int_equal(write_lines(&fixture, 0, FIRST_LINE, THREAD_A, 4, 6), FIRST_LINE);
	assert_int_equal(write_lines(&fixture, 0, FIRST_LINE, THREAD_A, 7, 8), 0);
	end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_older_than_another_writers_is_written_from_the_view),
		cmocka_unit_test(a_copy_taken_after_the_other_writers_drain_is_newer),
		cmocka_unit_test(a_line_that_shares_its_entry_does_not_make_an_older_copy_seem_newer),
		cmocka_unit_test(a_page_that_shares_its_entry_does_not_make_an_older_copy_seem_newer),
		cmocka_unit_test(an_entry_remembers_the_newest_of_several_other_writers),
		cmocka_unit_test(copies_of_one_writer_are_in_order_although_another_wrote_before),
		cmocka_unit_test(a_part_of_a_page_written_by_another_writer_is_remembered_for_a_whole_page),
		cmocka_unit_test(a_line_written_from_the_view_is_newer_than_all_copies_taken_before),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
