/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Changes of a pool that is mapped: each way in which bytes are cut off, punched or made
 * zero, with each way in which a copy of them can wait in a WPQ. The bytes do not come
 * back, neither live nor after an outage.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mappedtest.h"
#include "pooltest.h"

/* Where in the page a cut of a part of it is. */
#define CUT_IN_PAGE 100u
#define CUT_AT MAPPED_WAITS_AT

/* ---- Changes ---------------------------------------------------------------------- */

struct change {
	const char *name;
	void (*make)(struct mapped *scene);
	uint64_t cut; /* from here to the end of the page, bytes are cut off */
};

static void resize(struct mapped *scene, uint64_t size)
{
	assert_int_equal(pool_truncate(pool_of(scene->handle), scene->handle, size), 0);
}

static void fallocate_all(struct mapped *scene)
{
	assert_int_equal(pool_fallocate(scene->handle, 0, 0, MAPPED_BYTES), 0);
}

static void write_past_cut(struct mapped *scene)
{
	assert_int_equal(pool_write(scene->handle, "w", 1, MAPPED_BYTES - 1, POOL_WRITE_FILE), 1);
	/* This page gets a block, and of the cut line no byte. */
	assert_int_equal(pool_write(scene->handle, "", 1, CUT_AT + PAGE_BYTES - 1, POOL_WRITE_FILE), 1);
}

static void truncate_and_grow(struct mapped *scene)
{
	resize(scene, CUT_AT);
	resize(scene, MAPPED_BYTES);
}

static void truncate_and_fallocate(struct mapped *scene)
{
	resize(scene, CUT_AT);
	fallocate_all(scene);
}

static void truncate_and_write(struct mapped *scene)
{
	resize(scene, CUT_AT);
	write_past_cut(scene);
}

static void truncate_in_page_and_grow(struct mapped *scene)
{
	resize(scene, CUT_AT + CUT_IN_PAGE);
	resize(scene, MAPPED_BYTES);
}

static void truncate_in_page_and_write(struct mapped *scene)
{
	resize(scene, CUT_AT + CUT_IN_PAGE);
	write_past_cut(scene);
}

static void punch(struct mapped *scene)
{
	assert_int_equal(pool_fallocate(scene->handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, CUT_AT,
					PAGE_BYTES),
			 0);
}

static void punch_and_fallocate(struct mapped *scene)
{
	punch(scene);
	fallocate_all(scene);
}

static void punch_and_write(struct mapped *scene)
{
	punch(scene);
	write_past_cut(scene);
}

static void zero(struct mapped *scene)
{
	assert_int_equal(pool_fallocate(scene->handle, FALLOC_FL_ZERO_RANGE, CUT_AT, PAGE_BYTES), 0);
}

