/* SPDX-License-Identifier: BSD-3-Clause */

/* Lines that are flushed over and over: combined in slots of the WPQ, collected to the media. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/align.h"
#include "common/rng.h"
#include "wpqtest.h"

#define LINES (VIEW_SIZE / LINE_SIZE)

/* ---- What is in slots, and when the media has it --------------------------------- */

static void a_line_that_is_flushed_often_takes_no_room_in_the_ring(void **state)
{
	struct machine *m = *state;
	struct wpq_usage usage;
	struct domain_counts of_view;

	for (unsigned i = 0; i < 1000; i++)
		machine_persist(m, 0, 5, (unsigned char)i);
	wpq_usage(m->wpqs[0], &usage);
	assert_int_equal(usage.waiting[WPQ_FENCED], 2 * LINE_SIZE);
	assert_int_equal(domain_published(m->domain), 2 * LINE_SIZE + WPQ_SLOTS * LINE_SIZE);
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(domain_published(m->domain), 0);
	assert_int_equal(machine_has(m, 5), 999 % 256);

	wpq_usage(m->wpqs[0], &usage);
	view_counts(m->view, &of_view);
	assert_int_equal(usage.counts.flushes, 1000);
	assert_int_equal(usage.counts.lines, 1000);
	assert_int_equal(usage.counts.fences, 1000);
	assert_int_equal(usage.counts.persists, 0);
	assert_memory_equal(&of_view, &usage.counts, sizeof(of_view));
	assert_int_equal(usage.idle_fences, 0);
	wpq_fence(&m->producers[0]);
	wpq_usage(m->wpqs[0], &usage);
	assert_int_equal(usage.idle_fences, 1);
}

static void a_flush_is_counted_once_whether_it_goes_to_a_slot_or_to_the_ring(void **state)
{
	struct machine *m = *state;
	struct rng rng = { 3 };
	struct wpq_usage usage;

	/* Many more lines than slots: some slots are released. */
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t line = rng_below(&rng, 8) * WPQ_SLOTS * 3 + rng_below(&rng, 4);

		view_memory(m->view)[line * LINE_SIZE]++;
		assert_true(wpq_flush(&m->producers[0], view_id(m->view), view_memory(m->view),
				      line * LINE_SIZE, 1, WPQ_PERSIST));
		wpq_fence(&m->producers[0]);
	}
	assert_int_equal(domain_drain(m->domain), 0);
	wpq_usage(m->wpqs[0], &usage);
	assert_int_equal(usage.counts.flushes, 10000);
	assert_int_equal(usage.counts.persists, 10000);
	assert_int_equal(usage.counts.fences, 10000);
	assert_int_equal(usage.counts.lines, 10000);
}

static void no_slot_is_used_if_the_media_outlives_the_daemon(void **state)
{
	char path[] = "/tmp/softpmem-combining.XXXXXX", spec[64];
	struct wpq_usage usage;
	struct machine *m;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	snprintf(spec, sizeof(spec), "file:%s,2M", path);
	m = machine_open(spec, REGION_CREATE, WPQ_BYTES);
	for (unsigned i = 0; i < 10; i++)
		machine_persist(m, 0, 5, 'x');
	wpq_usage(m->wpqs[0], &usage);
	assert_int_equal(usage.waiting[WPQ_FENCED], 10 * 2 * LINE_SIZE);
	machine_close(m);
	unlink(path);
}

static void no_slot_is_used_while_clean_lines_are_counted(void **state)
{
	struct machine *m = *state;
	struct wpq_usage usage;

	machine_fill_slot(m, 0, 5);
	machine_persist(m, 0, 5, 'a');
	domain_count_clean(m->domain, true);
	for (unsigned i = 0; i < 10; i++)
		machine_persist(m, 0, 5, 'a');
	assert_int_equal(domain_drain(m->domain), 0);
	wpq_usage(m->wpqs[0], &usage);
	assert_int_equal(usage.counts.clean_lines, 10);
	machine_persist(m, 0, 5, 'b');
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_has(m, 5), 'b');
	domain_count_clean(m->domain, false);
	machine_fill_slot(m, 0, 5);
}

