/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory test on memory whose faults are known: simulated, with bits that
 * are stuck and address lines that are cut; and on memory without any.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "region/memtest.h"
#include "mediatest.h"

#define MIB (1u << 20)
#define SIZE (2u * MIB)

/* Memory as a board may have it. */
struct board {
	uint64_t words[SIZE / 8];
	/* Address bits that make no difference: they read as 0. */
	uint64_t cut;
	/* In each word from `from` to `to`, every `each` bytes of them. */
	uint64_t from, to, each;
	uint64_t stuck_0, stuck_1;
	/* Writes between these do not arrive. */
	uint64_t deaf_from, deaf_to;
	unsigned unsettled;
};

static struct board board;
static struct memtest_report report;

static uint64_t as_stored(uint64_t offset, uint64_t word)
{
	bool bad = offset >= board.from && offset < board.to && (offset - board.from) % board.each == 0;

	return bad ? (word & ~board.stuck_0) | board.stuck_1 : word;
}

static void board_write(void *context, uint64_t offset, const uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t at = (offset + 8 * i) & ~board.cut;

		if (at < board.deaf_from || at >= board.deaf_to)
			board.words[at / 8] = as_stored(at, words[i]);
	}
	board.unsettled++;
}

static void board_read(void *context, uint64_t offset, uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		words[i] = board.words[((offset + 8 * i) & ~board.cut) / 8];
}

static void board_settle(void *context)
{
	board.unsettled = 0;
}

static int setup(void **state)
{
	board = (struct board){ .each = 8 };
	for (size_t i = 0; i < SIZE / 8; i++)
		board.words[i] = (uint64_t)i * 0x0123456789abcdef;
	return 0;
}

static int test_board(void)
{
	const struct memtest_memory memory = {
		.size = SIZE, .write = board_write, .read = board_read, .settle = board_settle
	};
	const struct memtest_options options = { .seed = 7 };

	return memtest_run(&memory, &options, &report);
}

static void memory_without_a_fault_has_none(void **state)
{
	assert_int_equal(test_board(), 0);
	assert_int_equal(report.count, 0);
	assert_int_equal(report.wrong, 0);
	assert_true(report.complete);
	assert_int_equal(report.written, 10u * SIZE);
	assert_int_equal(report.read, 10u * SIZE);
	assert_int_equal(board.unsettled, 0);
	for (size_t i = 0; i < SIZE / 8; i++)
		assert_int_equal(board.words[i], 0);
}

/* Every bit of a word, stuck either way, at the ends and in the middle. */
static void each_stuck_bit_is_named(void **state)
{
	static const uint64_t places[] = { 0, 4096 + 24, SIZE - 8 };

	for (unsigned bit = 0; bit < 64; bit += 7) {
		for (unsigned i = 0; i < 6; i++) {
			uint64_t place = places[i / 2], mask = (uint64_t)1 << bit;

			setup(state);
			board.from = place;
			board.to = place + 8;
			*(i % 2 ? &board.stuck_1 : &board.stuck_0) = mask;
			assert_int_equal(test_board(), 0);
			assert_int_equal(report.count, 1);
			assert_int_equal(report.findings[0].kind, MEMTEST_BITS);
			assert_int_equal(report.findings[0].offset, place);
			assert_int_equal(report.findings[0].size, 8);
			assert_int_equal(report.findings[0].reads_0, i % 2 ? 0 : mask);
			assert_int_equal(report.findings[0].reads_1, i % 2 ? mask : 0);
			assert_int_equal(report.findings[0].expected ^ report.findings[0].read, mask);
		}
	}
}

static void words_that_are_apart_are_told_apart(void **state)
{
	board.from = 8 * 1000;
	board.to = 8 * 1003;
	board.each = 16;
	board.stuck_1 = 4;
	assert_int_equal(test_board(), 0);
	assert_int_equal(report.count, 2);
	assert_int_equal(report.findings[0].size, 8);
	assert_int_equal(report.findings[1].offset - report.findings[0].offset, 16);
}

static void a_dead_range_is_one(void **state)
{
	board.deaf_from = 0x10000;
	board.deaf_to = 0x30000;
	assert_int_equal(test_board(), 0);
	assert_int_equal(report.count, 1);
	assert_int_equal(report.findings[0].kind, MEMTEST_BITS);
	assert_int_equal(report.findings[0].offset, 0x10000);
	assert_int_equal(report.findings[0].size, 0x20000);
}

