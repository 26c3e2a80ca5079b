/* SPDX-License-Identifier: BSD-3-Clause */

/* What a drain writes to the media, and in which order. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/align.h"
#include "common/rng.h"
#include "abi/line.h"
#include "wpqtest.h"

#define LANE_BYTES (1u << 20)
#define LINES (VIEW_SIZE / LINE_SIZE)

static char path[] = "/tmp/softpmem-gather.XXXXXX";

static struct machine *open_memfd(void)
{
	return machine_open("memfd:2M", 0, LANE_BYTES);
}

static struct machine *open_file(void)
{
	char spec[64];
	int fd;

	strcpy(strrchr(path, '.'), ".XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	snprintf(spec, sizeof(spec), "file:%s,2M", path);
	return machine_open(spec, REGION_CREATE, LANE_BYTES);
}

static void close_file(struct machine *m)
{
	machine_close(m);
	unlink(path);
}

/* ---- Writes to the media ------------------------------------------------------ */

struct written {
	unsigned count;
	uint64_t lines[64]; /* of the view */
	unsigned char bytes[64];
};

static void note(void *context, uint64_t offset, const void *bytes, uint64_t length)
{
	struct written *written = context;
	const uint64_t start = offset - MACHINE_MEDIA_OFFSET;

	for (uint64_t at = 0; at < length; at += LINE_SIZE) {
		assert_true(written->count < 64);
		written->lines[written->count] = (start + at) / LINE_SIZE;
		written->bytes[written->count++] = ((const unsigned char *)bytes)[at];
	}
}

/* A log with two entries, whose head is written before and after each. */
static void write_log(struct machine *m, struct written *written)
{
	const struct media_observer observer = { .wrote = note, .context = written };

	*written = (struct written){ 0 };
	machine_persist(m, 0, 0, 'a');
	machine_persist(m, 0, 100, 'x');
	machine_persist(m, 0, 0, 'b');
	machine_persist(m, 0, 101, 'y');
	machine_persist(m, 0, 0, 'c');
	media_observe(m->region, &observer);
	assert_int_equal(domain_drain(m->domain), 0);
	media_observe(m->region, NULL);
}

static void a_line_is_written_once_if_the_media_ends_with_the_daemon(void **state)
{
	struct machine *m = open_memfd();
	struct written written;

	/* Without slots, all flushes are records. */
	atomic_store(&m->producers[0].header->may_combine, false);
	write_log(m, &written);
	assert_int_equal(written.count, 3);
	assert_int_equal(machine_media(m)[0], 'c');
	assert_int_equal(machine_media(m)[100 * LINE_SIZE], 'x');
	assert_int_equal(machine_media(m)[101 * LINE_SIZE], 'y');
	machine_close(m);
}

static void records_are_written_in_order_if_the_media_outlives_the_daemon(void **state)
{
	const uint64_t lines[] = { 0, 100, 0, 101, 0 };
	struct machine *m = open_file();
	struct written written;

	write_log(m, &written);
	assert_int_equal(written.count, 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(written.lines[i], lines[i]);
		assert_int_equal(written.bytes[i], "axbyc"[i]);
	}
	close_file(m);
}

static void records_before_a_malformed_one_are_on_the_media(void **state)
{
	struct machine *m = open_memfd();
	struct wpq_record *wild;

	machine_persist(m, 0, 5, 'a');
	wild = wpq_begin(&m->producers[0], WPQ_FENCED, view_id(m->view), 17, 1, 0);
	wpq_append(&m->producers[0], WPQ_FENCED, 1);
	assert_non_null(wild);
	wpq_fence(&m->producers[0]);
	assert_int_equal(domain_drain(m->domain), -EPROTO);
	assert_true(wpq_is_dead(m->wpqs[0]));
	assert_int_equal(machine_media(m)[5 * LINE_SIZE], 'a');
	machine_close(m);
}

