/* SPDX-License-Identifier: BSD-3-Clause */

/* The WPQ: full rings, hostile rings, and two threads that flush one line. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "badpage.h"
#include "common/align.h"
#include "wpqtest.h"

static void a_range_larger_than_the_ring_goes_through_it(void **state)
{
	struct machine *m = *state;

	for (unsigned i = 0; i < VIEW_SIZE; i++)
		view_memory(m->view)[i] = (unsigned char)(i * 7 + i / 4096);
	assert_true(machine_flush(m, 0, 1, VIEW_SIZE - 1));
	wpq_fence(&m->producers[0]);
	assert_int_equal(domain_drain(m->domain), 0);
	assert_memory_equal(machine_media(m), view_memory(m->view), VIEW_SIZE);
}

static void without_a_fence_nothing_is_drained(void **state)
{
	struct machine *m = *state;

	view_memory(m->view)[100] = 'x';
	assert_true(machine_flush(m, 0, 100, 1));
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_media(m)[100], 0);
	wpq_fence(&m->producers[0]);
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_media(m)[100], 'x');
}

static void an_older_snapshot_never_covers_a_newer_one(void **state)
{
	struct machine *m = *state;

	view_memory(m->view)[0] = 1;
	assert_true(machine_flush(m, 0, 0, 1));
	view_memory(m->view)[0] = 2;
	assert_true(machine_flush(m, 1, 0, 1));
	wpq_fence(&m->producers[1]);
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_media(m)[0], 2);
	wpq_fence(&m->producers[0]);
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_media(m)[0], 2);
}

static void two_older_snapshots_of_one_thread_never_cover_a_newer_one(void **state)
{
	struct machine *m = *state;

	for (unsigned char value = 1; value <= 2; value++) {
		view_memory(m->view)[0] = value;
		assert_true(machine_flush(m, 1, 0, 1));
	}
	view_memory(m->view)[0] = 3;
	assert_true(machine_flush(m, 0, 0, 1));
	wpq_fence(&m->producers[0]);
	assert_int_equal(domain_drain(m->domain), 0);
	wpq_fence(&m->producers[1]);
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_media(m)[0], 3);
}

/* Thread 0 flushes first and fences last; thread 1 flushes and fences its own in between. */
static void older_then_newer(struct machine *m, uint64_t older, uint64_t older_length, uint64_t newer,
			     uint64_t newer_length)
{
	memset(view_memory(m->view), 1, VIEW_SIZE);
	assert_true(machine_flush(m, 0, older, older_length));
	memset(view_memory(m->view) + newer, 2, newer_length);
	assert_true(machine_flush(m, 1, newer, newer_length));
	wpq_fence(&m->producers[1]);
	assert_int_equal(domain_drain(m->domain), 0);
	wpq_fence(&m->producers[0]);
	assert_int_equal(domain_drain(m->domain), 0);
	assert_memory_equal(machine_media(m) + newer, view_memory(m->view) + newer, newer_length);
	assert_memory_equal(machine_media(m) + older, view_memory(m->view) + older, older_length);
}

static void an_older_page_covers_no_newer_line(void **state)
{
	older_then_newer(*state, PAGE_BYTES, PAGE_BYTES, PAGE_BYTES + 640, 128);
}

static void an_older_line_covers_no_newer_page(void **state)
{
	older_then_newer(*state, 640, 64, 0, PAGE_BYTES);
}

static void an_older_page_covers_no_newer_page(void **state)
{
	older_then_newer(*state, PAGE_BYTES, PAGE_BYTES, PAGE_BYTES, PAGE_BYTES);
}

/* Enough that one of them shares its entry of the table of pages with the first view's. */
#define OTHERS 700

