/* SPDX-License-Identifier: BSD-3-Clause */
/* The shared memory between recorded threads and the consumer: slots, positions, blocking. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/buffer.h"

struct pair {
	struct trace_clock *clock;
	int clock_fd;
	struct trace_buffer *buffer;
	struct trace_producer producer;
};

static int setup(void **state)
{
	static struct pair pair;

	pair = (struct pair){ 0 };
	assert_int_equal(trace_clock_create(&pair.clock, &pair.clock_fd), 0);
	assert_int_equal(trace_buffer_create(TRACE_RING_BYTES_MIN, &pair.buffer), 0);
	assert_int_equal(trace_producer_attach(&pair.producer, trace_buffer_fd(pair.buffer), pair.clock), 0);
	*state = &pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	trace_producer_detach(&pair->producer);
	trace_buffer_destroy(pair->buffer);
	trace_clock_unmap(pair->clock);
	close(pair->clock_fd);
	return 0;
}

static void test_a_store_of_8_bytes_takes_24_bytes(void **state)
{
	struct pair *pair = *state;
	const uint64_t value = 0x1122334455667788;
	uint64_t words[16];

	assert_true(trace_log_store(&pair->producer, TRACE_NONTEMPORAL, 0x123456, 7, 0xfff8, &value, 8));
	assert_int_equal(trace_buffer_take(pair->buffer, words, sizeof(words)), 24);
	assert_int_equal(words[0], 1u | 7u << 6 | 1u << 12 | (uint64_t)0x123456 << 16 | (uint64_t)1 << 40);
	assert_int_equal(words[1], (uint64_t)7 << 48 | 0xfff8);
	assert_int_equal(words[2], value);
}

static void test_a_flush_takes_16_bytes_and_a_fence_8(void **state)
{
	struct pair *pair = *state;
	uint64_t words[16];

	assert_true(trace_log_flush(&pair->producer, TRACE_CLFLUSHOPT, 3, 1, 0x1048, 70));
	assert_true(trace_log_fence(&pair->producer, TRACE_MFENCE, 4));
	assert_int_equal(trace_buffer_take(pair->buffer, words, sizeof(words)), 24);
	assert_int_equal(words[0], 4u | 1u << 6 | 1u << 12 | 3u << 16 | (uint64_t)1 << 40);
	assert_int_equal(words[1], (uint64_t)1 << 48 | 0x1040);
	assert_int_equal(words[2], 5u | 1u << 12 | 4u << 16 | (uint64_t)2 << 40);
}

static void test_a_rebase_comes_before_a_stamp_with_other_high_bits(void **state)
{
	struct pair *pair = *state;
	uint64_t words[16];

	atomic_store(&pair->clock->stamp, 0x123ffffff);
	assert_true(trace_log_fence(&pair->producer, TRACE_SFENCE, 0));
	assert_true(trace_log_fence(&pair->producer, TRACE_SFENCE, 0));
	assert_int_equal(trace_buffer_take(pair->buffer, words, sizeof(words)), 16 + 8 + 8);
	assert_int_equal(words[0], TRACE_SLOT_REBASE);
	assert_int_equal(words[1], 0x124000000);
	assert_int_equal(words[2] >> 40, 0);
	assert_int_equal(words[3] >> 40, 1);
}

static void test_a_store_of_every_length_is_copied_to_the_byte(void **state)
{
	struct pair *pair = *state;
	unsigned char bytes[64], taken[128];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i + 1);
	for (unsigned length = 1; length <= 64; length++) {
		const size_t padded = (length + 7) / 8 * 8;

		memset(taken, 0xff, sizeof(taken));
		assert_true(trace_log_store(&pair->producer, 0, 0, 1, 0, bytes, length));
		assert_int_equal(trace_buffer_take(pair->buffer, taken, sizeof(taken)), 16 + padded);
		assert_memory_equal(taken + 16, bytes, length);
		for (size_t i = length; i < padded; i++)
			assert_int_equal(taken[16 + i], 0);
	}
}

/* Put a store in one of the two ways, and take it. */
static size_t put_and_take(struct pair *pair, bool there, uint64_t clock, const unsigned char *bytes,
			   size_t length, unsigned char *taken, size_t room)
{
	struct trace_producer *producer = &pair->producer;
	const uint64_t place = trace_slot_place(7, 0x1234);

	atomic_store(&pair->clock->stamp, clock);
	producer->rebase_at = (uint64_t)1 << TRACE_SLOT_STAMP_BITS;
	memset(taken, 0xff, room);
	assert_true(trace_room(producer, length + TRACE_SLOT_ROOM));
	/* What was there before must not show. */
	memset(trace_slot_at(producer), 0xff, length + TRACE_SLOT_ROOM);
	if (there) {
		void *free = trace_slot_bytes(producer, length);
		const void *at;

		memcpy(free, bytes, length);
		at = trace_put_store_there(producer, free, trace_stamp(producer), TRACE_RANGE, 9, place,
					   length);
		assert_memory_equal(at, bytes, length);
	} else if (length <= TRACE_SLOT_INLINE_MAX) {
		trace_put_store(producer, trace_stamp(producer), TRACE_RANGE, 9, place, bytes,
				(uint32_t)length);
	} else {
		trace_put_store_long(producer, trace_stamp(producer), TRACE_RANGE, 9, place, bytes, length);
	}
	trace_publish(producer);
	return (size_t)trace_buffer_take(pair->buffer, taken, room);
}