/* One line of a page was flushed before another thread's drain, another line after it. */
static void each_line_of_a_page_has_an_order_of_its_own(void **state)
{
	struct machine *m = open_memfd();
	unsigned char *view = view_memory(m->view);

	view[0] = 'a';
	assert_true(machine_flush(m, 0, 0, 1));
	view[0] = 'b';
	view[LINE_SIZE] = 'x';
	assert_true(machine_flush(m, 1, 0, 2 * LINE_SIZE));
	wpq_fence(&m->producers[1]);
	assert_int_equal(domain_drain(m->domain), 0);
	machine_persist(m, 0, 1, 'y');
	view[LINE_SIZE] = 'z';
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_media(m)[0], 'b');
	assert_int_equal(machine_media(m)[LINE_SIZE], 'y');
	machine_close(m);
}

/* ---- Random records ----------------------------------------------------------------- */

/* What one thread has flushed, and what it has fenced. */
static void store_any(struct machine *m, struct rng *rng, uint64_t line, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t value = rng_next(rng);

		memcpy(view_memory(m->view) + (line + i) * LINE_SIZE + 8 * rng_below(rng, 8), &value,
		       sizeof(value));
	}
}

static void flush_any(struct machine *m, struct rng *rng, struct expected *expected)
{
	/* Few lines, many, whole pages and more; often the same ones. */
	const uint64_t most[] = { 1, 1, 3, 7, 8, 64, 150 };
	uint64_t count = 1 + rng_below(rng, most[rng_below(rng, 7)]);
	uint64_t line = rng_below(rng, rng_below(rng, 2) ? 16 : LINES - count);

	store_any(m, rng, line, count);
	expected_flush(m, expected, line, count);
	/* Stored and not flushed, so it must not reach the media. */
	store_any(m, rng, line, 1);
}

static void any_records(struct machine *m, uint64_t seed)
{
	struct expected *expected = calloc(1, sizeof(*expected));
	struct rng rng = { seed };

	for (unsigned round = 0; round < 60; round++) {
		/* Fewer lines than the ring has room for. */
		for (unsigned i = rng_below(&rng, 60); i > 0; i--) {
			flush_any(m, &rng, expected);
			if (rng_below(&rng, 3))
				expected_fence(m, expected);
		}
		assert_int_equal(domain_drain(m->domain), 0);
		assert_memory_equal(machine_media(m), expected->durable, VIEW_SIZE);
	}
	free(expected);
}

static void one_threads_records_leave_what_it_fenced_last(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct machine *m = open_memfd();

		any_records(m, seed);
		machine_close(m);
	}
}

static void one_threads_records_leave_what_it_fenced_last_in_a_file(void **state)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct machine *m = open_file();

		any_records(m, seed);
		close_file(m);
	}
}

static void one_threads_records_leave_what_it_fenced_last_while_clean_lines_are_counted(void **state)
{
	struct machine *m = open_memfd();
	struct domain_counts counts;

	domain_count_clean(m->domain, true);
	any_records(m, 77);
	machine_persist(m, 0, 9, 'a');
	assert_int_equal(domain_drain(m->domain), 0);
	view_counts(m->view, &counts);
	machine_persist(m, 0, 9, 'a');
	machine_persist(m, 0, 9, 'b');
	machine_persist(m, 0, 9, 'b');
	assert_int_equal(domain_drain(m->domain), 0);
	{
		const uint64_t before = counts.clean_lines;

		view_counts(m->view, &counts);
		assert_int_equal(counts.clean_lines - before, 2);
	}
	machine_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_written_once_if_the_media_ends_with_the_daemon),
		cmocka_unit_test(records_are_written_in_order_if_the_media_outlives_the_daemon),
		cmocka_unit_test(records_before_a_malformed_one_are_on_the_media),
		cmocka_unit_test(each_line_of_a_page_has_an_order_of_its_own),
		cmocka_unit_test(one_threads_records_leave_what_it_fenced_last),
		cmocka_unit_test(one_threads_records_leave_what_it_fenced_last_in_a_file),
		cmocka_unit_test(one_threads_records_leave_what_it_fenced_last_while_clean_lines_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