static void an_older_page_covers_no_newer_page_where_pages_share_an_entry(void **state)
{
	struct machine *m = *state;
	struct view *others[OTHERS];
	struct wpq_producer producer;
	struct wpq *wpq;

	/* The last to be made is drained first: what is flushed here must be drained after thread 1's. */
	machine_end_wpqs(m);
	assert_int_equal(wpq_create(m->domain, 8u << 20, &wpq), 0);
	assert_int_equal(wpq_producer_open(wpq_fd(wpq), &producer), 0);
	machine_make_wpqs(m, WPQ_BYTES);
	for (int i = 0; i < OTHERS; i++) {
		assert_int_equal(view_create(m->domain, &machine_identity, NULL, &others[i]), 0);
		assert_int_equal(view_attach(others[i], PAGE_BYTES), 0);
		assert_true(
			wpq_flush(&producer, view_id(others[i]), view_memory(others[i]), 0, PAGE_BYTES, 0));
	}
	wpq_fence(&producer);
	memset(view_memory(m->view), 1, PAGE_BYTES);
	assert_true(wpq_flush(&producer, view_id(m->view), view_memory(m->view), 0, PAGE_BYTES, 0));
	memset(view_memory(m->view), 2, PAGE_BYTES);
	assert_true(machine_flush(m, 1, 0, PAGE_BYTES));
	wpq_fence(&m->producers[1]);
	assert_int_equal(domain_drain(m->domain), 0);
	wpq_fence(&producer);
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_media(m)[64], 2);
	for (int i = 0; i < OTHERS; i++)
		view_destroy(others[i]);
	wpq_producer_close(&producer);
	wpq_destroy(wpq);
}

static void records_that_a_closed_wpq_was_not_drained_of_move_to_another(void **state)
{
	struct machine *m = *state;
	struct wpq_producer old, new;
	struct wpq *wpq;

	assert_int_equal(wpq_create(m->domain, 16384, &wpq), 0);
	assert_int_equal(wpq_producer_open(wpq_fd(wpq), &old), 0);
	view_memory(m->view)[0] = 'd';
	assert_true(wpq_flush(&old, view_id(m->view), view_memory(m->view), 0, 1, 0));
	wpq_fence(&old);
	wpq_destroy(wpq);
	assert_int_equal(atomic_load(&old.header->state), WPQ_CLOSED);
	assert_int_equal(machine_media(m)[0], 'd');
	/* The client has not looked yet. */
	view_memory(m->view)[64] = 'p';
	assert_true(wpq_flush(&old, view_id(m->view), view_memory(m->view), 64, 1, 0));
	wpq_fence(&old);
	view_memory(m->view)[128] = 'f';
	assert_true(wpq_flush(&old, view_id(m->view), view_memory(m->view), 128, 1, 0));

	assert_int_equal(wpq_create(m->domain, 16384, &wpq), 0);
	assert_int_equal(wpq_producer_open(wpq_fd(wpq), &new), 0);
	assert_int_equal(wpq_producer_move(&old, &new), 0);
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_media(m)[64], 'p');
	assert_int_equal(machine_media(m)[128], 0);
	wpq_fence(&new);
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_media(m)[128], 'f');
	assert_int_equal(wpq_producer_move(&m->producers[0], &new), -EPROTO);
	wpq_producer_close(&old);
	wpq_producer_close(&new);
	wpq_destroy(wpq);
}

/* Stores to a view of which some are persisted, then a power failure; returns what was lost. */
static uint64_t store_and_fail(struct machine *m, enum chooser_policy policy, bool keep_memory)
{
	const struct chooser chooser = { .policy = policy, .seed = 7 };
	const struct power_failure failure = {
		.chooser = chooser,
		.sector = LINE_SIZE,
		.size = VIEW_SIZE,
		.keep_memory = keep_memory,
	};
	struct domain_lines lines;

	for (unsigned i = 0; i < VIEW_SIZE; i += 96)
		view_memory(m->view)[i] ^= (unsigned char)(i + 1);
	assert_true(machine_flush(m, 0, VIEW_SIZE / 4, VIEW_SIZE / 4));
	wpq_fence(&m->producers[0]);
	assert_int_equal(domain_settle(m->domain, &chooser), 0);
	assert_int_equal(view_power_failure(m->view, &failure, &lines), 0);
	assert_true(lines.guaranteed > 0 && lines.undetermined > 0);
	assert_int_equal(lines.undetermined, lines.kept + lines.lost);
	return lines.lost;
}