/* ---- Power failure ----------------------------------------------------------------- */

static void a_flush_of_a_slot_without_its_fence_is_lost_under_lose(void **state)
{
	struct machine *m = *state;

	machine_fill_slot(m, 0, 5);
	machine_persist(m, 0, 5, 'b');
	machine_store(m, 0, 5, 'c');
	machine_store(m, 0, 5, 'd');
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_has(m, 5), 'b');
	assert_int_equal(machine_settle(m, CHOOSER_LOSE, 0), 0);
	assert_int_equal(machine_has(m, 5), 'b');
	view_memory(m->view)[5 * LINE_SIZE] = 'e';
	wpq_fence(&m->producers[0]);
	assert_int_equal(machine_settle(m, CHOOSER_LOSE, 0), 0);
	assert_int_equal(machine_has(m, 5), 'd');
}

static void a_flush_of_a_slot_without_its_fence_is_kept_or_lost_under_random(void **state)
{
	unsigned kept = 0;

	for (uint64_t seed = 0; seed < 64; seed++) {
		struct machine *m = machine_open("memfd:2M", 0, WPQ_BYTES);

		machine_fill_slot(m, 0, 5);
		machine_persist(m, 0, 5, 'b');
		machine_store(m, 0, 5, 'c');
		view_memory(m->view)[5 * LINE_SIZE] = 'd';
		assert_int_equal(machine_settle(m, CHOOSER_RANDOM, seed), 0);
		assert_true(machine_has(m, 5) == 'b' || machine_has(m, 5) == 'c');
		kept += machine_has(m, 5) == 'c';
		machine_close(m);
	}
	assert_in_range(kept, 16, 48);
}

static void a_copy_that_was_being_written_is_not_collected(void **state)
{
	struct machine *m = *state;

	machine_fill_slot(m, 0, 5);
	machine_persist(m, 0, 5, 'b');
	/* As a thread leaves the slot that is killed in the middle of its next flush. */
	{
		unsigned spare = wpq_spare_copy(&m->producers[0],
						wpq_slot_index(view_id(m->view), 5 * LINE_SIZE));

		atomic_store(&machine_slot(m, 0, 5)->number[spare], 0);
		memset(machine_slot(m, 0, 5)->copies[spare], 'X', LINE_SIZE);
	}
	assert_int_equal(machine_settle(m, CHOOSER_RANDOM, 1), 0);
	assert_int_equal(machine_has(m, 5), 'b');
}

/* Line 5 has a slot and is durable as 'b'; a flush of its page, with 'c', waits for its fence. */
static void fill_slot_and_flush_page(struct machine *m)
{
	machine_fill_slot(m, 0, 5);
	machine_persist(m, 0, 5, 'b');
	view_memory(m->view)[5 * LINE_SIZE] = 'c';
	assert_true(machine_flush(m, 0, 0, PAGE_BYTES));
}

static void a_record_of_a_whole_page_is_newer_than_a_slot_filled_before(void **state)
{
	struct machine *m = *state;

	fill_slot_and_flush_page(m);
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_has(m, 5), 'b');
	wpq_fence(&m->producers[0]);
	/* Collecting does not write older content over it either. */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(domain_drain(m->domain), 0);
		assert_int_equal(machine_has(m, 5), 'c');
		machine_fill_slot(m, 0, 100);
	}
	machine_persist(m, 0, 5, 'd');
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_has(m, 5), 'd');
}

static void a_record_without_its_fence_leaves_the_slot_as_it_is(void **state)
{
	struct machine *m = *state;

	fill_slot_and_flush_page(m);
	machine_store(m, 0, 5, 'd');
	assert_int_equal(machine_settle(m, CHOOSER_LOSE, 0), 0);
	assert_int_equal(machine_has(m, 5), 'b');
}

