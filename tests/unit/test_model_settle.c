/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/settle.h"

static const struct chooser lose = { .policy = CHOOSER_LOSE, .seed = 5 };
static const struct chooser keep = { .policy = CHOOSER_KEEP, .seed = 5 };

/* softpmem 0.1, pmem/domain/persist.c, written down here by itself: which lines of a page a coin kept. */
static uint64_t kept_in_0_1(uint64_t coin, uint64_t page, uint64_t mask, uint64_t sector, uint64_t size)
{
	uint64_t kept = 0;

	for (uint64_t line = 0; line < 64; line++) {
		const uint64_t offset = page * 4096 + line * 64;
		const uint64_t unit = offset - offset % sector;

		if (offset < size && (rng_mix(coin ^ rng_mix(unit + 1)) & 1))
			kept |= (uint64_t)1 << line;
	}
	return mask & kept;
}

static void a_seed_keeps_the_lines_it_kept_in_release_0_1(void **state)
{
	static const uint32_t units[] = { 64, 512, 4096 };
	struct rng rng = { 1 };

	for (unsigned i = 0; i < 3000; i++) {
		const struct chooser chooser = { .policy = CHOOSER_RANDOM, .seed = rng_next(&rng) };
		const uint64_t page = rng_below(&rng, 1000), mask = rng_next(&rng);
		const uint64_t size = page * 4096 + rng_below(&rng, 3 * 4096);
		const uint32_t unit = units[i % 3];

		assert_int_equal(settle_lines(&chooser, page, mask, unit, size),
				 kept_in_0_1(chooser.seed, page, mask, unit, size));
	}
}

static void a_sector_is_kept_or_lost_as_a_whole(void **state)
{
	unsigned kept = 0, lost = 0;

	for (uint64_t seed = 0; seed < 100; seed++) {
		const struct chooser chooser = { .policy = CHOOSER_RANDOM, .seed = seed };
		const uint64_t lines = settle_lines(&chooser, 3, UINT64_MAX, 512, UINT64_MAX);

		for (unsigned sector = 0; sector < 8; sector++) {
			const uint64_t of_it = lines >> (8 * sector) & 0xff;

			assert_true(of_it == 0 || of_it == 0xff);
			kept += of_it == 0xff;
			lost += of_it == 0;
		}
	}
	assert_in_range(kept, 300, 500);
	assert_int_equal(kept + lost, 800);
}

static void lose_keeps_no_undetermined_line_and_keep_keeps_all(void **state)
{
	const uint64_t mask = 0xf0f0f0f0f0f0f0f0;

	assert_int_equal(settle_lines(&lose, 7, mask, 64, UINT64_MAX), 0);
	assert_int_equal(settle_lines(&keep, 7, mask, 4096, UINT64_MAX), mask);
}

static void lines_past_the_end_are_never_kept(void **state)
{
	const uint64_t page = 2, start = page * 4096;

	assert_int_equal(settle_lines(&keep, page, UINT64_MAX, 64, 0), 0);
	assert_int_equal(settle_lines(&keep, page, UINT64_MAX, 64, start), 0);
	assert_int_equal(settle_lines(&keep, page, UINT64_MAX, 64, start + 1), 1);
	assert_int_equal(settle_lines(&keep, page, UINT64_MAX, 64, start + 64), 1);
	assert_int_equal(settle_lines(&keep, page, UINT64_MAX, 64, start + 65), 3);
	assert_int_equal(settle_lines(&keep, page, UINT64_MAX, 64, start + 4032), UINT64_MAX >> 1);
	assert_int_equal(settle_lines(&keep, page, UINT64_MAX, 64, start + 4033), UINT64_MAX);
	assert_int_equal(settle_lines(&keep, page, UINT64_MAX, 64, start + 4096), UINT64_MAX);
	assert_int_equal(settle_lines(&keep, UINT64_MAX / 4096, UINT64_MAX, 64, UINT64_MAX), UINT64_MAX);
}

static void a_flushed_copy_without_its_fence_is_written_by_chance_only(void **state)
{
	for (uint64_t place = 0; place < 200; place++) {
		const struct chooser random = { .policy = CHOOSER_RANDOM, .seed = place * 7 };

		assert_false(settle_flushed_copy(&lose, place));
		assert_false(settle_flushed_copy(&keep, place));
		assert_int_equal(settle_flushed_copy(&random, place),
				 rng_mix(random.seed ^ rng_mix(place + 1)) & 1);
	}
}

static void an_unfenced_nontemporal_store_is_taken_back_under_lose_and_not_under_keep(void **state)
{
	for (uint64_t place = 0; place < 200; place++) {
		const struct chooser random = { .policy = CHOOSER_RANDOM, .seed = place * 7 };

		assert_true(settle_undo_store(&lose, place));
		assert_false(settle_undo_store(&keep, place));
		assert_int_equal(settle_undo_store(&random, place),
				 rng_mix(random.seed ^ rng_mix(place + 1)) & 1);
	}
}

static void a_pool_gets_its_durable_or_its_newest_size(void **state)
{
	unsigned newest = 0;

	assert_int_equal(settle_size(&lose, 10, 20), 10);
	assert_int_equal(settle_size(&keep, 10, 20), 20);
	for (uint64_t seed = 0; seed < 100; seed++) {
		const struct chooser random = { .policy = CHOOSER_RANDOM, .seed = seed };
		const uint64_t size = settle_size(&random, 10, 20);

		assert_int_equal(size, rng_mix(seed) & 1 ? 20 : 10);
		newest += size == 20;
	}
	assert_in_range(newest, 30, 70);
}