static void memory_that_an_outage_keeps_is_equal_to_the_media(void **state)
{
	static const enum chooser_policy policies[] = { CHOOSER_LOSE, CHOOSER_RANDOM, CHOOSER_KEEP,
							CHOOSER_LOSE };
	struct machine *m = *state;

	for (int i = 0; i < 4; i++) {
		uint64_t lost = store_and_fail(m, policies[i], true);

		assert_true(policies[i] == CHOOSER_KEEP ? lost == 0 : lost > 0);
		assert_int_equal(view_present_pages(m->view), VIEW_SIZE / PAGE_BYTES);
		assert_false(view_is_dirty(m->view));
		assert_null(view_memory(m->view));
		assert_int_equal(view_attach(m->view, VIEW_SIZE), 0);
		assert_memory_equal(view_memory(m->view), machine_media(m), VIEW_SIZE);
	}
	store_and_fail(m, CHOOSER_LOSE, false);
	assert_int_equal(view_present_pages(m->view), 0);
	assert_int_equal(view_attach(m->view, VIEW_SIZE), 0);
	assert_memory_equal(view_memory(m->view), machine_media(m), VIEW_SIZE);
}

static void a_bad_page_does_not_hold_up_the_other_pages_of_a_wpq(void **state)
{
	const uint64_t bad = 5 * LINES_PER_PAGE, good = 6 * LINES_PER_PAGE;
	struct machine *m = *state;

	badpage_unreadable(m->region, MACHINE_MEDIA_OFFSET + 5 * PAGE_BYTES);
	for (int thread = 0; thread < 2; thread++) {
		machine_persist(m, thread, bad + (uint64_t)thread, 'b');
		machine_persist(m, thread, good + (uint64_t)thread, 'g');
	}
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_has(m, good), 'g');
	assert_int_equal(machine_has(m, good + 1), 'g');
	assert_false(wpq_is_dead(m->wpqs[0]));
	assert_int_equal(view_persist(m->view, 0, VIEW_SIZE / PAGE_BYTES), -EIO);
	assert_int_equal(view_persist(m->view, 6, 1), 0);
}

static void a_drain_counts_what_it_drains(void **state)
{
	struct machine *m = *state;
	struct domain_counts counts;
	struct wpq_usage usage;

	domain_count_clean(m->domain, true);
	view_memory(m->view)[0] = 1;
	assert_true(machine_flush(m, 0, 0, 200));
	wpq_usage(m->wpqs[0], &usage);
	assert_int_equal(usage.waiting[WPQ_FENCED], 5 * LINE_SIZE);
	wpq_fence(&m->producers[0]);
	wpq_fence(&m->producers[0]);
	assert_true(wpq_clflush(&m->producers[1], view_id(m->view), view_memory(m->view), 0));
	view_memory(m->view)[PAGE_BYTES] = 1;
	assert_int_equal(domain_drain(m->domain), 0);
	view_counts(m->view, &counts);
	assert_int_equal(counts.flushes, 2);
	assert_int_equal(counts.persists, 1);
	assert_int_equal(counts.fences, 2);
	assert_int_equal(counts.lines, 5);
	assert_int_equal(counts.clean_lines, 4);
	wpq_usage(m->wpqs[0], &usage);
	assert_int_equal(usage.counts.lines, 4);
	assert_int_equal(usage.idle_fences, 1);
	assert_int_equal(usage.waiting[WPQ_FENCED], 0);
	assert_int_equal(view_volatile_lines(m->view), 1);
}