/* As after a handler that jumped out of it. */
static void a_flush_that_never_ends_supersedes_no_slot(void **state)
{
	struct machine *m = *state;

	machine_fill_slot(m, 0, 5);
	machine_persist(m, 0, 5, 'b');
	assert_non_null(wpq_begin(&m->producers[0], WPQ_FENCED, view_id(m->view), 0, 64, 0));
	assert_false(machine_has_slot(m, 0, 5));
	/* Where that record was to be. */
	machine_persist(m, 0, 200, 'x');
	assert_true(machine_has_slot(m, 0, 5));
	assert_int_equal(machine_settle(m, CHOOSER_LOSE, 0), 0);
	assert_int_equal(machine_has(m, 5), 'b');
	assert_int_equal(machine_has(m, 200), 'x');
}

/* What has to go for another line, the ring gets as it was flushed. */
static void a_released_slot_leaves_the_content_that_was_flushed(void **state)
{
	struct machine *m = *state;
	const uint64_t other = WPQ_SLOTS + 4;

	assert_int_equal(wpq_slot_index(0, 5 * LINE_SIZE), wpq_slot_index(0, other * LINE_SIZE));
	machine_fill_slot(m, 0, 5);
	machine_persist(m, 0, 5, 'b');
	view_memory(m->view)[5 * LINE_SIZE] = 'c';
	while (machine_has_slot(m, 0, 5))
		machine_persist(m, 0, other, 'x');
	assert_int_equal(machine_settle(m, CHOOSER_LOSE, 0), 0);
	assert_int_equal(machine_has(m, 5), 'b');
	assert_int_equal(machine_has(m, other), 'x');
}

/* ---- Any run ------------------------------------------------------------------------- */

static void flush_some(struct machine *m, struct rng *rng, struct expected *expected)
{
	uint64_t count = rng_below(rng, 4) ? 1 : 1 + rng_below(rng, 70);
	uint64_t line = rng_below(rng, 3) ? rng_below(rng, 6) * 61 : rng_below(rng, LINES - count);

	for (uint64_t i = line; i < line + count; i++)
		view_memory(m->view)[i * LINE_SIZE + rng_below(rng, LINE_SIZE)] ^= 1;
	expected_flush(m, expected, line, count);
	/* Not flushed: not to be seen. */
	view_memory(m->view)[line * LINE_SIZE]++;
}

/* Drains come at any moment, most often when something waits for its fence. */
static void any_run(uint64_t seed)
{
	struct machine *m = machine_open("memfd:2M", 0, 1u << 20);
	struct expected *expected = calloc(1, sizeof(*expected));
	struct rng rng = { seed };

	for (unsigned step = 0; step < 2000; step++) {
		flush_some(m, &rng, expected);
		if (rng_below(&rng, 3))
			expected_fence(m, expected);
		if (rng_below(&rng, 20) == 0) {
			assert_int_equal(domain_drain(m->domain), 0);
			assert_memory_equal(machine_media(m), expected->durable, VIEW_SIZE);
		}
	}
	assert_int_equal(machine_settle(m, CHOOSER_LOSE, 0), 0);
	assert_memory_equal(machine_media(m), expected->durable, VIEW_SIZE);
	free(expected);
	machine_close(m);
}

static void the_media_has_what_a_thread_fenced_and_nothing_else(void **state)
{
	for (uint64_t seed = 1; seed <= 40; seed++)
		any_run(seed);
}

/* ---- During a drain --------------------------------------------------------------------- */

struct meanwhile {
	struct machine *m;
	void (*what)(struct machine *m);
};

static void do_once(void *context, uint64_t offset, const void *bytes, uint64_t length)
{
	struct meanwhile *meanwhile = context;
	void (*what)(struct machine *m) = meanwhile->what;

	meanwhile->what = NULL;
	if (what)
		what(meanwhile->m);
}

/* Do it when the drain has come to its first write. */
static void drain_and(struct machine *m, void (*what)(struct machine *m))
{
	struct meanwhile meanwhile = { .m = m, .what = what };
	const struct media_observer observer = { .wrote = do_once, .context = &meanwhile };

	media_observe(m->region, &observer);
	assert_int_equal(domain_drain(m->domain), 0);
	media_observe(m->region, NULL);
	assert_null(meanwhile.what);
}

