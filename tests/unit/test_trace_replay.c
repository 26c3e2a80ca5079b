/* SPDX-License-Identifier: BSD-3-Clause */
/* The contents that a trace leaves, against a model that is a plain array. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/rng.h"
#include "trace/replay_contents.h"
#include "tracetest.h"

static void apply(const struct trace_event *event, void *replay)
{
	assert_int_equal(trace_replay_apply(replay, event), 0);
}

static void assert_contents(const char *lines, uint64_t size, uint64_t offset, const char *bytes,
			    size_t length)
{
	struct trace_replay *replay = trace_replay_create();
	char got[256];

	assert_in_range(length, 0, sizeof(got));
	tracetest_visit(lines, apply, replay);
	assert_int_equal(trace_replay_size(replay, 1), size);
	memset(got, 'x', sizeof(got));
	trace_replay_read(replay, 1, offset, got, length);
	assert_memory_equal(got, bytes, length);
	trace_replay_destroy(replay);
}

static void test_stores_images_and_writes_set_bytes(void **state)
{
	assert_contents("image 1+0x10 text=\"image\"\nt1 store 1+0x12 text=\"AG\"\n", 4096, 15, "\0imAGe\0",
			7);
	assert_contents("write 1+4090 text=\"beyond the end\"\n", 4104, 4089, "\0beyond the end\0", 16);
	assert_contents("write 1+4090 page text=\"beyond the end\"\n", 4096, 4089, "\0beyond\0\0\0", 10);
}

static void test_only_the_bytes_of_the_mask_are_stored(void **state)
{
	assert_contents("image 1+0 text=\"abcdefgh\"\nt1 store 1+0 mask=0x81 text=\"12345678\"\n", 4096, 0,
			"1bcdefg8", 8);
	assert_contents("t1 store 1+4092 mask=0x55 text=\"12345678\"\ntruncate file=1 size=8192\n", 8192,
			4090,
			"\0\0"
			"1\0"
			"3\0"
			"5\0"
			"7\0\0",
			11);
}

static void test_a_shorter_file_forgets_its_end(void **state)
{
	assert_contents("image 1+0 text=\"abcdefgh\"\ntruncate file=1 size=3\ntruncate file=1 size=8\n", 8, 0,
			"abc\0\0\0\0\0", 8);
	assert_contents("image 1+0 text=\"abc\"\nopen file=1 op=01000\n", 0, 0, "\0\0\0", 3);
}

static void test_holes_and_zeroed_ranges_read_as_zeros(void **state)
{
	assert_contents("image 1+0 text=\"abcdefgh\"\nfallocate op=3 1+2 length=3\n", 4096, 0, "ab\0\0\0fgh",
			8);
	assert_contents("image 1+0 text=\"abcdefgh\"\nfallocate op=16 1+7 length=9000\n", 9007, 0,
			"abcdefg\0", 8);
	assert_contents("image 1+0 text=\"ab\"\nfallocate 1+0 length=9000\n", 9000, 0, "ab\0", 3);
}

static void test_modes_that_move_bytes_are_refused(void **state)
{
	struct trace_replay *replay = trace_replay_create();
	const struct trace_event collapse = {
		.kind = TRACE_FALLOCATE, .file = 1, .op = 8, .range = { 0, 4096 }
	};

	assert_int_equal(trace_replay_apply(replay, &collapse), -EOPNOTSUPP);
	trace_replay_destroy(replay);
}

static void test_memory_is_taken_by_pages_touched(void **state)
{
	struct trace_replay *replay = trace_replay_create();

	tracetest_visit("truncate file=1 size=1000000000000\n"
			"t1 store 1+0x100000 u64=1\nt1 store 1+0x100008 u64=1\nt1 store 1+0xa00000fff u16=1\n"
			"fallocate op=3 1+0 length=1000000000000\n",
			apply, replay);
	assert_int_equal(trace_replay_pages(replay), 3);
	trace_replay_destroy(replay);
}

static void test_saved_contents_are_those_that_are_read(void **state)
{
	struct trace_replay *replay = trace_replay_create();
	unsigned char got[64] = { 0 }, wanted[64];
	int fd = tracetest_file();

	tracetest_visit("image 1+4090 text=\"over an edge\"\ntruncate file=1 size=4100\n", apply, replay);
	assert_int_equal(trace_replay_save(replay, 1, fd), 0);
	trace_replay_read(replay, 1, 4080, wanted, 20);
	assert_int_equal(pread(fd, got, sizeof(got), 4080), 20);
	assert_memory_equal(got, wanted, 20);
	assert_memory_equal(got + 10, "over an ed", 10);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(trace_replay_save(replay, 2, fd), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	close(fd);
	trace_replay_destroy(replay);
}

#define MODEL 20000u

/* Random operations on a file, and on an array that is what they should leave. */
static void random_step(struct rng *rng, struct trace_event *event, unsigned char *bytes)
{
	uint64_t offset = rng_below(rng, MODEL), length = rng_below(rng, 300) + 1;

	if (length > MODEL - offset)
		length = MODEL - offset;
	*event = (struct trace_event){ .kind = TRACE_STORE, .file = 1 };
	for (uint64_t i = 0; i < length; i++)
		bytes[i] = (unsigned char)rng_next(rng);
	event->store.offset = offset;
	event->store.bytes = (struct trace_bytes){ bytes, (uint32_t)length };
	switch (rng_below(rng, 8)) {
	case 0:
		event->kind = TRACE_TRUNCATE;
		event->range.offset = 0;
		event->range.length = offset;
		break;
	case 1:
		event->kind = TRACE_FALLOCATE;
		event->op = 3;
		event->range.offset = offset;
		event->range.length = length;
		break;
	case 2:
	case 3:
		event->kind = TRACE_WRITE;
		break;
	case 4:
		event->store.bytes.length = (uint32_t)(length % 64 + 1);
		if (event->store.bytes.length > MODEL - offset)
			event->store.bytes.length = 1;
		event->store.mask = rng_next(rng) >> (64 - event->store.bytes.length);
		break;
	default:
		break;
	}
}

