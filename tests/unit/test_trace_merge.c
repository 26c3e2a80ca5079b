/* SPDX-License-Identifier: BSD-3-Clause */
/* The consumer of a recording: the order of many threads, missing stamps, dead and hostile producers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/buffer.h"
#include "trace/catalog.h"
#include "trace/encode.h"
#include "trace/merge.h"
#include "trace/reader.h"
#include "trace/text_form.h"
#include "trace/writer.h"
#include "tracetest.h"

#define THREADS 3

struct scene {
	int fd, clock_fd;
	struct trace_clock *clock;
	struct trace_writer *writer;
	struct trace_merge *merge;
	uint32_t process, threads[THREADS];
	struct trace_buffer *buffers[THREADS]; /* they belong to the merge */
	struct trace_producer producers[THREADS];
	char *text; /* of the trace, once it was ended */
};

static struct trace_bytes bytes_of(const char *string)
{
	return (struct trace_bytes){ (const unsigned char *)string, (uint32_t)strlen(string) };
}

static void start(struct scene *scene, unsigned patience)
{
	const struct trace_event file = { .kind = TRACE_FILE, .file = 100, .node.size = 65536 };
	struct message message;

	*scene = (struct scene){ .fd = tracetest_file() };
	scene->writer = tracetest_writer(scene->fd, 1);
	assert_int_equal(trace_writer_put(scene->writer, &file, &message), 0);
	assert_int_equal(trace_clock_create(&scene->clock, &scene->clock_fd), 0);
	scene->merge = trace_merge_create(scene->writer, scene->clock, patience, TRACE_MERGE_AHEAD);
	assert_non_null(scene->merge);
	assert_int_equal(trace_merge_process(scene->merge, 1234, 0, false, bytes_of("prog"), &scene->process),
			 0);
	assert_int_equal(trace_merge_grant(scene->merge, scene->process, 7, 100), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(trace_buffer_create(TRACE_RING_BYTES_MIN, &scene->buffers[i]), 0);
		assert_int_equal(trace_producer_attach(&scene->producers[i],
						       trace_buffer_fd(scene->buffers[i]), scene->clock),
				 0);
		assert_int_equal(trace_merge_thread(scene->merge, scene->process, 1234 + i, bytes_of("t"),
						    scene->buffers[i], &scene->threads[i]),
				 0);
		assert_int_equal(scene->threads[i], i + 1);
	}
}

static void run(struct scene *scene)
{
	struct message message = { "" };

	if (trace_merge_run(scene->merge, &message) < 0)
		fail_msg("%s", message.text);
}

struct printing {
	FILE *out;
	uint64_t before; /* the stamp of the last event */
};

static void print(const struct trace_event *event, void *printing_pointer)
{
	struct printing *printing = printing_pointer;

	if (event->stamp > 4 && event->kind != TRACE_END) {
		trace_text_print(printing->out, event, printing->before);
		putc('\n', printing->out);
	} else if (event->kind == TRACE_MODULE || event->kind == TRACE_SITE) {
		trace_text_print(printing->out, event, 0);
		putc('\n', printing->out);
	}
	printing->before = event->stamp ? event->stamp : printing->before;
}

/* The trace as text, without the lines before the first thread's start and without its end. */
static const char *finish(struct scene *scene)
{
	size_t length;
	struct printing printing = { .out = open_memstream(&scene->text, &length) };

	tracetest_finish(scene->merge, scene->writer, scene->fd, print, &printing);
	fclose(printing.out);
	return scene->text;
}

static void stop(struct scene *scene)
{
	for (int i = 0; i < THREADS; i++)
		trace_producer_detach(&scene->producers[i]);
	trace_merge_destroy(scene->merge);
	trace_writer_destroy(scene->writer);
	trace_clock_unmap(scene->clock);
	close(scene->clock_fd);
	close(scene->fd);
	free(scene->text);
}

static void log_value(struct scene *scene, int thread, uint64_t value)
{
	assert_true(trace_log_store(&scene->producers[thread], 0, 0, 7, 8 * value, &value, 8));
}

