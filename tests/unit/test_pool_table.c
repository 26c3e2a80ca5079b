/* SPDX-License-Identifier: BSD-3-Clause */

/* The superblock and the table of entries on the media. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crc32c.h"
#include "mediatest.h"
#include "pool/superblock.h"
#include "pool/table.h"
#include "pooltest.h"

static union slot slot_on_media(const struct pooltest_bench *bench, uint32_t index, unsigned copy)
{
	const uint64_t offset = pool_table_slot_offset(&bench->pools->superblock, index, copy);
	union slot slot;

	assert_true(offset <= region_size(bench->region) - SLOT_SIZE);
	mediatest_read(bench->region, offset, &slot, SLOT_SIZE);
	return slot;
}

static union slot name_slot(const char *text)
{
	union slot slot = { .name = { .head = { .kind = SLOT_NAME } } };

	slot.name.length = (uint8_t)strlen(text);
	memcpy(slot.name.name, text, strlen(text));
	return slot;
}

static void both_slots_of_a_written_entry_are_valid_and_equal(void **state)
{
	struct pooltest_bench *bench = *state;
	union slot slot = name_slot("name"), copies[2];
	uint64_t sequence;
	uint32_t index;

	assert_int_equal(pool_table_take(bench->pools, &index), 0);
	sequence = bench->pools->sequences[index];
	assert_int_equal(pool_table_write(bench->pools, index, &slot), 0);
	for (unsigned copy = 0; copy < 2; copy++) {
		copies[copy] = slot_on_media(bench, index, copy);
		assert_true(pool_slot_is_valid(bench->pools->uuid_seed, &copies[copy], index));
		assert_int_equal(copies[copy].head.sequence, sequence + 1);
		assert_string_equal(copies[copy].name.name, "name");
	}
	assert_memory_equal(&copies[0], &copies[1], SLOT_SIZE);
	assert_int_equal(bench->pools->sequences[index], sequence + 1);
}

static void a_changed_byte_another_entry_and_another_region_make_a_slot_invalid(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint32_t seed = bench->pools->uuid_seed;
	union slot slot = name_slot("name");
	uint32_t index;

	assert_int_equal(pool_table_take(bench->pools, &index), 0);
	assert_int_equal(pool_table_write(bench->pools, index, &slot), 0);
	assert_true(pool_slot_is_valid(seed, &slot, index));
	assert_false(pool_slot_is_valid(seed, &slot, index + 1));
	assert_false(pool_slot_is_valid(seed ^ 1, &slot, index));
	for (unsigned at = 0; at < SLOT_SIZE; at++) {
		slot.bytes[at] ^= 0x10;
		assert_false(pool_slot_is_valid(seed, &slot, index));
		slot.bytes[at] ^= 0x10;
	}
	assert_true(pool_slot_is_valid(seed, &slot, index));
}

static void a_freed_entry_is_free_on_the_media_and_is_taken_again(void **state)
{
	struct pooltest_bench *bench = *state;
	union slot slot = name_slot("name");
	uint32_t index, again;

	assert_int_equal(pool_table_take(bench->pools, &index), 0);
	assert_int_equal(pool_table_write(bench->pools, index, &slot), 0);
	assert_int_equal(pool_table_free(bench->pools, index), 0);
	for (unsigned copy = 0; copy < 2; copy++) {
		slot = slot_on_media(bench, index, copy);
		assert_true(pool_slot_is_valid(bench->pools->uuid_seed, &slot, index));
		assert_int_equal(slot.head.kind, SLOT_FREE);
	}
	assert_int_equal(pool_table_take(bench->pools, &again), 0);
	assert_int_equal(again, index);
}

static void no_entry_is_given_twice_while_the_table_grows(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint32_t before = bench->pools->entries, wanted = 4 * before;
	bool *taken = calloc(wanted * 2, sizeof(*taken));

	for (uint32_t i = 0; i < wanted; i++) {
		uint32_t index;

		assert_int_equal(pool_table_take(bench->pools, &index), 0);
		assert_true(index < wanted * 2);
		assert_false(taken[index]);
		taken[index] = true;
		assert_null(bench->pools->files[index]);
	}
	free(taken);
	assert_true(bench->pools->superblock.table_chunks > 1);
	assert_int_equal(pool_table_entries(&bench->pools->superblock), bench->pools->entries);
	/* Each slot has its own offset, and the new ones are valid. */
	for (uint32_t index = 1; index < bench->pools->entries; index++) {
		for (unsigned copy = 0; copy < 2; copy++) {
			union slot slot = slot_on_media(bench, index, copy);

			assert_true(pool_slot_is_valid(bench->pools->uuid_seed, &slot, index));
		}
	}
	assert_int_equal(pool_table_slot_offset(&bench->pools->superblock, bench->pools->entries, 0),
			 UINT64_MAX);
}

