/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/chooser.h"

static void each_policy_is_parsed_from_its_name(void **state)
{
	static const char *const names[] = { "lose", "keep", "random" };

	for (unsigned i = 0; i < 3; i++) {
		enum chooser_policy policy = CHOOSER_LOSE;

		assert_int_equal(chooser_policy_parse(names[i], &policy), 0);
		assert_int_equal(policy, i);
		assert_string_equal(chooser_policy_name(policy), names[i]);
	}
}

static void an_unknown_policy_is_rejected(void **state)
{
	static const char *const wrong[] = { "", "los", "loses", "LOSE", "enumerate", "random " };
	enum chooser_policy policy = CHOOSER_KEEP;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(chooser_policy_parse(wrong[i], &policy), -EINVAL);
	assert_int_equal(policy, CHOOSER_KEEP);
	assert_string_equal(chooser_policy_name((enum chooser_policy)3), "unknown");
}

static void lose_picks_the_guaranteed_version_and_keep_the_newest(void **state)
{
	const struct chooser lose = { .policy = CHOOSER_LOSE, .seed = 7 };
	const struct chooser keep = { .policy = CHOOSER_KEEP, .seed = 7 };

	for (uint64_t place = 0; place < 100; place++) {
		assert_false(chooser_keeps(&lose, place));
		assert_true(chooser_keeps(&keep, place));
		assert_int_equal(chooser_pick(&lose, place, 3, 9), 3);
		assert_int_equal(chooser_pick(&keep, place, 3, 9), 9);
	}
	assert_int_equal(chooser_pick(&lose, 0, 0, UINT64_MAX), 0);
	assert_int_equal(chooser_pick(&keep, 0, 0, UINT64_MAX), UINT64_MAX);
}

/* The formula of softpmem 0.1, which users' seeds were noted with. */
static void a_seed_decides_as_in_release_0_1(void **state)
{
	for (uint64_t seed = 0; seed < 50; seed++) {
		const struct chooser chooser = { .policy = CHOOSER_RANDOM, .seed = seed };

		for (uint64_t place = 0; place < 200; place++) {
			const struct chooser inner = chooser_derive(&chooser, place);

			assert_int_equal(chooser_keeps(&chooser, place),
					 rng_mix(seed ^ rng_mix(place + 1)) & 1);
			assert_int_equal(inner.seed, rng_mix(seed ^ rng_mix(place + 1)));
			assert_int_equal(inner.policy, CHOOSER_RANDOM);
		}
		assert_int_equal(chooser_keeps(&chooser, CHOOSER_WHOLE), rng_mix(seed) & 1);
	}
	/* Computed apart from this code, from SplitMix64's finalizer. */
	assert_int_equal(chooser_hash(0, 0), rng_mix(rng_mix(1)));
	assert_int_equal(chooser_hash(1, 4096), UINT64_C(0x102c55237eea3bf0));
}

static void of_two_versions_pick_agrees_with_keeps(void **state)
{
	for (uint64_t seed = 0; seed < 1000; seed++) {
		const struct chooser chooser = { .policy = CHOOSER_RANDOM, .seed = seed };

		assert_int_equal(chooser_pick(&chooser, seed * 3, 10, 11),
				 10 + chooser_keeps(&chooser, seed * 3));
	}
}

static void random_reaches_each_version_about_equally_often(void **state)
{
	unsigned counts[7] = { 0 };

	for (uint64_t seed = 0; seed < 100; seed++) {
		const struct chooser chooser = { .policy = CHOOSER_RANDOM, .seed = seed };

		for (uint64_t place = 0; place < 70; place++) {
			const uint64_t version = chooser_pick(&chooser, place, 20, 26);

			assert_in_range(version, 20, 26);
			counts[version - 20]++;
		}
	}
	/* 7,000 draws, 1,000 expected; a standard deviation is 29. */
	for (unsigned i = 0; i < 7; i++)
		assert_in_range(counts[i], 1000 - 150, 1000 + 150);
}

static void a_choice_does_not_depend_on_the_order_of_choices(void **state)
{
	const struct chooser chooser = { .policy = CHOOSER_RANDOM, .seed = 42 };
	uint64_t forward[64];

	for (uint64_t place = 0; place < 64; place++)
		forward[place] = chooser_pick(&chooser, place, 0, 1000);
	for (uint64_t place = 64; place-- > 0;)
		assert_int_equal(chooser_pick(&chooser, place, 0, 1000), forward[place]);
}

static void all_combinations_are_visited_once_in_canonical_order(void **state)
{
	static const struct chooser_range ranges[] = { { 3, 5 }, { 8, 8 }, { 0, 1 } };
	static const uint64_t expected[][3] = {
		{ 3, 8, 0 }, { 3, 8, 1 }, { 4, 8, 0 }, { 4, 8, 1 }, { 5, 8, 0 }, { 5, 8, 1 },
	};
	uint64_t versions[3], nth[3];
	size_t seen = 0;

	assert_int_equal(chooser_combinations(ranges, 3), 6);
	chooser_first(ranges, 3, versions);
	do {
		assert_in_range(seen, 0, 5);
		assert_memory_equal(versions, expected[seen], sizeof(versions));
		assert_int_equal(chooser_nth(ranges, 3, seen, nth), 0);
		assert_memory_equal(nth, versions, sizeof(nth));
		seen++;
	} while (chooser_next(ranges, 3, versions));
	assert_int_equal(seen, 6);
	assert_memory_equal(versions, expected[0], sizeof(versions));
	assert_int_equal(chooser_nth(ranges, 3, 6, nth), -EINVAL);
}