static void a_record_has_the_content_at_the_time_of_its_flush(void **state)
{
	struct machine *m = *state;

	for (int thread = 0; thread < 2; thread++) {
		view_memory(m->view)[0] = (unsigned char)(10 * thread + 1);
		assert_true(machine_flush(m, thread, 0, 1));
		view_memory(m->view)[0] = (unsigned char)(10 * thread + 2);
		wpq_fence(&m->producers[thread]);
		assert_int_equal(domain_drain(m->domain), 0);
		assert_int_equal(machine_media(m)[0], 10 * thread + 1);
	}
}

static void records_of_a_destroyed_view_are_dropped(void **state)
{
	struct machine *m = *state;
	struct view *gone = NULL;

	assert_int_equal(view_create(m->domain, &machine_identity, NULL, &gone), 0);
	assert_int_equal(view_attach(gone, PAGE_BYTES), 0);
	assert_true(wpq_flush(&m->producers[0], view_id(gone), view_memory(gone), 0, 1, 0));
	view_memory(m->view)[64] = 'k';
	assert_true(machine_flush(m, 0, 64, 1));
	wpq_fence(&m->producers[0]);
	view_destroy(gone);
	assert_int_equal(domain_drain(m->domain), 0);
	assert_false(wpq_is_dead(m->wpqs[0]));
	assert_int_equal(machine_media(m)[64], 'k');
}

/* ---- Threads ------------------------------------------------------------------- */

#define ROUNDS 100000u

struct racer {
	struct machine *m;
	int number;
	_Atomic uint64_t fenced;
	_Atomic bool done;
};

static void *race(void *argument)
{
	struct racer *racer = argument;
	_Atomic uint64_t *word = (_Atomic uint64_t *)view_memory(racer->m->view) + racer->number;

	for (uint64_t i = 1; i <= ROUNDS; i++) {
		atomic_store_explicit(word, i, memory_order_relaxed);
		if (!machine_flush(racer->m, racer->number, 0, 8))
			break;
		wpq_fence(&racer->m->producers[racer->number]);
		atomic_store(&racer->fenced, i);
	}
	atomic_store(&racer->done, true);
	return NULL;
}