static void a_full_region_has_no_more_entries(void **state)
{
	struct pooltest_bench *bench = *state;
	uint64_t block;
	uint32_t index;
	int error;

	while (pool_space_take(&bench->pools->space, SPACE_DATA, 0, 1000, false, &block))
		;
	while ((error = pool_table_take(bench->pools, &index)) == 0)
		;
	assert_int_equal(error, -ENOSPC);
	pool_table_put_back(bench->pools, 5);
	assert_int_equal(pool_table_take(bench->pools, &index), 0);
	assert_int_equal(index, 5);
}

static struct superblock superblock_on_media(const struct pooltest_bench *bench, uint64_t offset)
{
	struct superblock superblock;

	mediatest_read(bench->region, offset, &superblock, sizeof(superblock));
	return superblock;
}

static void both_copies_of_the_superblock_are_written_with_a_higher_sequence(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t size = region_size(bench->region);
	struct superblock superblock = bench->pools->superblock, first, last;

	superblock.dirty_shutdowns = 77;
	assert_int_equal(pool_superblock_write(bench->region, &superblock), 0);
	first = superblock_on_media(bench, 0);
	last = superblock_on_media(bench, size - BLOCK_BYTES);
	assert_true(pool_superblock_is_valid(&first, size));
	assert_memory_equal(&first, &last, sizeof(first));
	assert_int_equal(first.dirty_shutdowns, 77);
	assert_int_equal(first.sequence, bench->pools->superblock.sequence + 1);
}

static void assert_refused(struct superblock superblock, uint64_t region_size)
{
	superblock.checksum = crc32c(0, &superblock, offsetof(struct superblock, checksum));
	assert_false(pool_superblock_is_valid(&superblock, region_size));
}

static void a_superblock_with_impossible_fields_is_invalid(void **state)
{
	struct pooltest_bench *bench = *state;
	const uint64_t size = region_size(bench->region);
	const struct superblock good = superblock_on_media(bench, 0);
	struct superblock bad;

	assert_true(pool_superblock_is_valid(&good, size));
	assert_false(pool_superblock_is_valid(&good, size - BLOCK_BYTES));
	bad = good;
	bad.label[3] ^= 1;
	assert_false(pool_superblock_is_valid(&bad, size));
	/* From here on the checksum is correct. */
	bad = good;
	bad.magic[0] = 'X';
	assert_refused(bad, size);
	bad = good;
	bad.slot_size++;
	assert_refused(bad, size);
	bad = good;
	bad.block_size *= 2;
	assert_refused(bad, size);
	bad = good;
	bad.table_chunks = TABLE_CHUNKS_MAX + 1;
	assert_refused(bad, size);
	bad = good;
	bad.region_size -= 1;
	assert_refused(bad, size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST_EMPTY(both_slots_of_a_written_entry_are_valid_and_equal),
		POOLTEST_EMPTY(a_changed_byte_another_entry_and_another_region_make_a_slot_invalid),
		POOLTEST_EMPTY(a_freed_entry_is_free_on_the_media_and_is_taken_again),
		POOLTEST_EMPTY(no_entry_is_given_twice_while_the_table_grows),
		POOLTEST_EMPTY(a_full_region_has_no_more_entries),
		POOLTEST_EMPTY(both_copies_of_the_superblock_are_written_with_a_higher_sequence),
		POOLTEST_EMPTY(a_superblock_with_impossible_fields_is_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
