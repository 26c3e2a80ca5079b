/* SPDX-License-Identifier: BSD-3-Clause */

/* The line model's interface and its limits. Its rules: test_model_litmus.c, test_model_lines_random.c. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/rng.h"
#include "model/lines.h"

#define MEMORY ((size_t)4 << 20)

struct memory {
	struct lines *lines;
	unsigned char *base;
	uint64_t committed; /* bytes */
};

static void commit(void *context, uint64_t address, const void *bytes, size_t length)
{
	struct memory *memory = context;

	assert_true(length > 0 && address + length <= MEMORY);
	assert_int_equal(address / LINE_SIZE, (address + length - 1) / LINE_SIZE);
	memcpy(memory->base + address, bytes, length);
	memory->committed += length;
}

static void start(struct memory *memory, uint32_t stores_per_line)
{
	const struct lines_options options = {
		.commit = commit,
		.context = memory,
		.stores_per_line = stores_per_line,
	};

	memory->base = calloc(1, MEMORY);
	memory->committed = 0;
	assert_non_null(memory->base);
	assert_int_equal(lines_create(&options, &memory->lines), 0);
}

static void stop(struct memory *memory)
{
	lines_destroy(memory->lines);
	free(memory->base);
}

static void store(struct memory *memory, uint64_t address, const void *bytes, uint64_t length)
{
	const struct lines_store event = { .address = address, .length = length, .bytes = bytes };

	assert_int_equal(lines_store(memory->lines, &event), 0);
}

static void store_u64(struct memory *memory, uint64_t address, uint64_t value)
{
	store(memory, address, &value, sizeof(value));
}

/* The first word of a line in one of its versions. */
static uint64_t word_of(const struct memory *memory, uint64_t place, uint64_t version)
{
	unsigned char content[LINE_SIZE];
	uint64_t value;

	memcpy(content, memory->base + place, sizeof(content));
	assert_int_equal(lines_apply(memory->lines, place, version, content), 0);
	memcpy(&value, content, sizeof(value));
	return value;
}

static void each_mode_is_parsed_from_its_name(void **state)
{
	enum lines_mode mode = LINES_MODE_WORD;

	assert_int_equal(lines_mode_parse("line", &mode), 0);
	assert_int_equal(mode, LINES_MODE_LINE);
	assert_int_equal(lines_mode_parse("word", &mode), 0);
	assert_int_equal(mode, LINES_MODE_WORD);
	assert_int_equal(lines_mode_parse("words", &mode), -EINVAL);
	assert_int_equal(lines_mode_parse("", &mode), -EINVAL);
	assert_int_equal(mode, LINES_MODE_WORD);
	assert_string_equal(lines_mode_name(LINES_MODE_LINE), "line");
	assert_string_equal(lines_mode_name(LINES_MODE_WORD), "word");
	assert_string_equal(lines_mode_name((enum lines_mode)2), "unknown");
}

