/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory test, on simulated memory with known faults (stuck bits, cut address lines) and on memory
 * without any.
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

/* Simulated memory with faults. */
struct board {
	uint64_t words[SIZE / 8];
	/* Address bits that are cut: they read as 0. */
	uint64_t cut;
	/* Stuck bits: in every `each` bytes from `from` to `to`, one word. */
	uint64_t from, to, each;
	uint64_t stuck_0, stuck_1;
	/* Writes to offsets between these are lost. */
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

static void memory_without_a_fault_passes(void **state)
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

/* Each bit of a word, stuck at 0 and at 1, at the ends and in the middle of the memory. */
static void each_stuck_bit_is_reported(void **state)
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

static void wrong_words_apart_from_each_other_are_separate_findings(void **state)
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

static void a_range_that_loses_writes_is_one_finding(void **state)
{
	board.deaf_from = 0x10000;
	board.deaf_to = 0x30000;
	assert_int_equal(test_board(), 0);
	assert_int_equal(report.count, 1);
	assert_int_equal(report.findings[0].kind, MEMTEST_BITS);
	assert_int_equal(report.findings[0].offset, 0x10000);
	assert_int_equal(report.findings[0].size, 0x20000);
}

/*
 * A cut line of the data bus: more words are wrong than fit into the list. All are counted, and the bit
 * is reported.
 */
static void findings_beyond_the_list_are_counted(void **state)
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

static void a_cut_address_line_is_reported_as_an_alias(void **state)
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

/* A word that reads as the offset of another one because of a stuck bit, and is no alias. */
static void a_stuck_bit_is_not_reported_as_an_alias(void **state)
{
	board.from = board.deaf_from = 0x2000;
	board.to = board.deaf_to = 0x2008;
	/* What the address test writes to the word at 0x8000. */
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

static void a_progress_callback_can_stop_the_test(void **state)
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

static void a_memfd_region_passes(void **state)
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

/* The test reads the memory itself: a byte that something else changes during the test is found. */
static struct region *spoiled;
static int spoil(void *context, const char *test, uint64_t done, uint64_t total)
{
	if (done >= total / 2 && spoiled) {
		mediatest_write(spoiled, 0x1234, "?", 1);
		spoiled = NULL;
	}
	return 0;
}

static void a_region_whose_bytes_change_during_the_test_fails(void **state)
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
		TEST(memory_without_a_fault_passes),
		TEST(each_stuck_bit_is_reported),
		TEST(wrong_words_apart_from_each_other_are_separate_findings),
		TEST(a_range_that_loses_writes_is_one_finding),
		TEST(findings_beyond_the_list_are_counted),
		TEST(a_cut_address_line_is_reported_as_an_alias),
		TEST(a_stuck_bit_is_not_reported_as_an_alias),
		TEST(a_progress_callback_can_stop_the_test),
		TEST(a_memfd_region_passes),
		TEST(a_region_whose_bytes_change_during_the_test_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