static void caches_are_kept_under_eadr_whatever_the_policy(void **state)
{
	static const enum chooser_policy policies[] = { CHOOSER_LOSE, CHOOSER_KEEP, CHOOSER_RANDOM };

	for (unsigned i = 0; i < 3; i++) {
		const struct chooser chooser = { .policy = policies[i], .seed = 9 };

		assert_int_equal(settle_caches(&chooser, PERSISTENCE_CPU_CACHE).policy, CHOOSER_KEEP);
		assert_int_equal(settle_caches(&chooser, PERSISTENCE_MEMORY_CONTROLLER).policy, policies[i]);
		assert_int_equal(settle_caches(&chooser, PERSISTENCE_CPU_CACHE).seed, 9);
	}
}

static void a_copy_is_surely_newer_only_than_its_own_queue_and_finished_drains(void **state)
{
	const struct settle_copy copy = { .writer = 1, .batch = 10 };

	for (uint64_t batch = 8; batch < 13; batch++) {
		const struct settle_copy own = { 1, batch }, other = { 2, batch };

		assert_false(settle_maybe_newer(&own, &copy));
		assert_int_equal(settle_maybe_newer(&other, &copy), batch >= 10);
	}
}

static void older_writes_of_other_writers_are_not_forgotten(void **state)
{
	struct settle_writes writes = { 0 };

	settle_note_write(&writes, 2, 8);
	settle_note_write(&writes, 1, 10);
	settle_note_write(&writes, 1, 12);
	for (uint64_t batch = 6; batch < 15; batch++) {
		const struct settle_copy by_1 = { 1, batch }, by_2 = { 2, batch }, by_3 = { 3, batch };

		assert_int_equal(settle_any_maybe_newer(&writes, &by_1), batch <= 8);
		assert_int_equal(settle_any_maybe_newer(&writes, &by_2), batch <= 12);
		assert_int_equal(settle_any_maybe_newer(&writes, &by_3), batch <= 12);
	}
}

static void no_write_is_newer_than_any_copy(void **state)
{
	const struct settle_writes none = { 0 };
	const struct settle_copy copy = { .writer = 3, .batch = 1 };

	assert_false(settle_any_maybe_newer(&none, &copy));
}

static void the_newest_times_are_kept_with_the_newest_size_or_under_keep(void **state)
{
	const struct chooser random = { .policy = CHOOSER_RANDOM, .seed = 3 };

	assert_true(settle_keeps_times(&keep, 10, 10));
	assert_false(settle_keeps_times(&lose, 10, 10));
	assert_false(settle_keeps_times(&random, 10, 10));
	assert_true(settle_keeps_times(&random, 10, 20));
}

static void a_limit_loses_the_lines_whose_hash_it_has(void **state)
{
	const struct chooser_limit lower = { .count = 1, .ranges = { { 0, UINT64_MAX / 2 } } };
	const struct chooser limited = { .policy = CHOOSER_LOSE, .seed = 5, .limit = &lower };
	const uint64_t page = 3, kept = settle_lines(&limited, page, UINT64_MAX, 64, UINT64_MAX);

	for (unsigned line = 0; line < 64; line++)
		assert_int_equal(kept >> line & 1,
				 chooser_hash(5, page * 4096 + line * 64) > UINT64_MAX / 2);
	assert_in_range(__builtin_popcountll(kept), 16, 48);
	for (uint64_t place = 0; place < 100; place++)
		assert_int_equal(settle_undo_store(&limited, place),
				 chooser_hash(5, place) <= UINT64_MAX / 2);
	assert_ptr_equal(settle_caches(&limited, PERSISTENCE_MEMORY_CONTROLLER).limit, &lower);
}

static void a_limit_that_keeps_the_size_keeps_the_times(void **state)
{
	const uint64_t whole = chooser_hash(5, CHOOSER_WHOLE);
	const struct chooser_limit other = { .count = 1, .ranges = { { whole + 1, whole + 1 } } };
	const struct chooser_limit this = { .count = 1, .ranges = { { whole, whole } } };
	const struct chooser keeps = { .policy = CHOOSER_LOSE, .seed = 5, .limit = &other };
	const struct chooser loses = { .policy = CHOOSER_LOSE, .seed = 5, .limit = &this };

	assert_int_equal(settle_size(&keeps, 10, 20), 20);
	assert_true(settle_keeps_times(&keeps, 10, 10));
	assert_int_equal(settle_size(&loses, 10, 20), 10);
	assert_false(settle_keeps_times(&loses, 10, 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seed_keeps_the_lines_it_kept_in_release_0_1),
		cmocka_unit_test(a_sector_is_kept_or_lost_as_a_whole),
		cmocka_unit_test(lose_keeps_no_undetermined_line_and_keep_keeps_all),
		cmocka_unit_test(lines_past_the_end_are_never_kept),
		cmocka_unit_test(a_flushed_copy_without_its_fence_is_written_by_chance_only),
		cmocka_unit_test(an_unfenced_nontemporal_store_is_taken_back_under_lose_and_not_under_keep),
		cmocka_unit_test(a_pool_gets_its_durable_or_its_newest_size),
		cmocka_unit_test(caches_are_kept_under_eadr_whatever_the_policy),
		cmocka_unit_test(a_copy_is_surely_newer_only_than_its_own_queue_and_finished_drains),
		cmocka_unit_test(older_writes_of_other_writers_are_not_forgotten),
		cmocka_unit_test(no_write_is_newer_than_any_copy),
		cmocka_unit_test(the_newest_times_are_kept_with_the_newest_size_or_under_keep),
		cmocka_unit_test(a_limit_loses_the_lines_whose_hash_it_has),
		cmocka_unit_test(a_limit_that_keeps_the_size_keeps_the_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