static void bad_options_are_rejected(void **state)
{
	struct lines *lines;
	const struct lines_options bad[] = {
		{ .commit = NULL },
		{ .commit = commit, .mode = (enum lines_mode)2 },
		{ .commit = commit, .domain = (enum persistence_domain)2 },
		{ .commit = commit, .stores_per_line = 3 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(lines_create(&bad[i], &lines), -EINVAL);
	lines_destroy(NULL);
}

static void arguments_out_of_range_are_rejected_and_change_nothing(void **state)
{
	static const unsigned char bytes[128];
	const uint64_t limit = (uint64_t)1 << 63;
	struct memory memory;
	const struct lines_store bad[] = {
		{ .address = limit, .length = 1, .bytes = bytes },
		{ .address = limit - 1, .length = 2, .bytes = bytes },
		{ .address = UINT64_MAX, .length = 1, .bytes = bytes },
		{ .address = 8, .length = UINT64_MAX, .bytes = bytes },
		{ .address = 8, .length = 8, .bytes = bytes, .thread = LINES_THREADS },
		{ .address = 8, .length = 65, .bytes = bytes, .mask = 1 },
	};

	start(&memory, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(lines_store(memory.lines, &bad[i]), -EINVAL);
	assert_int_equal(lines_clwb(memory.lines, LINES_THREADS, 0), -EINVAL);
	assert_int_equal(lines_clwb(memory.lines, 0, limit), -EINVAL);
	assert_int_equal(lines_clflush(memory.lines, limit), -EINVAL);
	assert_int_equal(lines_fence(memory.lines, LINES_THREADS), -EINVAL);
	assert_int_equal(lines_undetermined(memory.lines, NULL, 0), 0);
	assert_int_equal(memory.committed, 0);
	stop(&memory);
}

static void the_last_addresses_and_threads_are_accepted(void **state)
{
	const uint64_t last = ((uint64_t)1 << 63) - 8;
	const struct lines_store event = { .address = last, .length = 8, .bytes = "1234567",
					   .thread = LINES_THREADS - 1 };
	struct memory memory;
	uint64_t place;

	start(&memory, 0);
	assert_int_equal(lines_store(memory.lines, &event), 0);
	assert_int_equal(lines_undetermined(memory.lines, &place, 1), 1);
	assert_int_equal(place, last - 56);
	assert_int_equal(lines_versions(memory.lines, place), 2);
	assert_int_equal(lines_versions(memory.lines, place + 1), 1);
	assert_int_equal(lines_fence(memory.lines, LINES_THREADS - 1), 0);
	assert_int_equal(lines_versions(memory.lines, place), 2);
	stop(&memory);
}

static void a_store_over_several_lines_is_a_store_to_each(void **state)
{
	unsigned char bytes[300];
	struct memory memory;
	uint64_t places[6];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i + 1);
	start(&memory, 0);
	store(&memory, 1000, bytes, sizeof(bytes));
	assert_int_equal(lines_undetermined(memory.lines, places, 6), 6);
	for (uint64_t i = 0; i < 6; i++) {
		assert_int_equal(places[i], 960 + i * LINE_SIZE);
		/* 24 bytes, four whole lines, and 20 bytes that touch three words. */
		assert_int_equal(lines_versions(memory.lines, places[i]), i == 0 || i == 5 ? 8 : 256);
		assert_int_equal(lines_clwb(memory.lines, 0, places[i] + 63), 0);
	}
	assert_int_equal(lines_fence(memory.lines, 0), 0);
	assert_int_equal(lines_undetermined(memory.lines, places, 6), 0);
	assert_memory_equal(memory.base + 1000, bytes, sizeof(bytes));
	assert_int_equal(memory.committed, sizeof(bytes));
	stop(&memory);
}

static void a_masked_store_stores_the_bytes_of_its_mask_only(void **state)
{
	static const unsigned char ones[64] = { [0 ... 63] = 1 };
	const struct lines_store event = { .address = 40, .length = 64, .bytes = ones,
					   .mask = 0xf00000000f000001 };
	struct memory memory;
	uint64_t places[2];
	uint64_t stored = 0;

	start(&memory, 0);
	assert_int_equal(lines_store(memory.lines, &event), 0);
	assert_int_equal(lines_undetermined(memory.lines, places, 2), 2);
	assert_int_equal(lines_versions(memory.lines, 0), 2);
	assert_int_equal(lines_versions(memory.lines, 64), 4);
	assert_int_equal(lines_clflush(memory.lines, 0), 0);
	assert_int_equal(lines_clflush(memory.lines, 64), 0);
	for (unsigned i = 0; i < 64; i++)
		stored |= (uint64_t)memory.base[40 + i] << i;
	assert_int_equal(stored, event.mask);
	assert_int_equal(memory.committed, 9);
	stop(&memory);
}

static void an_empty_store_changes_nothing(void **state)
{
	const struct lines_store masked_out = { .address = 0, .length = 4, .bytes = "abc", .mask = 0x10 };
	struct memory memory;

	start(&memory, 0);
	store(&memory, 8, NULL, 0);
	assert_int_equal(lines_store(memory.lines, &masked_out), 0);
	assert_int_equal(lines_undetermined(memory.lines, NULL, 0), 0);
	stop(&memory);
}

static void version_numbers_beyond_the_last_are_rejected(void **state)
{
	unsigned char content[LINE_SIZE] = { 0 };
	struct lines_pending pending;
	struct memory memory;

	start(&memory, 0);
	store_u64(&memory, 0, 1);
	assert_int_equal(lines_versions(memory.lines, 0), 2);
	assert_int_equal(lines_apply(memory.lines, 0, 2, content), -EINVAL);
	assert_int_equal(lines_apply(memory.lines, 0, UINT64_MAX, content), -EINVAL);
	assert_int_equal(lines_apply(memory.lines, 64, 1, content), -EINVAL);
	assert_int_equal(lines_apply(memory.lines, 64, 0, content), 0);
	assert_int_equal(lines_pending(memory.lines, 0, 2, &pending, 1), 0);
	assert_int_equal(content[0], 0);
	stop(&memory);
}

static void many_lines_are_listed_in_order_and_forgotten_when_guaranteed(void **state)
{
	enum { COUNT = 20000 };
	uint64_t *places = malloc(COUNT * sizeof(*places));
	struct rng rng = { 3 };
	struct memory memory;
	size_t count;

	assert_non_null(places);
	start(&memory, 0);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < COUNT; i++) {
			const uint64_t address = rng_below(&rng, MEMORY / 8) * 8;

			store_u64(&memory, address, i + 1);
			assert_int_equal(lines_clwb(memory.lines, i % 7, address), 0);
			/* Some are flushed by several threads, and some fences fall in between. */
			assert_int_equal(lines_clwb(memory.lines, i % 3, address), 0);
			if (i % 100 == 0)
				assert_int_equal(lines_fence(memory.lines, i / 100 % 7), 0);
		}
		count = lines_undetermined(memory.lines, places, COUNT);
		assert_in_range(count, 100, COUNT);
		for (size_t i = 0; i < count; i++) {
			assert_true(i == 0 || places[i - 1] < places[i]);
			assert_in_range(lines_versions(memory.lines, places[i]), 2, COUNT);
		}
		for (uint32_t thread = 0; thread < 7; thread++)
			assert_int_equal(lines_fence(memory.lines, thread), 0);
		assert_int_equal(lines_undetermined(memory.lines, places, COUNT), 0);
	}
	stop(&memory);
	free(places);
}