static void model_step(unsigned char *model, uint64_t *size, const struct trace_event *event)
{
	if (event->kind == TRACE_TRUNCATE) {
		if (event->range.length < *size)
			memset(model + event->range.length, 0, MODEL - event->range.length);
		*size = event->range.length;
	} else if (event->kind == TRACE_FALLOCATE) {
		memset(model + event->range.offset, 0, event->range.length);
	} else {
		for (uint32_t i = 0; i < event->store.bytes.length; i++)
			if (!event->store.mask || event->store.mask >> i & 1)
				model[event->store.offset + i] = event->store.bytes.at[i];
		if (event->kind == TRACE_WRITE && event->store.offset + event->store.bytes.length > *size)
			*size = event->store.offset + event->store.bytes.length;
	}
}

static void test_random_operations_leave_what_they_leave_in_an_array(void **state)
{
	static unsigned char model[MODEL], got[MODEL];

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct trace_replay *replay = trace_replay_create();
		struct rng rng = { .state = seed };
		uint64_t size = 0;

		memset(model, 0, sizeof(model));
		for (int i = 0; i < 500; i++) {
			struct trace_event event;
			unsigned char bytes[512];

			random_step(&rng, &event, bytes);
			model_step(model, &size, &event);
			assert_int_equal(trace_replay_apply(replay, &event), 0);
		}
		assert_int_equal(trace_replay_size(replay, 1), size);
		trace_replay_read(replay, 1, 0, got, MODEL);
		assert_memory_equal(got, model, size);
		trace_replay_destroy(replay);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stores_images_and_writes_set_bytes),
		cmocka_unit_test(test_only_the_bytes_of_the_mask_are_stored),
		cmocka_unit_test(test_a_shorter_file_forgets_its_end),
		cmocka_unit_test(test_holes_and_zeroed_ranges_read_as_zeros),
		cmocka_unit_test(test_modes_that_move_bytes_are_refused),
		cmocka_unit_test(test_saved_contents_are_those_that_are_read),
		cmocka_unit_test(test_memory_is_taken_by_pages_touched),
		cmocka_unit_test(test_random_operations_leave_what_they_leave_in_an_array),
	};

	return cmocka_run_group_tests_name("trace_replay", tests, NULL, NULL);
}