static void test_events_of_several_threads_are_in_the_order_of_their_stamps(void **state)
{
	struct scene scene;

	start(&scene, 0);
	log_value(&scene, 2, 1);
	log_value(&scene, 0, 2);
	assert_true(trace_log_flush(&scene.producers[1], TRACE_CLWB, 0, 7, 64, 64));
	run(&scene);
	log_value(&scene, 1, 3);
	assert_true(trace_log_fence(&scene.producers[0], TRACE_SFENCE, 0));
	assert_string_equal(finish(&scene), "t3 store 100+0x8 bytes=0100000000000000\n"
					    "t1 store 100+0x10 bytes=0200000000000000\n"
					    "t2 clwb 100+0x40\n"
					    "t2 store 100+0x18 bytes=0300000000000000\n"
					    "t1 sfence\n");
	stop(&scene);
}

static void test_a_stamp_that_is_held_is_waited_for(void **state)
{
	struct scene scene;
	uint64_t stamp, before;
	const uint64_t value = 1;

	start(&scene, 60000);
	assert_true(trace_room(&scene.producers[0], TRACE_SLOT_ROOM));
	stamp = trace_stamp(&scene.producers[0]);
	log_value(&scene, 1, 2);
	run(&scene);
	before = trace_catalog_events(trace_writer_catalog(scene.writer));
	trace_put_store(&scene.producers[0], stamp, 0, 0, trace_slot_place(7, 8), &value, 8);
	trace_publish(&scene.producers[0]);
	run(&scene);
	assert_int_equal(trace_catalog_events(trace_writer_catalog(scene.writer)), before + 2);
	assert_string_equal(finish(&scene), "t1 store 100+0x8 bytes=0100000000000000\n"
					    "t2 store 100+0x10 bytes=0200000000000000\n");
	stop(&scene);
}

static void test_a_stamp_that_stands_for_nothing_leaves_nothing(void **state)
{
	struct scene scene;

	start(&scene, 60000);
	assert_true(trace_room(&scene.producers[0], TRACE_SLOT_ROOM));
	trace_put_void(&scene.producers[0], trace_stamp(&scene.producers[0]));
	trace_publish(&scene.producers[0]);
	log_value(&scene, 1, 2);
	assert_string_equal(finish(&scene), "@6 t2 store 100+0x10 bytes=0200000000000000\n");
	stop(&scene);
}

static void test_a_stamp_that_a_killed_thread_held_is_lost_and_said_so(void **state)
{
	struct scene scene;

	start(&scene, 60000);
	log_value(&scene, 0, 1);
	assert_true(trace_room(&scene.producers[0], TRACE_SLOT_ROOM));
	trace_stamp(&scene.producers[0]);
	log_value(&scene, 1, 2);
	run(&scene);
	assert_int_equal(trace_merge_thread_gone(scene.merge, 1), 0);
	log_value(&scene, 1, 3);
	assert_string_equal(finish(&scene),
			    "t1 store 100+0x8 bytes=0100000000000000\n"
			    "lost count=1 reason=\"a thread was killed before it had published its event\"\n"
			    "t2 store 100+0x10 bytes=0200000000000000\n"
			    "t1 thread-exit\n"
			    "t2 store 100+0x18 bytes=0300000000000000\n");
	stop(&scene);
}

static void test_a_thread_that_holds_a_stamp_too_long_does_not_stop_the_others(void **state)
{
	struct scene scene;
	uint64_t stamp;

	start(&scene, 20);
	assert_true(trace_room(&scene.producers[0], TRACE_SLOT_ROOM));
	stamp = trace_stamp(&scene.producers[0]);
	log_value(&scene, 1, 2);
	run(&scene);
	usleep(40000);
	run(&scene);
	trace_put_fence(&scene.producers[0], stamp, TRACE_SFENCE, 0);
	trace_publish(&scene.producers[0]);
	log_value(&scene, 1, 3);
	assert_string_equal(
		finish(&scene),
		"t1 lost count=1 reason=\"thread 1: it did not publish its event in time\"\n"
		"t2 store 100+0x10 bytes=0200000000000000\n"
		"t2 store 100+0x18 bytes=0300000000000000\n"
		"lost reason=\"thread 1 is no longer recorded: an event came after its stamp was given up, "
		"or with a stamp of another event\"\n");
	stop(&scene);
}

/* ---- Hostile producers ---------------------------------------------------------------- */

struct hostile {
	const char *reason;
	bool stamped;	/* the event takes the next stamp, in word 0 */
	unsigned words; /* of the slot */
	uint64_t word[4];
};