static void a_line_that_is_never_flushed_keeps_a_bounded_history(void **state)
{
	const uint64_t stores = 300000;
	struct lines_pending pending[80];
	struct memory memory;
	uint64_t versions, last = 0;

	start(&memory, 64);
	for (uint64_t i = 1; i <= stores; i++)
		store_u64(&memory, 128, i);
	versions = lines_versions(memory.lines, 128);
	assert_in_range(versions, 32, 65);
	assert_int_equal(lines_merged(memory.lines), stores - (versions - 1));
	/* Nothing is guaranteed, everything is possible, and the latest history is exact. */
	assert_int_equal(word_of(&memory, 128, 0), 0);
	for (uint64_t version = 1; version < versions; version++) {
		const uint64_t value = word_of(&memory, 128, version);

		assert_true(value > last);
		if (version + 16 >= versions)
			assert_int_equal(value, stores - (versions - 1 - version));
		last = value;
	}
	assert_int_equal(last, stores);
	assert_int_equal(lines_pending(memory.lines, 128, 0, pending, 80), versions - 1);
	assert_true(pending[0].merged && !pending[versions - 2].merged);
	assert_int_equal(lines_clflush(memory.lines, 128), 0);
	assert_int_equal(word_of(&memory, 128, 0), stores);
	stop(&memory);
}

static void merging_keeps_what_a_waiting_clwb_covers_apart(void **state)
{
	struct memory memory;

	start(&memory, 4);
	for (uint64_t i = 1; i <= 100; i++)
		store_u64(&memory, 0, i);
	assert_int_equal(lines_clwb(memory.lines, 0, 0), 0);
	for (uint64_t i = 101; i <= 200; i++)
		store_u64(&memory, 0, i);
	assert_true(lines_merged(memory.lines) > 150);
	assert_int_equal(lines_fence(memory.lines, 0), 0);
	assert_int_equal(word_of(&memory, 0, 0), 100);
	assert_int_equal(word_of(&memory, 0, lines_versions(memory.lines, 0) - 1), 200);
	stop(&memory);
}

/* The same random events to a model with a bounded history and to one without. */
static void random_event(struct memory *exact, struct memory *bounded, struct rng *rng, unsigned number)
{
	unsigned char bytes[16];
	const struct lines_store event = {
		.address = rng_below(rng, 24),
		.length = 1 + rng_below(rng, 10),
		.bytes = bytes,
		.nontemporal = rng_below(rng, 8) == 0,
		.thread = (uint32_t)rng_below(rng, 2),
		.id = number,
	};
	const uint64_t kind = rng_below(rng, 20);

	memset(bytes, (int)number + 1, sizeof(bytes));
	for (unsigned i = 0; i < 2; i++) {
		struct lines *lines = i ? exact->lines : bounded->lines;

		if (kind == 0)
			assert_int_equal(lines_fence(lines, event.thread), 0);
		else if (kind < 3)
			assert_int_equal(lines_clwb(lines, event.thread, 0), 0);
		else
			assert_int_equal(lines_store(lines, &event), 0);
	}
}

