/* SPDX-License-Identifier: BSD-3-Clause */
/* What is counted of small traces whose counts are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "trace/stat.h"
#include "tracetest.h"

static void add(const struct trace_event *event, void *stat)
{
	assert_int_equal(trace_stat_add(stat, event), 0);
}

static struct trace_stat *stat_of(const char *lines)
{
	struct trace_stat *stat = trace_stat_create();

	tracetest_visit(lines, add, stat);
	assert_int_equal(trace_stat_end(stat), 0);
	return stat;
}

struct row {
	const char *lines;
	struct trace_counts counts;
};

#define S "t1 store 1+0x40 u64=1\n"
#define C "t1 clwb 1+0x40\n"
#define F "t1 sfence\n"
#define STORE(n) .stores = (n), .store_bytes = 8 * (n)

static const struct row rows[] = {
	{ S C F, { STORE(1), .flushes = 1, .fences = 1 } },
	{ S, { STORE(1), .unflushed = 1 } },
	{ S C, { STORE(1), .flushes = 1, .unfenced = 1 } },
	{ S C S, { STORE(2), .flushes = 1, .overwritten = 1, .unfenced = 1, .unflushed = 1 } },
	{ S S C F, { STORE(2), .flushes = 1, .fences = 1, .overwritten = 1 } },
	{ S "t1 store 1+0x48 u64=1\n" C F, { STORE(2), .flushes = 1, .fences = 1 } },
	{ S C F S C F, { STORE(2), .flushes = 2, .fences = 2 } },
	{ S C C F, { STORE(1), .flushes = 2, .redundant_flushes = 1, .fences = 1 } },
	/* The other thread cannot rely on a fence of the first. */
	{ S C "t2 clwb 1+0x40\nt2 sfence\n", { STORE(1), .flushes = 2, .fences = 1 } },
	{ S C F C F, { STORE(1), .flushes = 2, .fences = 2, .clean_flushes = 1 } },
	{ C F, { .flushes = 1, .clean_flushes = 1, .fences = 1 } },
	{ F, { .fences = 1, .idle_fences = 1 } },
	{ S C "t2 sfence\n" F, { STORE(1), .flushes = 1, .fences = 2, .idle_fences = 1 } },
	{ S C "t1 rmw\n", { STORE(1), .flushes = 1 } },
	{ S C "t1 store 1+0x80 locked u64=1\n", { STORE(2), .flushes = 1, .unflushed = 1 } },
	{ S "t1 clflush 1+0x40\n", { STORE(1), .flushes = 1 } },
	{ "t1 store 1+0 nt u64=1\n" F, { STORE(1), .nontemporal = 1, .fences = 1 } },
	{ "t1 store 1+0 nt u64=1\n", { STORE(1), .nontemporal = 1, .unfenced = 1 } },
	/* Over an edge of lines: both have to be flushed. */
	{ "t1 store 1+0x3c u64=1\n" C F, { STORE(1), .flushes = 1, .fences = 1, .unflushed = 1 } },
	{ "t1 store 1+0x3c mask=0xf0 u64=1\n" C F,
	  { .stores = 1, .store_bytes = 4, .flushes = 1, .fences = 1 } },
	{ S "t1 clwb 1+0 length=281474976710656\n" F,
	  { STORE(1), .flushes = (uint64_t)1 << 42, .clean_flushes = ((uint64_t)1 << 42) - 1, .fences = 1 } },
	{ S "msync 1+0 length=4096\n", { STORE(1) } },
	{ S "msync 1+0x80 length=64\n", { STORE(1), .unflushed = 1 } },
	{ S "fsync file=1\n", { STORE(1) } },
	{ S "sync\n" S, { STORE(2), .unflushed = 1 } },
};

static void test_counts_of_small_traces_are_what_they_are_by_hand(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct trace_stat *stat = stat_of(rows[i].lines);

		if (memcmp(trace_stat_counts(stat), &rows[i].counts, sizeof(rows[i].counts)) != 0)
			fail_msg("row %zu: %s", i, rows[i].lines);
		trace_stat_destroy(stat);
	}
}

