/* SPDX-License-Identifier: BSD-3-Clause */
/* What one thread has logged, taken before it is decoded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/source.h"

#define FILE_ID 100u
#define POOL 7u
/* Slots of 24 bytes, nearly a ring of them. */
#define STORES (TRACE_RING_BYTES_MIN / 24 - 16)

struct scene {
	struct trace_clock *clock;
	struct trace_producer producer;
	struct source_process process;
	pthread_mutex_t lock;
	_Atomic uint32_t grants;
	struct source *source;
	uint64_t logged, decoded;
};

static void start(struct scene *scene)
{
	int clock_fd;

	*scene = (struct scene){ .lock = PTHREAD_MUTEX_INITIALIZER, .grants = 1 };
	scene->process = (struct source_process){ .lock = &scene->lock, .grants = &scene->grants };
	assert_int_equal(idmap_set(&scene->process.pools, POOL, (void *)(uintptr_t)FILE_ID), 0);
	scene->source = calloc(1, sizeof(*scene->source));
	scene->source->process = &scene->process;
	scene->source->thread = 1;
	assert_int_equal(trace_clock_create(&scene->clock, &clock_fd), 0);
	close(clock_fd);
	assert_int_equal(trace_buffer_create(TRACE_RING_BYTES_MIN, &scene->source->buffer), 0);
	assert_int_equal(trace_producer_attach(&scene->producer, trace_buffer_fd(scene->source->buffer),
					       scene->clock),
			 0);
}

static void stop(struct scene *scene)
{
	trace_producer_detach(&scene->producer);
	source_destroy(scene->source);
	idmap_clear(&scene->process.pools, NULL);
	trace_clock_unmap(scene->clock);
}

static bool consumer_is_slow(void *unused)
{
	(void)unused;
	fail_msg("the thread waits for room");
	return true;
}

/* Log what nearly fills the ring; fails if the thread would have to wait. */
static void log_stores(struct scene *scene)
{
	scene->producer.gone_fn = consumer_is_slow;
	for (unsigned i = 0; i < STORES; i++, scene->logged++)
		assert_true(trace_log_store(&scene->producer, 0, 0, POOL, 64, &scene->logged, 8));
}

static void decode_stores(struct scene *scene)
{
	struct source_ids ids = { 0 };
	struct trace_arrays arrays;
	struct trace_event event;
	const char *wrong;

	for (; source_fill(scene->source); scene->decoded++) {
		uint64_t value;

		assert_int_equal(source_decode(scene->source, &ids, &arrays, &event, &wrong), 1);
		assert_int_equal(event.file, FILE_ID);
		assert_int_equal(event.store.bytes.length, 8);
		memcpy(&value, event.store.bytes.at, 8);
		assert_int_equal(value, scene->decoded);
		source_drop(scene->source);
	}
	assert_null(scene->source->wrong);
}

static void a_thread_goes_on_while_its_events_are_taken_ahead_and_none_is_lost(void **state)
{
	struct scene scene;

	(void)state;
	start(&scene);
	for (int i = 0; i < 100; i++) {
		log_stores(&scene);
		assert_int_equal(source_take_ahead(scene.source, SIZE_MAX / 2), STORES * 24);
		/* One event is at hand already, and its place moves. */
		assert_true(source_fill(scene.source));
	}
	assert_int_equal(source_held(scene.source), 100 * STORES * 24);
	decode_stores(&scene);
	assert_int_equal(scene.decoded, scene.logged);
	assert_int_equal(source_held(scene.source), 0);
	/* The memory that they took is given back. */
	assert_true(scene.source->room < 2 * TRACE_ENCODED_MAX);
	log_stores(&scene);
	decode_stores(&scene);
	assert_int_equal(scene.decoded, scene.logged);
	stop(&scene);
}

static void no_more_is_taken_ahead_than_is_allowed(void **state)
{
	struct scene scene;

	(void)state;
	start(&scene);
	log_stores(&scene);
	assert_int_equal(source_take_ahead(scene.source, 0), 0);
	assert_int_equal(source_take_ahead(scene.source, 64), 64);
	assert_int_equal(source_take_ahead(scene.source, 100), 96);
	assert_int_equal(source_held(scene.source), 160);
	decode_stores(&scene);
	assert_int_equal(scene.decoded, scene.logged);
	stop(&scene);
}

/* In a long recording all that may be held is, and a little more is taken again and again. */
static void taking_little_while_much_is_held_moves_no_more_bytes_than_are_decoded(void **state)
{
	const size_t most = 64 * STORES * 24;
	struct source_ids ids = { 0 };
	struct trace_arrays arrays;
	struct trace_event event;
	const char *wrong;
	struct scene scene;

	(void)state;
	start(&scene);
	for (int i = 0; i < 64; i++) {
		log_stores(&scene);
		source_take_ahead(scene.source, most - source_held(scene.source));
	}
	assert_int_equal(source_held(scene.source), most);
	for (unsigned i = 0; i < 300; i++) {
		log_stores(&scene);
		for (unsigned j = 0; j < STORES; j++, scene.decoded++) {
			assert_true(source_fill(scene.source));
			assert_int_equal(source_decode(scene.source, &ids, &arrays, &event, &wrong), 1);
			source_drop(scene.source);
			if (j % 64 == 63 || j == STORES - 1)
				source_take_ahead(scene.source, most - source_held(scene.source));
		}
	}
	assert_in_range(scene.source->moved, 0, scene.decoded * 24);
	assert_in_range(scene.source->room, most, 3 * most);
	decode_stores(&scene);
	assert_int_equal(scene.decoded, scene.logged);
	stop(&scene);
}

static void impossible_positions_are_found_when_it_is_their_turn(void **state)
{
	struct scene scene;

	(void)state;
	start(&scene);
	log_stores(&scene);
	assert_int_equal(source_take_ahead(scene.source, SIZE_MAX / 2), STORES * 24);
	atomic_store(&scene.producer.header->head, 8);
	assert_int_equal(source_take_ahead(scene.source, SIZE_MAX / 2), 0);
	assert_null(scene.source->wrong);
	while (source_fill(scene.source)) {
		source_drop(scene.source);
		scene.decoded++;
	}
	assert_int_equal(scene.decoded, scene.logged);
	assert_string_equal(scene.source->wrong, "impossible positions in its buffer");
	stop(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_goes_on_while_its_events_are_taken_ahead_and_none_is_lost),
		cmocka_unit_test(no_more_is_taken_ahead_than_is_allowed),
		cmocka_unit_test(
			taking_little_while_much_is_held_moves_no_more_bytes_than_are_decoded),
		cmocka_unit_test(impossible_positions_are_found_when_it_is_their_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