/* The line has a slot: a record supersedes it, and then the line gets a slot again. */
static void pass_and_hold_again(struct machine *m)
{
	view_memory(m->view)[5 * LINE_SIZE] = 'c';
	assert_true(machine_flush(m, 0, 5 * LINE_SIZE, 2 * LINE_SIZE));
	wpq_fence(&m->producers[0]);
	machine_persist(m, 0, 5, 'd');
	assert_true(machine_has_slot(m, 0, 5));
}

static void a_slot_is_not_written_before_older_records_of_the_ring(void **state)
{
	struct machine *m = *state;

	machine_fill_slot(m, 0, 5);
	machine_persist(m, 0, 100, 'x');
	/* The ring's end has been looked up by then: 'c' is beyond it, and 'd' is newer. */
	drain_and(m, pass_and_hold_again);
	assert_int_not_equal(machine_has(m, 5), 'd');
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_has(m, 5), 'd');
}

/* The second WPQ has been read by then, the first one has not. */
static void persist_by_both(struct machine *m)
{
	machine_persist(m, 1, 5, 'a');
	machine_persist(m, 0, 5, 'b');
}

static void a_released_slot_is_as_old_as_its_flush(void **state)
{
	struct machine *m = *state;
	const uint64_t other = WPQ_SLOTS + 4;

	for (unsigned i = 0; i < 3; i++) {
		machine_persist(m, 1, 5, '1');
		machine_persist(m, 1, 100, '1');
	}
	drain_and(m, persist_by_both);
	assert_int_equal(machine_has(m, 5), 'b');
	while (machine_has_slot(m, 1, 5))
		machine_persist(m, 1, other, 'x');
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_has(m, 5), 'b');
}

/* ---- Beside a drain ---------------------------------------------------------------------- */

struct writer {
	struct machine *m;
	_Atomic uint64_t fenced;
	_Atomic bool done;
};

/* All words of a line alike, at each flush. */
static void *write_lines(void *argument)
{
	struct writer *writer = argument;
	struct wpq_producer *producer = &writer->m->producers[0];
	_Atomic uint64_t *words = (_Atomic uint64_t *)(void *)view_memory(writer->m->view);

	for (uint64_t i = 1; i <= 1000000; i++) {
		for (unsigned word = 0; word < LINE_SIZE / 8; word++)
			atomic_store_explicit(&words[word], i, memory_order_relaxed);
		if (!machine_flush(writer->m, 0, 0, LINE_SIZE))
			break;
		wpq_fence(producer);
		atomic_store(&writer->fenced, i);
	}
	atomic_store(&writer->done, true);
	return NULL;
}

static void a_collected_copy_is_complete_and_the_newest_durable_one(void **state)
{
	struct writer writer = { .m = *state };
	uint64_t media[LINE_SIZE / 8], torn = 0, old = 0;
	pthread_t thread;

	pthread_create(&thread, NULL, write_lines, &writer);
	while (!writer.done) {
		const uint64_t fenced = writer.fenced;

		if (domain_drain(writer.m->domain) != 0)
			break;
		machine_read_media(writer.m, 0, media, sizeof(media));
		for (unsigned word = 1; word < LINE_SIZE / 8; word++)
			torn += media[word] != media[0];
		old += media[0] < fenced;
	}
	pthread_join(thread, NULL);
	assert_int_equal(torn, 0);
	assert_int_equal(old, 0);
	assert_int_equal(domain_drain(writer.m->domain), 0);
	machine_read_media(writer.m, 0, media, sizeof(media));
	assert_int_equal(media[0], 1000000);
}

/* ---- Signals ------------------------------------------------------------------------- */

static struct {
	struct machine *m;
	volatile uint64_t flushed;
	volatile uint64_t seen, too_old;
	volatile sig_atomic_t calls;
} interrupted;

/* A fence is of what the thread has flushed, in whatever it was interrupted. */
static void fence_and_look(int signal)
{
	struct machine *m = interrupted.m;
	const uint64_t flushed = interrupted.flushed;

	wpq_fence(&m->producers[0]);
	if (domain_drain(m->domain) != 0)
		abort();
	machine_read_media(m, 0, (void *)(uintptr_t)&interrupted.seen, sizeof(uint64_t));
	interrupted.too_old += interrupted.seen < flushed;
	interrupted.calls++;
}

