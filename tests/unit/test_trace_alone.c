/* SPDX-License-Identifier: BSD-3-Clause */
/* A producer that is alone takes stamps without locking the clock, and is told when it is alone no more. */
#include <linux/membarrier.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/buffer.h"
#include "trace/merge.h"
#include "trace/writer.h"
#include "tracetest.h"

#define MARKS 120u

struct scene {
	int fd, clock_fd;
	struct trace_clock *clock;
	struct trace_writer *writer;
	struct trace_merge *merge;
	uint32_t process;
	struct trace_producer producers[2];
	_Atomic uint64_t progress[2]; /* the last value that each has stored */
	_Atomic bool enough, stop;
};

static void start(struct scene *scene)
{
	const struct trace_event file = { .kind = TRACE_FILE, .file = 100, .node.size = 65536 };
	struct message message;

	assert_int_equal(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0), 0);
	*scene = (struct scene){ .fd = tracetest_file() };
	scene->writer = tracetest_writer(scene->fd, 1);
	assert_int_equal(trace_writer_put(scene->writer, &file, &message), 0);
	assert_int_equal(trace_clock_create(&scene->clock, &scene->clock_fd), 0);
	scene->merge = trace_merge_create(scene->writer, scene->clock, 60000, TRACE_MERGE_AHEAD);
	assert_int_equal(trace_merge_process(scene->merge, 1, 0, false,
					     (struct trace_bytes){ (const unsigned char *)"p", 1 },
					     &scene->process),
			 0);
	assert_int_equal(trace_merge_grant(scene->merge, scene->process, 7, 100), 0);
}

static void attach(struct scene *scene, unsigned number)
{
	const struct trace_bytes name = { (const unsigned char *)"t", 1 };
	struct trace_buffer *buffer;
	uint32_t thread;

	assert_int_equal(trace_buffer_create(TRACE_RING_BYTES_MIN, &buffer), 0);
	assert_int_equal(trace_producer_attach(&scene->producers[number], trace_buffer_fd(buffer),
					       scene->clock),
			 0);
	assert_int_equal(trace_merge_thread(scene->merge, scene->process, 1 + (int)number, name, buffer,
					    &thread),
			 0);
}

static void run(struct scene *scene)
{
	struct message message = { "" };

	if (trace_merge_run(scene->merge, &message) < 0)
		fail_msg("%s", message.text);
}

static void *run_until_stop(void *scene_pointer)
{
	const struct timespec moment = { .tv_nsec = 200000 };
	struct scene *scene = scene_pointer;

	while (!scene->stop) {
		run(scene);
		nanosleep(&moment, NULL);
	}
	return NULL;
}

static void await_alone(struct scene *scene)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (unsigned i = 0; i < 30000 && !scene->clock->alone; i++) {
		run(scene);
		nanosleep(&moment, NULL);
	}
	assert_int_equal(scene->clock->alone, 1);
}

static void store(struct scene *scene, unsigned number, uint64_t value)
{
	struct trace_producer *producer = &scene->producers[number];
	uint64_t stamp;

	assert_true(trace_room(producer, TRACE_SLOT_ROOM));
	stamp = trace_stamp(producer);
	scene->progress[number] = value;
	trace_put_store(producer, stamp, 0, 0, trace_slot_place(7, 8 * (uint64_t)number), &value, 8);
	trace_publish(producer);
}

static void *store_on(void *scene_pointer)
{
	struct scene *scene = scene_pointer;

	for (uint64_t value = 1; !scene->enough; value++)
		store(scene, 0, value);
	return NULL;
}

static void mark(struct scene *scene, const char *text)
{
	const struct trace_event event = {
		.kind = TRACE_MARK,
		.mark.text = { (const unsigned char *)text, (uint32_t)strlen(text) },
		.mark.length = strlen(text),
		.mark.fd = -1,
	};

	assert_int_equal(trace_merge_put(scene->merge, &event), 0);
}

/* What the trace has had so far. */
static uint64_t stored, marked;

static void read_all(struct scene *scene, void (*visit)(const struct trace_event *event, void *context))
{
	stored = marked = 0;
	tracetest_finish(scene->merge, scene->writer, scene->fd, visit, NULL);
}

static void stop(struct scene *scene)
{
	for (int i = 0; i < 2; i++)
		if (scene->producers[i].header)
			trace_producer_detach(&scene->producers[i]);
	trace_merge_destroy(scene->merge);
	trace_writer_destroy(scene->writer);
	trace_clock_unmap(scene->clock);
	close(scene->clock_fd);
	close(scene->fd);
}