static void two_threads_on_one_line_lose_nothing_that_they_fenced(void **state)
{
	struct machine *m = *state;
	struct racer racers[2] = { { .m = m, .number = 0 }, { .m = m, .number = 1 } };
	pthread_t threads[2];
	uint64_t media[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, race, &racers[i]);
	while (!racers[0].done || !racers[1].done) {
		uint64_t fenced[2] = { racers[0].fenced, racers[1].fenced };

		assert_int_equal(domain_drain(m->domain), 0);
		machine_read_media(m, 0, media, sizeof(media));
		for (int i = 0; i < 2; i++)
			assert_true(media[i] >= fenced[i]);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(domain_drain(m->domain), 0);
	machine_read_media(m, 0, media, sizeof(media));
	for (int i = 0; i < 2; i++)
		assert_int_equal(media[i], ROUNDS);
}

/* ---- Hostile clients ---------------------------------------------------------------- */

static void assert_only_zero_died(struct machine *m)
{
	machine_only_zero_dies(m);
	/* And what was fenced before the bad record is there. */
	assert_int_equal(machine_media(m)[0], 'v');
}

static struct wpq_record *good_then(struct machine *m)
{
	view_memory(m->view)[0] = 'v';
	assert_true(machine_flush(m, 0, 0, 1));
	assert_true(machine_flush(m, 0, 4096, 64));
	wpq_fence(&m->producers[0]);
	return (struct wpq_record *)(m->producers[0].rings[WPQ_FENCED] + 128);
}

static void a_record_with_a_wild_offset_ends_only_its_own_wpq(void **state)
{
	good_then(*state)->offset = (uint64_t)1 << 60;
	assert_only_zero_died(*state);
}

static void a_record_with_an_offset_that_wraps_ends_only_its_own_wpq(void **state)
{
	good_then(*state)->offset = UINT64_MAX - 63;
	assert_only_zero_died(*state);
}

static void a_record_with_an_unaligned_offset_ends_only_its_own_wpq(void **state)
{
	good_then(*state)->offset = 4097;
	assert_only_zero_died(*state);
}

static void a_record_with_a_wild_length_ends_only_its_own_wpq(void **state)
{
	good_then(*state)->lines = UINT32_MAX;
	assert_only_zero_died(*state);
}

static void a_record_of_no_lines_ends_only_its_own_wpq(void **state)
{
	good_then(*state)->lines = 0;
	assert_only_zero_died(*state);
}

static void a_record_of_an_unknown_view_ends_only_its_own_wpq(void **state)
{
	good_then(*state)->view = 77;
	assert_only_zero_died(*state);
}

static void a_record_of_an_unknown_kind_ends_only_its_own_wpq(void **state)
{
	good_then(*state)->kind = 9;
	assert_only_zero_died(*state);
}

static void a_published_position_that_is_too_large_ends_only_its_own_wpq(void **state)
{
	struct machine *m = *state;

	view_memory(m->view)[0] = 'v';
	assert_true(machine_flush(m, 0, 0, 1));
	wpq_fence(&m->producers[0]);
	assert_int_equal(domain_drain(m->domain), 0);
	atomic_store(&m->producers[0].header->lanes[WPQ_FENCED].published, UINT64_MAX);
	assert_only_zero_died(m);
}

static void a_published_position_that_goes_back_ends_only_its_own_wpq(void **state)
{
	struct machine *m = *state;

	view_memory(m->view)[0] = 'v';
	assert_true(machine_flush(m, 0, 0, 1));
	wpq_fence(&m->producers[0]);
	assert_int_equal(domain_drain(m->domain), 0);
	atomic_store(&m->producers[0].header->lanes[WPQ_FENCED].published, 64);
	assert_only_zero_died(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		machine_test(a_range_larger_than_the_ring_goes_through_it),
		machine_test(without_a_fence_nothing_is_drained),
		machine_test(an_older_snapshot_never_covers_a_newer_one),
		machine_test(two_older_snapshots_of_one_thread_never_cover_a_newer_one),
		machine_test(an_older_page_covers_no_newer_line),
		machine_test(an_older_line_covers_no_newer_page),
		machine_test(an_older_page_covers_no_newer_page),
		machine_test(an_older_page_covers_no_newer_page_where_pages_share_an_entry),
		machine_test(records_that_a_closed_wpq_was_not_drained_of_move_to_another),
		machine_test(memory_that_an_outage_keeps_is_equal_to_the_media),
		machine_test(a_bad_page_does_not_hold_up_the_other_pages_of_a_wpq),
		machine_test(a_drain_counts_what_it_drains),
		machine_test(a_record_has_the_content_at_the_time_of_its_flush),
		machine_test(records_of_a_destroyed_view_are_dropped),
		machine_test(two_threads_on_one_line_lose_nothing_that_they_fenced),
		machine_test(a_record_with_a_wild_offset_ends_only_its_own_wpq),
		machine_test(a_record_with_an_offset_that_wraps_ends_only_its_own_wpq),
		machine_test(a_record_with_an_unaligned_offset_ends_only_its_own_wpq),
		machine_test(a_record_with_a_wild_length_ends_only_its_own_wpq),
		machine_test(a_record_of_no_lines_ends_only_its_own_wpq),
		machine_test(a_record_of_an_unknown_view_ends_only_its_own_wpq),
		machine_test(a_record_of_an_unknown_kind_ends_only_its_own_wpq),
		machine_test(a_published_position_that_is_too_large_ends_only_its_own_wpq),
		machine_test(a_published_position_that_goes_back_ends_only_its_own_wpq),
	};

	badpage_init();
	return cmocka_run_group_tests_name("wpq", tests, NULL, NULL);
}