#define SLOT(kind, count, flags) ((uint64_t)(kind) | (uint64_t)((count)-1) << 6 | (uint64_t)(flags) << 12)

static const struct hostile hostile_slots[] = {
	{ "a malformed slot", false, 1, { 0 } },
	{ "a malformed slot", false, 1, { 63 } },
	{ "a malformed slot", false, 2, { TRACE_SLOT_EVENT, UINT64_MAX } },
	{ "a malformed slot", false, 2, { TRACE_SLOT_EVENT, TRACE_ENCODED_MAX + 1 } },
	{ "a malformed slot", false, 3, { TRACE_SLOT_STORE_LONG, 0, TRACE_BYTES_MAX + 1 } },
	{ "stamps that do not ascend", false, 1, { TRACE_SLOT_FENCE } },
	{ "a stamp that was not given", false, 1, { TRACE_SLOT_FENCE | (uint64_t)0xffffff << 40 } },
	{ "the operation is unknown", true, 1, { SLOT(TRACE_SLOT_FENCE, 1, 9) } },
	{ "the operation is unknown", true, 2, { SLOT(TRACE_SLOT_FLUSH, 1, 3), (uint64_t)7 << 48 } },
	{ "not of whole lines", true, 2, { SLOT(TRACE_SLOT_FLUSH, 1, 0), (uint64_t)7 << 48 | 8 } },
	{ "a pool that it was not given", true, 2, { SLOT(TRACE_SLOT_FLUSH, 1, 0), (uint64_t)8 << 48 } },
	{ "a pool that it was not given", true, 3, { SLOT(TRACE_SLOT_STORE, 8, 0), 0 } },
	{ "the offset is too large",
	  true,
	  3,
	  { SLOT(TRACE_SLOT_STORE, 8, 0), (uint64_t)7 << 48 | (TRACE_STORE_END - 1) } },
	{ "bits beyond the bytes",
	  true,
	  4,
	  { SLOT(TRACE_SLOT_STORE_MASKED, 4, 0), (uint64_t)7 << 48, 0x1f } },
	{ "number of bytes is 0", true, 3, { TRACE_SLOT_STORE_LONG, (uint64_t)7 << 48, 0 } },
	{ "the kind is unknown", true, 2, { TRACE_SLOT_EVENT, 0 } },
	{ "the kind is unknown", true, 3, { TRACE_SLOT_EVENT, 1, 0xff } },
	{ "do not fit its length", true, 3, { TRACE_SLOT_EVENT, 2, TRACE_UNMAP } },
	{ "an event that a process cannot log", true, 3, { TRACE_SLOT_EVENT, 1, TRACE_SYNC } },
	{ "an event that a process cannot log", true, 3, { TRACE_SLOT_EVENT, 2, TRACE_END | 5 << 8 } },
	{ "a pool that it was not given", true, 3, { TRACE_SLOT_EVENT, 5, TRACE_MSYNC | 100 << 8 } },
};

static void put_hostile(struct trace_producer *producer, const struct hostile *hostile)
{
	uint64_t *slot = trace_slot_at(producer);

	assert_true(trace_room(producer, TRACE_SLOT_ROOM));
	memcpy(slot, hostile->word, 8 * (size_t)hostile->words);
	if (hostile->stamped)
		slot[0] |= trace_stamp(producer) << TRACE_SLOT_STAMP_SHIFT;
	producer->head += 8 * (uint64_t)hostile->words;
	trace_publish(producer);
}

static void test_a_malformed_slot_ends_the_recording_of_its_thread_only(void **state)
{
	for (size_t i = 0; i < sizeof(hostile_slots) / sizeof(hostile_slots[0]); i++) {
		struct scene scene;
		const char *text;

		start(&scene, 60000);
		log_value(&scene, 0, 1);
		log_value(&scene, 1, 2);
		put_hostile(&scene.producers[0], &hostile_slots[i]);
		log_value(&scene, 1, 3);
		run(&scene);
		log_value(&scene, 1, 4);
		text = finish(&scene);
		if (!strstr(text, hostile_slots[i].reason))
			fail_msg("row %zu: no '%s' in\n%s", i, hostile_slots[i].reason, text);
		assert_non_null(strstr(text, "t1 store 100+0x8 bytes=0100000000000000\n"));
		assert_non_null(strstr(text, "t2 store 100+0x18 bytes=0300000000000000\n"));
		assert_non_null(strstr(text, "t2 store 100+0x20 bytes=0400000000000000\n"));
		assert_non_null(strstr(text, "lost"));
		stop(&scene);
	}
}