/* Has the line some version with this content? */
static bool content_is_legal(const struct memory *memory, const unsigned char content[LINE_SIZE])
{
	const uint64_t versions = lines_versions(memory->lines, 0);

	for (uint64_t version = 0; version < versions; version++) {
		unsigned char candidate[LINE_SIZE];

		memcpy(candidate, memory->base, LINE_SIZE);
		assert_int_equal(lines_apply(memory->lines, 0, version, candidate), 0);
		if (memcmp(candidate, content, LINE_SIZE) == 0)
			return true;
	}
	return false;
}

static void merging_makes_no_illegal_state(void **state)
{
	uint64_t merged = 0;

	for (uint64_t seed = 0; seed < 500; seed++) {
		struct rng rng = { seed };
		struct memory exact, bounded;
		uint64_t versions;

		start(&exact, 0);
		start(&bounded, 4);
		for (unsigned i = 0; i < 14; i++)
			random_event(&exact, &bounded, &rng, i);
		versions = lines_versions(bounded.lines, 0);
		for (uint64_t version = 0; version < versions; version++) {
			unsigned char content[LINE_SIZE];

			memcpy(content, bounded.base, LINE_SIZE);
			assert_int_equal(lines_apply(bounded.lines, 0, version, content), 0);
			if (!content_is_legal(&exact, content))
				fail_msg("seed %llu, version %llu", (unsigned long long)seed,
					 (unsigned long long)version);
		}
		merged += lines_merged(bounded.lines);
		stop(&exact);
		stop(&bounded);
	}
	assert_true(merged > 500);
}

static void more_states_than_numbers_still_have_a_first_and_a_last(void **state)
{
	struct lines_pending pending[1];
	struct memory memory;

	start(&memory, 0);
	for (uint64_t i = 1; i <= 400; i++)
		for (uint64_t word = 0; word < 8; word++) {
			const struct lines_store event = { .address = word * 8, .length = 8, .bytes = &i,
							   .nontemporal = true };

			assert_int_equal(lines_store(memory.lines, &event), 0);
		}
	assert_int_equal(lines_versions(memory.lines, 0), LINES_VERSIONS);
	assert_int_equal(word_of(&memory, 0, 0), 0);
	assert_int_equal(word_of(&memory, 0, LINES_VERSIONS - 1), 400);
	assert_in_range(word_of(&memory, 0, LINES_VERSIONS / 3), 0, 400);
	assert_int_equal(lines_pending(memory.lines, 0, LINES_VERSIONS - 1, pending, 1), 3200);
	assert_int_equal(lines_version_through(memory.lines, 0, 3200), LINES_VERSIONS - 1);
	assert_int_equal(lines_fence(memory.lines, 0), 0);
	assert_int_equal(lines_versions(memory.lines, 0), 1);
	assert_int_equal(word_of(&memory, 0, 0), 400);
	stop(&memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mode_is_parsed_from_its_name),
		cmocka_unit_test(bad_options_are_rejected),
		cmocka_unit_test(arguments_out_of_range_are_rejected_and_change_nothing),
		cmocka_unit_test(the_last_addresses_and_threads_are_accepted),
		cmocka_unit_test(a_store_over_several_lines_is_a_store_to_each),
		cmocka_unit_test(a_masked_store_stores_the_bytes_of_its_mask_only),
		cmocka_unit_test(an_empty_store_changes_nothing),
		cmocka_unit_test(version_numbers_beyond_the_last_are_rejected),
		cmocka_unit_test(many_lines_are_listed_in_order_and_forgotten_when_guaranteed),
		cmocka_unit_test(a_line_that_is_never_flushed_keeps_a_bounded_history),
		cmocka_unit_test(merging_keeps_what_a_waiting_clwb_covers_apart),
		cmocka_unit_test(merging_makes_no_illegal_state),
		cmocka_unit_test(more_states_than_numbers_still_have_a_first_and_a_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