static const struct change changes[] = {
	{ "truncate and grow", truncate_and_grow, 0 },
	{ "truncate and fallocate", truncate_and_fallocate, 0 },
	{ "truncate and write", truncate_and_write, 0 },
	{ "truncate in a page and grow", truncate_in_page_and_grow, CUT_IN_PAGE },
	{ "truncate in a page and write", truncate_in_page_and_write, CUT_IN_PAGE },
	{ "punch", punch, 0 },
	{ "punch and fallocate", punch_and_fallocate, 0 },
	{ "punch and write", punch_and_write, 0 },
	{ "zero range", zero, 0 },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void for_each_pair(void (*test)(const struct mapped_wait *wait, const struct change *change))
{
	for (size_t w = 0; w < MAPPED_WAITS; w++)
		for (size_t c = 0; c < COUNT(changes); c++) {
			print_message("# %s, %s\n", mapped_waits[w].name, changes[c].name);
			test(&mapped_waits[w], &changes[c]);
		}
}

/* ---- Bytes that were cut off ------------------------------------------------------- */

static void store_and_change(struct mapped *scene, const struct mapped_wait *wait,
			     const struct change *change)
{
	mapped_begin(scene);
	mapped_persist(scene, 0, 'k');
	memset(scene->memory + CUT_AT, 'a', PAGE_BYTES);
	wait->before(scene);
	change->make(scene);
	wait->after(scene);
}

static void cut_bytes_stay_away_live(const struct mapped_wait *wait, const struct change *change)
{
	struct mapped scene;

	store_and_change(&scene, wait, change);
	mapped_assert_zero(&scene, CUT_AT + change->cut, PAGE_BYTES - change->cut);
	assert_int_equal(pools_drain(scene.pools), 0);
	mapped_assert_zero(&scene, CUT_AT + change->cut, PAGE_BYTES - change->cut);
	assert_int_equal(scene.memory[CUT_AT + change->cut], 0);
	assert_int_equal(pool_sync(scene.handle, false), 0);
	mapped_end(&scene);
}

static void bytes_that_were_cut_off_are_not_read_again(void **state)
{
	for_each_pair(cut_bytes_stay_away_live);
}

static void cut_bytes_stay_away_after_outage(const struct mapped_wait *wait,
					     const struct change *change)
{
	static const struct chooser choosers[] = {
		{ .policy = CHOOSER_LOSE },
		{ .policy = CHOOSER_KEEP },
		{ .policy = CHOOSER_RANDOM, .seed = 1 },
		{ .policy = CHOOSER_RANDOM, .seed = 2 },
	};

	for (size_t i = 0; i < COUNT(choosers); i++) {
		struct mapped scene;

		store_and_change(&scene, wait, change);
		mapped_outage(&scene, choosers[i].policy, choosers[i].seed);
		mapped_assert_zero(&scene, CUT_AT + change->cut, PAGE_BYTES - change->cut);
		/* This byte was flushed and fenced before the change. */
		assert_int_equal(mapped_byte_at(&scene, 0), 'k');
		mapped_end(&scene);
	}
}

static void bytes_that_were_cut_off_do_not_come_back_in_an_outage(void **state)
{
	for_each_pair(cut_bytes_stay_away_after_outage);
}

/*
 * Under eADR, the record of a non-temporal store has what was there before it, and an outage restores that if
 * the line still has what was stored: zeros here, as after the change.
 */
static void undo_record_stays_away(const struct change *change, enum chooser_policy policy)
{
	const struct pools_options options = { .domain = PERSISTENCE_CPU_CACHE };
	const uint64_t at = CUT_AT + align_up(change->cut, LINE_SIZE);
	struct wpq_record *record;
	struct mapped scene;

	mapped_begin_with(&scene, &options);
	memset(scene.memory + at, 'o', LINE_SIZE);
	record = wpq_undo_before(&scene.producers[0], scene.view, scene.memory, at);
	assert_non_null(record);
	memset(scene.memory + at, 0, LINE_SIZE);
	wpq_undo_after(&scene.producers[0], record, scene.memory);
	if (change->make)
		change->make(&scene);
	mapped_outage(&scene, policy, 0);
	if (change->make)
		mapped_assert_zero(&scene, at, LINE_SIZE);
	else
		assert_int_equal(mapped_byte_at(&scene, at), policy == CHOOSER_LOSE ? 'o' : 0);
	mapped_end(&scene);
}

static void what_a_non_temporal_store_replaced_does_not_come_back_either(void **state)
{
	static const struct change nothing = { .name = "negative control: no change" };

	undo_record_stays_away(&nothing, CHOOSER_LOSE);
	undo_record_stays_away(&nothing, CHOOSER_KEEP);
	for (size_t c = 0; c < COUNT(changes); c++) {
		print_message("# %s\n", changes[c].name);
		undo_record_stays_away(&changes[c], CHOOSER_LOSE);
		undo_record_stays_away(&changes[c], CHOOSER_KEEP);
	}
}

static void bytes_before_the_cut_are_kept(void **state)
{
	for (size_t w = 0; w < MAPPED_WAITS; w++) {
		static const struct change cut = { "", truncate_in_page_and_grow, CUT_IN_PAGE };
		struct mapped scene;

		if (!mapped_waits[w].fenced)
			continue;
		store_and_change(&scene, &mapped_waits[w], &cut);
		mapped_outage(&scene, CHOOSER_LOSE, 0);
		assert_int_equal(mapped_byte_at(&scene, CUT_AT + CUT_IN_PAGE - 1), 'a');
		mapped_end(&scene);
	}
}

/* ---- Stores after the change --------------------------------------------------------- */

static void store_after_change_is_durable(const struct mapped_wait *wait, const struct change *change)
{
	const uint64_t at = CUT_AT + change->cut + 7;
	struct mapped scene;

	store_and_change(&scene, wait, change);
	/* The size is durable then. */
	assert_int_equal(pool_sync(scene.handle, false), 0);
	mapped_persist(&scene, at, 'Q');
	assert_int_equal(mapped_byte_at(&scene, at), 'Q');
	mapped_outage(&scene, CHOOSER_LOSE, 0);
	assert_int_equal(mapped_byte_at(&scene, at), 'Q');
	mapped_end(&scene);
}

static void what_is_persisted_in_a_place_that_came_back_is_durable(void **state)
{
	for_each_pair(store_after_change_is_durable);
}

static void store_after_change_without_flush_is_lost(const struct mapped_wait *wait,
						     const struct change *change)
{
	const uint64_t at = CUT_AT + PAGE_BYTES - LINE_SIZE;
	struct mapped scene;

	store_and_change(&scene, wait, change);
	/* The size is durable then. */
	assert_int_equal(pool_sync(scene.handle, false), 0);
	assert_int_equal(pools_drain(scene.pools), 0);
	scene.memory[at] = 'Q';
	mapped_outage(&scene, CHOOSER_LOSE, 0);
	assert_int_equal(mapped_byte_at(&scene, at), 0);
	mapped_end(&scene);
}

static void what_is_stored_there_and_not_persisted_is_lost(void **state)
{
	for_each_pair(store_after_change_without_flush_is_lost);
}

static void store_after_change_is_synced(const struct mapped_wait *wait, const struct change *change)
{
	const uint64_t at = CUT_AT + PAGE_BYTES - LINE_SIZE;
	struct mapped scene;

	store_and_change(&scene, wait, change);
	scene.memory[at] = 'Q';
	assert_int_equal(pool_sync(scene.handle, false), 0);
	mapped_outage(&scene, CHOOSER_LOSE, 0);
	assert_int_equal(mapped_byte_at(&scene, at), 'Q');
	mapped_end(&scene);
}

static void a_sync_makes_what_was_stored_there_durable(void **state)
{
	for_each_pair(store_after_change_is_synced);
}

/* ---- Growing under a mapping ----------------------------------------------------------- */

static void grow_by_truncate(struct mapped *scene)
{
	resize(scene, MAPPED_GROWN_BYTES);
}

static void grow_by_write(struct mapped *scene)
{
	assert_int_equal(pool_write(scene->handle, "e", 1, MAPPED_GROWN_BYTES - 1, POOL_WRITE_FILE), 1);
	assert_int_equal(pool_sync(scene->handle, false), 0);
}

static void grow_by_fallocate(struct mapped *scene)
{
	assert_int_equal(pool_fallocate(scene->handle, 0, 0, MAPPED_GROWN_BYTES), 0);
}

static void (*const growths[])(struct mapped *scene) = { grow_by_truncate, grow_by_write, grow_by_fallocate };

static void what_is_persisted_in_a_part_that_was_added_is_durable(void **state)
{
	for (size_t i = 0; i < COUNT(growths); i++) {
		struct mapped scene;

		mapped_begin(&scene);
		growths[i](&scene);
		mapped_persist(&scene, MAPPED_BYTES + 9000, 'Q');
		assert_int_equal(mapped_byte_at(&scene, MAPPED_BYTES + 9000), 'Q');
		assert_int_equal(pools_drain(scene.pools), 0);
		mapped_outage(&scene, CHOOSER_LOSE, 0);
		assert_int_equal(mapped_byte_at(&scene, MAPPED_BYTES + 9000), 'Q');
		mapped_end(&scene);
	}
}

static void what_was_stored_past_the_end_is_gone_when_the_pool_grows(void **state)
{
	for (size_t i = 0; i < COUNT(growths); i++) {
		struct mapped scene;

		mapped_begin(&scene);
		resize(&scene, CUT_AT + CUT_IN_PAGE);
		memset(scene.memory + CUT_AT, 'p', 3 * PAGE_BYTES);
		mapped_flush(&scene, 0, CUT_AT, 3 * PAGE_BYTES);
		mapped_fence(&scene, 0);
		assert_int_equal(pools_drain(scene.pools), 0);
		growths[i](&scene);
		mapped_assert_zero(&scene, CUT_AT + CUT_IN_PAGE, 3 * PAGE_BYTES - CUT_IN_PAGE);
		assert_int_equal(scene.memory[CUT_AT + PAGE_BYTES], 0);
		mapped_outage(&scene, CHOOSER_LOSE, 0);
		mapped_assert_zero(&scene, CUT_AT + CUT_IN_PAGE, 3 * PAGE_BYTES - CUT_IN_PAGE);
		assert_int_equal(mapped_byte_at(&scene, CUT_AT + CUT_IN_PAGE - 1), 'p');
		mapped_end(&scene);
	}
}

static void a_write_to_part_of_a_page_keeps_what_was_stored_beside_it(void **state)
{
	struct mapped scene;

	mapped_begin(&scene);
	truncate_and_grow(&scene);
	scene.memory[CUT_AT + 1000] = 'Q';
	assert_int_equal(pool_write(scene.handle, "w", 1, CUT_AT + 2000, POOL_WRITE_FILE), 1);
	assert_int_equal(mapped_byte_at(&scene, CUT_AT + 1000), 'Q');
	assert_int_equal(scene.memory[CUT_AT + 2000], 'w');
	mapped_end(&scene);
}

static void a_second_attach_keeps_what_was_stored(void **state)
{
	struct pool_attachment attachment;
	struct mapped scene;

	mapped_begin(&scene);
	truncate_and_grow(&scene);
	mapped_persist(&scene, CUT_AT, 'd');
	assert_int_equal(pools_drain(scene.pools), 0);
	scene.memory[CUT_AT] = 'Q';
	assert_int_equal(pool_attach(pool_of(scene.handle), &attachment), 0);
	assert_int_equal(scene.memory[CUT_AT], 'Q');
	mapped_end(&scene);
}

static void a_place_stored_to_in_a_hole_is_data_to_seek(void **state)
{
	struct mapped scene;

	mapped_begin(&scene);
	truncate_and_grow(&scene);
	assert_int_equal(pool_seek(scene.handle, CUT_AT, SEEK_DATA), -ENXIO);
	scene.memory[CUT_AT + 3 * PAGE_BYTES] = 'Q';
	assert_int_equal(pool_seek(scene.handle, CUT_AT, SEEK_DATA), CUT_AT + 3 * PAGE_BYTES);
	mapped_end(&scene);
}

static uint64_t memory_blocks(struct mapped *scene)
{
	struct pool_attachment attachment;
	struct stat st;

	assert_int_equal(pool_attach(pool_of(scene->handle), &attachment), 0);
	assert_int_equal(fstat(attachment.fd, &st), 0);
	close(attachment.fd);
	return (uint64_t)st.st_blocks * 512;
}

static void memory_that_nobody_touched_stays_untouched(void **state)
{
	struct mapped scene;
	uint64_t lines;

	mapped_begin(&scene);
	scene.memory[CUT_AT] = 'Q';
	mapped_persist(&scene, CUT_AT + 2 * PAGE_BYTES, 'Q');
	assert_int_equal(pool_volatile_lines(pool_of(scene.handle), &lines), 0);
	assert_int_equal(lines, 2);
	assert_int_equal(pool_sync(scene.handle, false), 0);
	assert_int_equal(pool_volatile_lines(pool_of(scene.handle), &lines), 0);
	assert_int_equal(lines, 0);
	assert_int_equal(memory_blocks(&scene), 2 * PAGE_BYTES);
	/* A page whose memory was given back reads as zero, and that is written as well. */
	assert_int_equal(madvise(scene.memory + CUT_AT, PAGE_BYTES, MADV_REMOVE), 0);
	assert_int_equal(pool_sync(scene.handle, false), 0);
	mapped_outage(&scene, CHOOSER_LOSE, 0);
	assert_int_equal(mapped_byte_at(&scene, CUT_AT), 0);
	assert_int_equal(mapped_byte_at(&scene, CUT_AT + 2 * PAGE_BYTES), 'Q');
	mapped_end(&scene);
}

/* ---- Space ----------------------------------------------------------------------------- */

static void a_record_of_a_hole_takes_no_block_that_a_write_was_promised(void **state)
{
	struct mapped scene;

	mapped_begin(&scene);
	memset(scene.memory, 'a', MAPPED_BYTES);
	mapped_flush(&scene, 0, CUT_AT, 8 * PAGE_BYTES);
	mapped_fence(&scene, 0);
	truncate_and_grow(&scene);
	for (uint64_t at = 8 * PAGE_BYTES + CUT_AT; at < MAPPED_BYTES; at += PAGE_BYTES)
		assert_int_equal(pool_write(scene.handle, "w", 1, at, POOL_WRITE_FILE), 1);
	mapped_persist(&scene, CUT_AT, 'Q');
	assert_int_equal(pools_drain(scene.pools), 0);
	assert_int_equal(pool_sync(scene.handle, false), 0);
	mapped_end(&scene);
}

static void a_store_to_a_hole_of_a_full_region_ends_its_wpq_and_no_other(void **state)
{
	struct pools_info info;
	struct mapped scene;

	mapped_begin(&scene);
	punch(&scene);
	pooltest_make(scene.pools, "/other", S_IFREG | 0644, 0);
	pools_info(scene.pools, &info);
	{
		struct pool_handle *other = pooltest_handle(scene.pools, "/other");
		uint64_t size = 0;

		while (pool_fallocate(other, 0, size, PAGE_BYTES) == 0)
			size += PAGE_BYTES;
		pool_close(other);
	}
	scene.memory[PAGE_BYTES] = 'o';
	mapped_flush(&scene, 1, PAGE_BYTES, 1);
	mapped_fence(&scene, 1);
	mapped_persist(&scene, CUT_AT, 'Q');
	assert_int_equal(pools_drain(scene.pools), -ENOSPC);
	assert_int_equal(wpq_fault(scene.wpqs[0]), -ENOSPC);
	assert_int_equal(wpq_fault(scene.wpqs[1]), 0);
	assert_int_equal(mapped_byte_at(&scene, PAGE_BYTES), 'o');
	mapped_outage(&scene, CHOOSER_LOSE, 0);
	assert_int_equal(mapped_byte_at(&scene, PAGE_BYTES), 'o');
	mapped_end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_that_were_cut_off_are_not_read_again),
		cmocka_unit_test(bytes_that_were_cut_off_do_not_come_back_in_an_outage),
		cmocka_unit_test(what_a_non_temporal_store_replaced_does_not_come_back_either),
		cmocka_unit_test(bytes_before_the_cut_are_kept),
		cmocka_unit_test(what_is_persisted_in_a_place_that_came_back_is_durable),
		cmocka_unit_test(what_is_stored_there_and_not_persisted_is_lost),
		cmocka_unit_test(a_sync_makes_what_was_stored_there_durable),
		cmocka_unit_test(what_is_persisted_in_a_part_that_was_added_is_durable),
		cmocka_unit_test(what_was_stored_past_the_end_is_gone_when_the_pool_grows),
		cmocka_unit_test(a_write_to_part_of_a_page_keeps_what_was_stored_beside_it),
		cmocka_unit_test(a_second_attach_keeps_what_was_stored),
		cmocka_unit_test(a_place_stored_to_in_a_hole_is_data_to_seek),
		cmocka_unit_test(memory_that_nobody_touched_stays_untouched),
		cmocka_unit_test(a_record_of_a_hole_takes_no_block_that_a_write_was_promised),
		cmocka_unit_test(a_store_to_a_hole_of_a_full_region_ends_its_wpq_and_no_other),
	};

	return cmocka_run_group_tests_name("cut_under_mapping", tests, NULL, NULL);
}