static void test_impossible_positions_end_the_recording_of_their_thread_only(void **state)
{
	struct scene scene;

	start(&scene, 60000);
	atomic_store(&scene.producers[0].header->head, 1 << 30);
	log_value(&scene, 1, 2);
	assert_string_equal(
		finish(&scene),
		"t2 store 100+0x10 bytes=0200000000000000\n"
		"lost reason=\"thread 1 is no longer recorded: impossible positions in its buffer\"\n");
	stop(&scene);
}

static void test_a_clock_that_was_moved_is_noticed(void **state)
{
	static const uint64_t clocks[] = { 0, 3, UINT64_MAX, (uint64_t)1 << 50 };
	struct message message;

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		struct scene scene;

		start(&scene, 0);
		log_value(&scene, 1, 2);
		run(&scene);
		atomic_store(&scene.clock->stamp, clocks[i]);
		assert_int_equal(trace_merge_run(scene.merge, &message), -EPROTO);
		assert_int_equal(trace_merge_run(scene.merge, &message), -EPROTO);
		stop(&scene);
	}
}

static void test_every_byte_of_a_ring_can_be_random(void **state)
{
	for (unsigned seed = 1; seed <= 300; seed++) {
		struct scene scene;

		srandom(seed);
		start(&scene, 0);
		for (int i = 0; i < 100; i++)
			log_value(&scene, 0, (uint64_t)i);
		for (int i = 0; i < 40; i++)
			scene.producers[0].ring[random() % 2400] ^= (unsigned char)(1 << random() % 8);
		log_value(&scene, 1, 5);
		assert_non_null(strstr(finish(&scene), "t2 store 100+0x28 bytes=0500000000000000\n"));
		stop(&scene);
	}
}

/* ---- Ids ------------------------------------------------------------------------------- */

static void define(struct trace_producer *producer, uint32_t site, uint32_t module, uint64_t offset)
{
	const struct trace_frame frame = { module, offset };
	const struct trace_event definitions[] = {
		{ .kind = TRACE_MODULE, .module = { .module = module, .path = bytes_of("/bin/prog") } },
		{ .kind = TRACE_SITE, .site = site, .stack = { &frame, 1 } },
	};

	assert_true(trace_log_event(producer, &definitions[0]));
	assert_true(trace_log_event(producer, &definitions[1]));
}

static void test_ids_of_sites_and_modules_are_those_of_each_process(void **state)
{
	struct scene scene;
	struct trace_buffer *buffer;
	struct trace_producer other, child;
	uint32_t process, thread;

	start(&scene, 0);
	define(&scene.producers[0], 5, 3, 0x111);
	assert_true(trace_log_fence(&scene.producers[0], TRACE_SFENCE, 5));

	/* Another process: the same numbers mean something else. */
	assert_int_equal(trace_merge_process(scene.merge, 1, 0, false, bytes_of(""), &process), 0);
	assert_int_equal(trace_buffer_create(TRACE_RING_BYTES_MIN, &buffer), 0);
	assert_int_equal(trace_producer_attach(&other, trace_buffer_fd(buffer), scene.clock), 0);
	assert_int_equal(trace_merge_thread(scene.merge, process, 1, bytes_of(""), buffer, &thread), 0);
	assert_true(trace_log_fence(&other, TRACE_SFENCE, 5));
	define(&other, 5, 3, 0x222);
	assert_true(trace_log_fence(&other, TRACE_SFENCE, 5));

	/* A forked child has those of its parent, and pools; then its own. */
	assert_int_equal(trace_merge_process(scene.merge, 2, scene.process, true, bytes_of(""), &process), 0);
	assert_int_equal(trace_buffer_create(TRACE_RING_BYTES_MIN, &buffer), 0);
	assert_int_equal(trace_producer_attach(&child, trace_buffer_fd(buffer), scene.clock), 0);
	assert_int_equal(trace_merge_thread(scene.merge, process, 2, bytes_of(""), buffer, &thread), 0);
	assert_true(trace_log_flush(&child, TRACE_CLWB, 5, 7, 0, 64));
	define(&child, 5, 4, 0x333);
	assert_true(trace_log_fence(&child, TRACE_SFENCE, 5));
	assert_string_equal(finish(&scene), "module module=1 process=1 path=\"/bin/prog\"\n"
					    "site site=1 stack=1+0x111\n"
					    "@7 t1 sfence site=1\n"
					    "process process=2 pid=1\n"
					    "t4 thread process=2 tid=1\n"
					    "t4 sfence\n"
					    "module module=2 process=2 path=\"/bin/prog\"\n"
					    "site site=2 stack=2+0x222\n"
					    "@13 t4 sfence site=2\n"
					    "process process=3 parent=1 pid=2\n"
					    "t5 thread process=3 tid=2\n"
					    "t5 clwb 100+0x0 site=1\n"
					    "module module=3 process=3 path=\"/bin/prog\"\n"
					    "site site=3 stack=3+0x333\n"
					    "@19 t5 sfence site=3\n");
	trace_producer_detach(&other);
	trace_producer_detach(&child);
	stop(&scene);
}