/* A line of the data bus: more words are wrong than are listed, but all are counted, and the bit is told. */
static void what_is_too_much_to_list_is_counted(void **state)
{
	board.to = SIZE;
	board.each = 16;
	board.stuck_0 = (uint64_t)1 << 63;
	assert_int_equal(test_board(), 0);
	assert_int_equal(report.count, MEMTEST_FINDINGS_MAX);
	assert_true(report.left_off > 0);
	assert_true(report.wrong >= SIZE / 16);
	assert_int_equal(report.reads_0, (uint64_t)1 << 63);
	assert_int_equal(report.reads_1, 0);
}

static void a_cut_address_line_is_an_alias(void **state)
{
	for (unsigned bit = 6; bit < 21; bit++) {
		uint64_t half = (uint64_t)1 << bit, total = 0;

		setup(state);
		board.cut = half;
		assert_int_equal(test_board(), 0);
		assert_false(report.complete && report.count == 0);
		for (size_t i = 0; i < report.count; i++) {
			const struct memtest_finding *finding = &report.findings[i];

			assert_int_equal(finding->kind, MEMTEST_ALIAS);
			assert_int_equal(finding->alias - finding->offset, half);
			assert_int_equal(finding->size, half);
			assert_int_equal(finding->offset % (2 * half), 0);
			total += finding->size;
		}
		assert_int_equal(total + report.left_off * 8, SIZE / 2);
	}
}

/* A word that reads as the place of another, but is none: a bit that is stuck makes it seem so. */
static void a_stuck_bit_is_no_alias(void **state)
{
	board.from = board.deaf_from = 0x2000;
	board.to = board.deaf_to = 0x2008;
	/* What the test of places writes to the word at 0x8000. */
	board.words[0x2000 / 8] = (0x8000 / 8 + 1) * 0x9e3779b97f4a7c15u;
	assert_int_equal(test_board(), 0);
	assert_int_equal(report.count, 1);
	assert_int_equal(report.findings[0].kind, MEMTEST_BITS);
	assert_int_equal(report.findings[0].offset, 0x2000);
	assert_true(report.complete);
}

static int stop_in_the_middle(void *context, const char *test, uint64_t done, uint64_t total)
{
	assert_true(done < total);
	return done >= total / 2 ? -EINTR : 0;
}

static void a_test_can_be_stopped(void **state)
{
	const struct memtest_memory memory = {
		.size = SIZE, .write = board_write, .read = board_read, .settle = board_settle
	};
	const struct memtest_options options = { .seed = 7, .progress = stop_in_the_middle };

	board.from = 0x100;
	board.to = 0x108;
	board.stuck_1 = 1;
	assert_int_equal(memtest_run(&memory, &options, &report), -EINTR);
	assert_false(report.complete);
	assert_int_equal(report.count, 1);
	assert_true(report.read < 10u * SIZE);
}

static void a_region_passes(void **state)
{
	const struct memtest_options options = { .seed = 1 };
	struct memtest_memory memory;
	struct region *region;
	struct message message;

	assert_int_equal(region_open("memfd:2M", 0, &region, &message), 0);
	memtest_region(region, &memory);
	assert_int_equal(memtest_run(&memory, &options, &report), 0);
	assert_int_equal(report.count, 0);
	assert_int_equal(report.read, 10u * SIZE);
	region_close(region);
}

/* What is read is what is in the memory: a byte that another changes behind the test's back is found. */
static struct region *spoiled;
static int spoil(void *context, const char *test, uint64_t done, uint64_t total)
{
	if (done >= total / 2 && spoiled) {
		mediatest_write(spoiled, 0x1234, "?", 1);
		spoiled = NULL;
	}
	return 0;
}

static void a_region_that_another_writes_to_does_not(void **state)
{
	const struct memtest_options options = { .seed = 1, .progress = spoil };
	struct memtest_memory memory;
	struct region *region;
	struct message message;

	assert_int_equal(region_open("memfd:2M", 0, &region, &message), 0);
	memtest_region(region, &memory);
	spoiled = region;
	assert_int_equal(memtest_run(&memory, &options, &report), 0);
	assert_int_equal(report.count, 1);
	assert_int_equal(report.findings[0].offset, 0x1230);
	region_close(region);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_without_a_fault_has_none),
		TEST(each_stuck_bit_is_named),
		TEST(words_that_are_apart_are_told_apart),
		TEST(a_dead_range_is_one),
		TEST(what_is_too_much_to_list_is_counted),
		TEST(a_cut_address_line_is_an_alias),
		TEST(a_stuck_bit_is_no_alias),
		TEST(a_test_can_be_stopped),
		TEST(a_region_passes),
		TEST(a_region_that_another_writes_to_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