static void a_fence_in_a_signal_handler_covers_what_it_interrupted(void **state)
{
	const struct itimerspec often = { .it_interval.tv_nsec = 20000, .it_value.tv_nsec = 20000 };
	struct sigevent by_signal = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct sigaction action = { .sa_handler = fence_and_look }, before;
	volatile uint64_t *word;
	timer_t timer;

	interrupted.m = *state;
	word = (volatile uint64_t *)(void *)view_memory(interrupted.m->view);
	sigaction(SIGUSR1, &action, &before);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &by_signal, &timer), 0);
	timer_settime(timer, 0, &often, NULL);
	for (uint64_t i = 1; interrupted.calls < 5000; i++) {
		*word = i;
		assert_true(machine_flush(interrupted.m, 0, 0, 8));
		interrupted.flushed = i;
		if (i % 3 == 0)
			wpq_fence(&interrupted.m->producers[0]);
	}
	timer_delete(timer);
	sigaction(SIGUSR1, &before, NULL);
	assert_int_equal(interrupted.too_old, 0);
}

/* ---- A WPQ that is closed under its thread --------------------------------------------- */

static void slots_move_to_another_wpq(void **state)
{
	struct machine *m = *state;
	struct wpq_producer *producer = &m->producers[0], old;

	machine_fill_slot(m, 0, 5);
	machine_fill_slot(m, 0, 6);
	machine_fill_slot(m, 0, 7);
	assert_int_equal(domain_drain(m->domain), 0);
	machine_persist(m, 0, 5, 'a');
	old = *producer;
	wpq_destroy(m->wpqs[0]);
	assert_int_equal(machine_has(m, 5), 'a');
	/* The thread goes on, and has not noticed. */
	*producer = old;
	machine_persist(m, 0, 5, 'b');
	machine_store(m, 0, 6, 'c');
	assert_int_equal(wpq_create(m->domain, WPQ_BYTES, &m->wpqs[0]), 0);
	old = *producer;
	assert_int_equal(wpq_producer_open(wpq_fd(m->wpqs[0]), producer), 0);
	assert_int_equal(wpq_producer_move(&old, producer), 0);
	wpq_producer_close(&old);

	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_has(m, 5), 'b');
	assert_int_equal(machine_has(m, 6), '2');
	assert_int_equal(machine_has(m, 7), '2');
	wpq_fence(producer);
	machine_persist(m, 0, 7, 'd');
	assert_int_equal(machine_settle(m, CHOOSER_LOSE, 0), 0);
	assert_int_equal(machine_has(m, 6), 'c');
	assert_int_equal(machine_has(m, 7), 'd');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		machine_test(a_line_that_is_flushed_often_takes_no_room_in_the_ring),
		machine_test(a_flush_is_counted_once_whether_it_goes_to_a_slot_or_to_the_ring),
		cmocka_unit_test(no_slot_is_used_if_the_media_outlives_the_daemon),
		machine_test(no_slot_is_used_while_clean_lines_are_counted),
		machine_test(a_flush_of_a_slot_without_its_fence_is_lost_under_lose),
		cmocka_unit_test(a_flush_of_a_slot_without_its_fence_is_kept_or_lost_under_random),
		machine_test(a_copy_that_was_being_written_is_not_collected),
		machine_test(a_record_of_a_whole_page_is_newer_than_a_slot_filled_before),
		machine_test(a_record_without_its_fence_leaves_the_slot_as_it_is),
		machine_test(a_flush_that_never_ends_supersedes_no_slot),
		machine_test(a_released_slot_leaves_the_content_that_was_flushed),
		cmocka_unit_test(the_media_has_what_a_thread_fenced_and_nothing_else),
		machine_test(a_slot_is_not_written_before_older_records_of_the_ring),
		machine_test(a_released_slot_is_as_old_as_its_flush),
		machine_test(a_collected_copy_is_complete_and_the_newest_durable_one),
		machine_test(a_fence_in_a_signal_handler_covers_what_it_interrupted),
		machine_test(slots_move_to_another_wpq),
	};

	return cmocka_run_group_tests_name("combining", tests, NULL, NULL);
}