static void test_events_of_this_process_are_among_those_of_the_threads(void **state)
{
	const struct trace_event fsync = { .kind = TRACE_FSYNC, .file = 100 };
	const struct trace_event mark = { .kind = TRACE_MARK, .mark = { 0, -1, 4, bytes_of("here") } };
	const struct trace_event wrong = { .kind = TRACE_FSYNC };
	struct scene scene;

	start(&scene, 0);
	log_value(&scene, 0, 1);
	assert_int_equal(trace_merge_put(scene.merge, &fsync), 0);
	log_value(&scene, 1, 2);
	assert_int_equal(trace_merge_put(scene.merge, &wrong), -EINVAL);
	assert_true(trace_log_event(&scene.producers[2], &mark));
	assert_int_equal(trace_merge_process_exit(scene.merge, scene.process, 256), 0);
	assert_string_equal(finish(&scene), "t1 store 100+0x8 bytes=0100000000000000\n"
					    "fsync file=100\n"
					    "t2 store 100+0x10 bytes=0200000000000000\n"
					    "t3 mark \"here\"\n"
					    "process-exit process=1 status=256\n");
	stop(&scene);
}

static void test_a_long_store_is_split_and_arrives_whole(void **state)
{
	static unsigned char bytes[40000], got[40000];
	struct scene scene;
	struct trace_reader *reader;
	struct trace_event event;
	struct message message;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 31 >> 3);
	start(&scene, 0);
	assert_true(trace_log_store(&scene.producers[0], TRACE_RANGE, 0, 7, 100, bytes, sizeof(bytes)));
	finish(&scene);
	lseek(scene.fd, 0, SEEK_SET);
	assert_int_equal(trace_reader_create(scene.fd, "trace", &reader, &message), 0);
	for (size_t pieces = 0; trace_reader_next(reader, &event, &message) == 1;) {
		if (event.kind != TRACE_STORE)
			continue;
		assert_int_equal(event.flags, pieces++ ? TRACE_RANGE | TRACE_CONTINUED : TRACE_RANGE);
		memcpy(got + event.store.offset - 100, event.store.bytes.at, event.store.bytes.length);
	}
	assert_memory_equal(got, bytes, sizeof(bytes));
	trace_reader_destroy(reader);
	stop(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_of_several_threads_are_in_the_order_of_their_stamps),
		cmocka_unit_test(test_a_stamp_that_is_held_is_waited_for),
		cmocka_unit_test(test_a_stamp_that_stands_for_nothing_leaves_nothing),
		cmocka_unit_test(test_a_stamp_that_a_killed_thread_held_is_lost_and_said_so),
		cmocka_unit_test(test_a_thread_that_holds_a_stamp_too_long_does_not_stop_the_others),
		cmocka_unit_test(test_a_malformed_slot_ends_the_recording_of_its_thread_only),
		cmocka_unit_test(test_impossible_positions_end_the_recording_of_their_thread_only),
		cmocka_unit_test(test_a_clock_that_was_moved_is_noticed),
		cmocka_unit_test(test_every_byte_of_a_ring_can_be_random),
		cmocka_unit_test(test_ids_of_sites_and_modules_are_those_of_each_process),
		cmocka_unit_test(test_events_of_this_process_are_among_those_of_the_threads),
		cmocka_unit_test(test_a_long_store_is_split_and_arrives_whole),
	};

	return cmocka_run_group_tests_name("trace_merge", tests, NULL, NULL);
}