static void test_bytes_that_are_in_the_ring_before_the_stamp_make_the_same_slot(void **state)
{
	static const uint64_t clocks[] = { 5, 0x2ffffff }; /* the second one asks for a rebase */
	struct pair *pair = *state;
	unsigned char bytes[4096], one[4200], other[4200];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + 1);
	for (unsigned which = 0; which < 2; which++) {
		for (size_t length = 1; length <= sizeof(bytes); length += length < 140 ? 1 : 23) {
			const size_t taken = put_and_take(pair, false, clocks[which], bytes, length, one,
							  sizeof(one));

			assert_int_equal(put_and_take(pair, true, clocks[which], bytes, length, other,
						      sizeof(other)), taken);
			assert_memory_equal(one, other, taken);
		}
	}
}

static void test_a_buffer_is_idle_unless_a_stamp_is_held_or_slots_wait(void **state)
{
	struct pair *pair = *state;
	uint64_t words[4], stamp;

	assert_true(trace_buffer_idle(pair->buffer));
	assert_true(trace_room(&pair->producer, TRACE_SLOT_ROOM));
	stamp = trace_stamp(&pair->producer);
	assert_int_equal(trace_buffer_take(pair->buffer, words, sizeof(words)), 0);
	assert_false(trace_buffer_idle(pair->buffer));
	trace_put_void(&pair->producer, stamp);
	trace_publish(&pair->producer);
	assert_false(trace_buffer_idle(pair->buffer));
	assert_int_equal(trace_buffer_take(pair->buffer, words, sizeof(words)), 8);
	assert_true(trace_buffer_idle(pair->buffer));
}

static void test_impossible_positions_are_rejected(void **state)
{
	static const uint64_t heads[] = { TRACE_RING_BYTES_MIN + 8, 4, 12, UINT64_MAX - 7, 7 };
	struct pair *pair = *state;
	uint64_t words[4];

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		atomic_store(&pair->producer.header->head, heads[i]);
		assert_int_equal(trace_buffer_take(pair->buffer, words, sizeof(words)), -EPROTO);
	}
	atomic_store(&pair->producer.header->head, 16);
	assert_int_equal(trace_buffer_take(pair->buffer, words, sizeof(words)), 16);
	atomic_store(&pair->producer.header->head, 8);
	assert_int_equal(trace_buffer_take(pair->buffer, words, sizeof(words)), -EPROTO);
}

static bool is_gone(void *context)
{
	++*(int *)context;
	return true;
}

static void test_a_full_buffer_blocks_until_the_consumer_is_gone(void **state)
{
	struct pair *pair = *state;
	int asked = 0;

	pair->producer.gone_fn = is_gone;
	pair->producer.gone_context = &asked;
	for (uint64_t used = 0; used + TRACE_SLOT_ROOM <= TRACE_RING_BYTES_MIN; used += 8)
		assert_true(trace_log_fence(&pair->producer, TRACE_SFENCE, 0));
	assert_int_equal(asked, 0);
	while (trace_log_fence(&pair->producer, TRACE_SFENCE, 0))
		;
	assert_int_equal(asked, 1);
	assert_false(trace_log_fence(&pair->producer, TRACE_SFENCE, 0));
	assert_int_equal(asked, 1);
}

static void test_a_closed_buffer_takes_no_more_once_it_is_full(void **state)
{
	struct pair *pair = *state;

	trace_buffer_close(pair->buffer);
	while (trace_log_fence(&pair->producer, TRACE_SFENCE, 0))
		;
	assert_true(pair->producer.closed);
}

static void test_a_descriptor_of_something_else_is_rejected(void **state)
{
	struct pair *pair = *state;
	struct trace_producer other;
	struct trace_clock *clock;
	int fd = memfd_create("other", 0);

	assert_int_equal(ftruncate(fd, 4096 + TRACE_RING_BYTES_MIN), 0);
	assert_int_equal(trace_producer_attach(&other, fd, pair->clock), -EPROTO);
	assert_int_equal(trace_clock_map(fd, &clock), -EPROTO);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(trace_clock_map(fd, &clock), -EPROTO);
	close(fd);
	assert_int_equal(trace_clock_map(pair->clock_fd, &clock), 0);
	trace_clock_unmap(clock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_store_of_8_bytes_takes_24_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_flush_takes_16_bytes_and_a_fence_8, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_rebase_comes_before_a_stamp_with_other_high_bits,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_store_of_every_length_is_copied_to_the_byte, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_bytes_that_are_in_the_ring_before_the_stamp_make_the_same_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_buffer_is_idle_unless_a_stamp_is_held_or_slots_wait,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_impossible_positions_are_rejected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_full_buffer_blocks_until_the_consumer_is_gone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_closed_buffer_takes_no_more_once_it_is_full, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_descriptor_of_something_else_is_rejected, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("trace_buffer", tests, NULL, NULL);
}