/* ---- The order ------------------------------------------------------------------------- */

/* What this process saw of the producer's stores before and after each of its own events. */
static uint64_t before[MARKS], after[MARKS];

static void check_order(const struct trace_event *event, void *unused)
{
	uint64_t value;

	assert_int_not_equal(event->kind, TRACE_LOST);
	if (event->kind == TRACE_STORE) {
		memcpy(&value, event->store.bytes.at, sizeof(value));
		assert_int_equal(value, stored + 1);
		stored = value;
	}
	if (event->kind != TRACE_MARK)
		return;
	/* A store that has its stamp may not be seen yet. */
	assert_true(stored >= before[marked] && stored <= after[marked] + 1);
	marked++;
}

static void test_events_of_this_process_are_in_order_with_stores_of_a_producer_that_is_alone(void **state)
{
	const struct timespec quiet = { .tv_nsec = 12000000 };
	unsigned alone = 0, count = 0;
	struct scene scene;
	pthread_t runner, producer;

	start(&scene);
	attach(&scene, 0);
	await_alone(&scene);
	assert_int_equal(pthread_create(&runner, NULL, run_until_stop, &scene), 0);
	assert_int_equal(pthread_create(&producer, NULL, store_on, &scene), 0);
	while (count < MARKS) {
		alone += scene.clock->alone;
		before[count] = scene.progress[0];
		mark(&scene, "m");
		after[count++] = scene.progress[0];
		/* Now and then long enough for the producer to be alone again. */
		if (count % 4 == 0)
			nanosleep(&quiet, NULL);
	}
	scene.enough = true;
	pthread_join(producer, NULL);
	scene.stop = true;
	pthread_join(runner, NULL);
	read_all(&scene, check_order);
	assert_int_equal(stored, scene.progress[0]);
	assert_int_equal(marked, MARKS);
	assert_true(alone > 0);
	stop(&scene);
}

static void test_a_producer_is_alone_no_more_when_a_second_one_comes(void **state)
{
	struct scene scene;

	start(&scene);
	attach(&scene, 0);
	await_alone(&scene);
	store(&scene, 0, 1);
	attach(&scene, 1);
	assert_int_equal(scene.clock->alone, 0);
	for (int i = 0; i < 30; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		run(&scene);
	}
	assert_int_equal(scene.clock->alone, 0);
	stop(&scene);
}

/* ---- One that holds a stamp ---------------------------------------------------------------- */

static void *mark_once(void *scene)
{
	mark(scene, "m");
	return NULL;
}

static void check_kinds(const struct trace_event *event, void *unused)
{
	if (event->kind == TRACE_STORE)
		stored = ++marked;
	if (event->kind == TRACE_MARK)
		stored = 10 * ++marked;
}

static void test_an_event_of_this_process_waits_for_the_producer_that_holds_a_stamp(void **state)
{
	struct scene scene;
	pthread_t marker;
	uint64_t stamp, value = 1;

	start(&scene);
	attach(&scene, 0);
	await_alone(&scene);
	stamp = trace_stamp(&scene.producers[0]);
	assert_int_equal(pthread_create(&marker, NULL, mark_once, &scene), 0);
	while (scene.clock->alone)
		;
	trace_put_store(&scene.producers[0], stamp, 0, 0, trace_slot_place(7, 0), &value, 8);
	trace_publish(&scene.producers[0]);
	pthread_join(marker, NULL);
	read_all(&scene, check_kinds);
	/* The store came first. */
	assert_int_equal(stored, 20);
	stop(&scene);
}

static void test_a_producer_that_stops_while_it_holds_a_stamp_is_never_alone_again(void **state)
{
	struct scene scene;
	uint64_t stamp;

	start(&scene);
	attach(&scene, 0);
	await_alone(&scene);
	stamp = trace_stamp(&scene.producers[0]);
	mark(&scene, "m");
	assert_int_equal(scene.clock->alone, 0);
	trace_put_void(&scene.producers[0], stamp);
	trace_publish(&scene.producers[0]);
	for (int i = 0; i < 30; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		run(&scene);
	}
	assert_int_equal(scene.clock->alone, 0);
	stop(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_events_of_this_process_are_in_order_with_stores_of_a_producer_that_is_alone),
		cmocka_unit_test(test_a_producer_is_alone_no_more_when_a_second_one_comes),
		cmocka_unit_test(
			test_an_event_of_this_process_waits_for_the_producer_that_holds_a_stamp),
		cmocka_unit_test(test_a_producer_that_stops_while_it_holds_a_stamp_is_never_alone_again),
	};

	/* So that a clock that is never shared again ends the test. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