static void test_sites_are_sorted_by_what_is_wrong_there(void **state)
{
	struct trace_stat *stat = stat_of(
		"site site=4 stack=0+0x1\nsite site=5 stack=0+0x2\nsite site=6 stack=0+0x3\n"
		"t1 store 1+0x0 site=4 u64=1\nt1 clwb 1+0x0 site=6\nt1 sfence\n"
		"t1 store 1+0x40 site=4 u64=1\nt1 clwb 1+0x40 site=6\nt1 sfence\n"
		"t1 store 1+0x80 site=5 u64=1\nt1 clwb 1+0x0 site=6\nt1 clwb 1+0x0 site=6\n");
	size_t count;
	const struct trace_site_counts *sites = trace_stat_sites(stat, &count);

	assert_int_equal(count, 4);
	assert_int_equal(sites[0].site, 6);
	assert_int_equal(sites[0].counts.clean_flushes, 2);
	assert_int_equal(sites[1].site, 5);
	assert_int_equal(sites[1].counts.unflushed, 1);
	assert_int_equal(sites[2].site, 4);
	assert_int_equal(sites[2].counts.stores, 2);
	assert_int_equal(sites[3].site, 0);
	trace_stat_destroy(stat);
}

static void test_files_and_directories_that_were_not_synced_are_named(void **state)
{
	struct trace_stat *stat = stat_of(
		"file file=2 mode=040755\nfile file=3 mode=040755\n"
		"create file=10 parent=2 name=\"a\"\nwrite 10+0 text=\"x\"\nfsync file=10\n"
		"create file=11 parent=3 name=\"b\"\nfsync file=3\nwrite 11+0 text=\"y\"\n"
		"write 1+0 dsync text=\"z\"\n"
		"rename file=11 parent=3 name=\"b\" new-parent=2 new-name=\"c\"\n");
	const struct {
		uint64_t id, writes, syncs;
		bool changed;
	} wanted[] = { { 1, 1, 1, false },
		       { 2, 2, 0, true },
		       { 3, 2, 1, true },
		       { 10, 1, 1, false },
		       { 11, 1, 0, true } };
	size_t count;
	const struct trace_file_counts *files = trace_stat_files(stat, &count);

	assert_int_equal(count, 5);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(files[i].file, wanted[i].id);
		assert_int_equal(files[i].writes, wanted[i].writes);
		assert_int_equal(files[i].syncs, wanted[i].syncs);
		assert_int_equal(files[i].changed, wanted[i].changed);
	}
	assert_int_equal(trace_stat_write_bytes(stat), 3);
	assert_int_equal(trace_stat_events(stat, TRACE_CREATE), 2);
	trace_stat_destroy(stat);
}

static void test_memory_is_taken_by_lines_touched(void **state)
{
	struct trace_stat *stat =
		stat_of("t1 store 1+0x0 u64=1\nt1 store 1+0x8 u64=1\nt1 store 1+0xfffffffff8 u64=1\n");

	assert_int_equal(trace_stat_lines(stat), 2);
	trace_stat_destroy(stat);
}

static void test_every_kind_of_event_is_taken(void **state)
{
	struct trace_stat *stat = trace_stat_create();
	size_t count;
	const struct trace_event *events = tracetest_events(&count);

	for (size_t i = 0; i < count; i++)
		assert_int_equal(trace_stat_add(stat, &events[i]), 0);
	assert_int_equal(trace_stat_end(stat), 0);
	assert_int_equal(trace_stat_counts(stat)->stores, 3);
	trace_stat_destroy(stat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_of_small_traces_are_what_they_are_by_hand),
		cmocka_unit_test(test_sites_are_sorted_by_what_is_wrong_there),
		cmocka_unit_test(test_files_and_directories_that_were_not_synced_are_named),
		cmocka_unit_test(test_memory_is_taken_by_lines_touched),
		cmocka_unit_test(test_every_kind_of_event_is_taken),
	};

	return cmocka_run_group_tests_name("trace_stat", tests, NULL, NULL);
}