static void no_ranges_have_one_combination(void **state)
{
	uint64_t versions[1] = { 99 };

	assert_int_equal(chooser_combinations(NULL, 0), 1);
	chooser_first(NULL, 0, versions);
	assert_false(chooser_next(NULL, 0, versions));
	assert_int_equal(chooser_nth(NULL, 0, 0, versions), 0);
	assert_int_equal(chooser_nth(NULL, 0, 1, versions), -EINVAL);
	assert_int_equal(versions[0], 99);
}

static void too_many_combinations_to_count_are_uint64_max(void **state)
{
	struct chooser_range ranges[65];
	uint64_t versions[65];

	for (size_t i = 0; i < 65; i++)
		ranges[i] = (struct chooser_range){ 0, 1 };
	assert_int_equal(chooser_combinations(ranges, 63), (uint64_t)1 << 63);
	assert_int_equal(chooser_combinations(ranges, 64), UINT64_MAX);
	assert_int_equal(chooser_combinations(ranges, 65), UINT64_MAX);
	assert_int_equal(chooser_nth(ranges, 65, UINT64_MAX, versions), 0);
	assert_int_equal(versions[0], 0);
	for (size_t i = 1; i < 65; i++)
		assert_int_equal(versions[i], 1);
	ranges[0].last = UINT64_MAX;
	assert_int_equal(chooser_combinations(ranges, 1), UINT64_MAX);
	assert_int_equal(chooser_nth(ranges, 1, UINT64_MAX, versions), 0);
	assert_int_equal(versions[0], UINT64_MAX);
}

/* ---- The limit --------------------------------------------------------------------- */

static void a_limit_is_parsed_from_its_text(void **state)
{
	struct chooser_limit limit;

	assert_int_equal(chooser_limit_parse("0-ffffffffffffffff", &limit), 0);
	assert_int_equal(limit.count, 1);
	assert_true(chooser_limit_has(&limit, 0) && chooser_limit_has(&limit, UINT64_MAX));
	assert_int_equal(chooser_limit_parse("5-5,1a-ff", &limit), 0);
	assert_int_equal(limit.count, 2);
	assert_true(chooser_limit_has(&limit, 5) && chooser_limit_has(&limit, 0x1a) &&
		    chooser_limit_has(&limit, 0xff));
	assert_false(chooser_limit_has(&limit, 4) || chooser_limit_has(&limit, 6) ||
		     chooser_limit_has(&limit, 0x19) || chooser_limit_has(&limit, 0x100));
}

static void a_malformed_limit_is_rejected(void **state)
{
	static const char *const wrong[] = {
		"",	"5",	"5-",	 "-5",	     "5-4",  "0x1-2",	"A-B",
		"1-2,", ",1-2", "1-2 ",	 "1-2,,3-4", "1--2", "1-2;3-4", "1-00000000000000000",
	};
	struct chooser_limit limit;
	char many[CHOOSER_RANGES_MAX * 4 + 4];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(chooser_limit_parse(wrong[i], &limit), -EINVAL);
	for (unsigned i = 0; i <= CHOOSER_RANGES_MAX; i++)
		memcpy(many + i * 4, "1-2,", 4);
	many[CHOOSER_RANGES_MAX * 4 + 3] = '\0';
	assert_int_equal(chooser_limit_parse(many, &limit), -EINVAL);
	many[CHOOSER_RANGES_MAX * 4 - 1] = '\0';
	assert_int_equal(chooser_limit_parse(many, &limit), 0);
}

static void the_newest_version_survives_outside_of_the_limit(void **state)
{
	const struct chooser_limit lower = { .count = 1, .ranges = { { 0, UINT64_MAX / 2 } } };

	for (uint64_t place = 0; place < 1000; place++) {
		const struct chooser lose = { .policy = CHOOSER_LOSE, .seed = 3, .limit = &lower };
		const struct chooser random = { .policy = CHOOSER_RANDOM, .seed = 3, .limit = &lower };
		const struct chooser unlimited = { .policy = CHOOSER_RANDOM, .seed = 3 };
		const bool inside = chooser_hash(3, place) <= UINT64_MAX / 2;
		const struct chooser inner = chooser_derive(&lose, place);

		assert_int_equal(chooser_may_lose(&lose, place), inside);
		assert_int_equal(chooser_keeps(&lose, place), !inside);
		assert_int_equal(chooser_pick(&lose, place, 3, 9), inside ? 3 : 9);
		assert_int_equal(chooser_pick(&random, place, 3, 9),
				 inside ? chooser_pick(&unlimited, place, 3, 9) : 9);
		assert_ptr_equal(inner.limit, &lower);
	}
	assert_ptr_equal(chooser_derive_name(&(const struct chooser){ .limit = &lower }, "a").limit, &lower);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_policy_is_parsed_from_its_name),
		cmocka_unit_test(an_unknown_policy_is_rejected),
		cmocka_unit_test(lose_picks_the_guaranteed_version_and_keep_the_newest),
		cmocka_unit_test(a_seed_decides_as_in_release_0_1),
		cmocka_unit_test(of_two_versions_pick_agrees_with_keeps),
		cmocka_unit_test(random_reaches_each_version_about_equally_often),
		cmocka_unit_test(a_choice_does_not_depend_on_the_order_of_choices),
		cmocka_unit_test(all_combinations_are_visited_once_in_canonical_order),
		cmocka_unit_test(no_ranges_have_one_combination),
		cmocka_unit_test(too_many_combinations_to_count_are_uint64_max),
		cmocka_unit_test(a_limit_is_parsed_from_its_text),
		cmocka_unit_test(a_malformed_limit_is_rejected),
		cmocka_unit_test(the_newest_version_survives_outside_of_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
