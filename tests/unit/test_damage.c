/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Damage: any single byte of metadata, both copies of a structure, and inconsistent tables. The check
 * reports the damage and changes nothing. Loading loses nothing of which a copy is left, and refuses to
 * write to the rest.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crc32c.h"
#include "common/rng.h"
#include "pool/format.h"
#include "mediatest.h"
#include "pooltest.h"

#define SPEC "memfd:2M"
#define SIZE ((uint64_t)2 << 20)

struct subject {
	struct region *region;
	unsigned char *image;
	char *fingerprint;
	struct superblock superblock;
};

static int setup(void **state)
{
	struct subject *subject = calloc(1, sizeof(*subject));
	struct pools *pools;
	struct pool *root, *pool = NULL;

	subject->region = pooltest_region(SPEC);
	pools = pooltest_open(subject->region);
	pooltest_make(pools, "/dir", S_IFDIR | 0755, 0);
	pooltest_make(pools, "/dir/a", S_IFREG | 0644, 0);
	pooltest_put(pools, "/dir/a", "some bytes", 0, true);
	pooltest_make(pools, "/pieces", S_IFREG | 0600, 0);
	for (int i = 0; i < 15; i++)
		pooltest_put(pools, "/pieces", "piece", (uint64_t)i * 8192, true);
	root = pool_root(pools);
	assert_int_equal(pool_symlink(root, "link", "dir/a", 1, 2, &pool), 0);
	pool_unref(pool, 1);
	pool_unref(root, 1);
	subject->fingerprint = pooltest_fingerprint(pools);
	assert_int_equal(pools_close(pools, NULL), 0);
	subject->image = malloc(SIZE);
	mediatest_read(subject->region, 0, subject->image, SIZE);
	memcpy(&subject->superblock, subject->image, sizeof(subject->superblock));
	*state = subject;
	return 0;
}

static int teardown(void **state)
{
	struct subject *subject = *state;

	region_close(subject->region);
	free(subject->image);
	free(subject->fingerprint);
	free(subject);
	return 0;
}

static void restore(struct subject *subject)
{
	mediatest_write(subject->region, 0, subject->image, SIZE);
}

static struct pools_check_result check(struct subject *subject, int expected)
{
	const struct pools_check_options options = { 0 };
	struct pools_check_result result;

	assert_int_equal(pools_check(subject->region, &options, &result, NULL), expected);
	return result;
}

static void assert_loads_whole(struct subject *subject)
{
	struct pools *pools = pooltest_open(subject->region);
	char *fingerprint = pooltest_fingerprint(pools);
	struct pools_check_result result;

	assert_string_equal(fingerprint, subject->fingerprint);
	free(fingerprint);
	pools_abandon(pools);
	/* Loading has also repaired the damage. */
	result = check(subject, 0);
	assert_int_equal(result.redundant + result.leftovers, 0);
}

/* Flip one byte: the check reports a damaged copy and writes nothing, and loading loses nothing. */
static void assert_byte_is_redundant(struct subject *subject, uint64_t offset, bool load)
{
	struct pools_check_result result;
	unsigned char flipped;

	mediatest_flip(subject->region, offset);
	flipped = mediatest_byte(subject->region, offset);
	result = check(subject, 0);
	if (result.redundant != 1 || result.leftovers || result.damaged)
		fail_msg("byte %llu: %llu redundant, %llu leftovers, %llu damaged",
			 (unsigned long long)offset, (unsigned long long)result.redundant,
			 (unsigned long long)result.leftovers, (unsigned long long)result.damaged);
	assert_int_equal(mediatest_byte(subject->region, offset), flipped);
	if (load) {
		assert_loads_whole(subject);
		restore(subject);
	} else {
		mediatest_flip(subject->region, offset);
	}
}

static void a_damaged_byte_of_a_superblock_is_repaired(void **state)
{
	struct subject *subject = *state;

	for (unsigned byte = 0; byte < BLOCK_BYTES; byte++)
		for (unsigned copy = 0; copy < 2; copy++)
			assert_byte_is_redundant(subject, copy * (SIZE - BLOCK_BYTES) + byte, byte % 64 == 0);
}

static void a_damaged_byte_of_the_table_is_repaired(void **state)
{
	struct subject *subject = *state;
	const struct table_chunk *chunk = &subject->superblock.chunks[0];

	assert_int_equal(subject->superblock.table_chunks, 1);
	for (uint64_t block = chunk->block; block < chunk->block + chunk->blocks; block++)
		for (unsigned byte = 0; byte < SLOTS_PER_BLOCK * SLOT_SIZE; byte++)
			assert_byte_is_redundant(subject, block * BLOCK_BYTES + byte, byte % 97 == 0);
}

static void a_damaged_byte_of_a_map_block_is_repaired(void **state)
{
	struct subject *subject = *state;
	unsigned found = 0;

	for (uint64_t block = 1; block < SIZE / BLOCK_BYTES; block++) {
		struct map_block map;

		memcpy(&map, subject->image + block * BLOCK_BYTES, sizeof(map));
		if (map.magic != MAP_MAGIC || map.count != 15)
			continue;
		found++;
		for (unsigned byte = 0; byte < BLOCK_BYTES; byte++)
			assert_byte_is_redundant(subject, block * BLOCK_BYTES + byte, byte % 64 == 0);
	}
	assert_int_equal(found, 2);
}

static uint64_t slot_offset(const struct subject *subject, uint32_t index, unsigned copy)
{
	const struct table_chunk *chunk = &subject->superblock.chunks[0];
	uint64_t block = chunk->block + copy * chunk->blocks / 2 + index / SLOTS_PER_BLOCK;

	return block * BLOCK_BYTES + index % SLOTS_PER_BLOCK * SLOT_SIZE;
}

struct named {
	unsigned count;
	char text[512];
};

static void take_name(void *context, const struct pools_problem *problem)
{
	struct named *named = context;

	if (problem->kind == POOLS_DAMAGE && named->count++ == 0)
		memcpy(named->text, problem->text, sizeof(named->text));
}

/*
 * Assert that opening for writing is refused, that everything else can be read in a read-only region, and
 * that the check names the entry.
 */
static void assert_refused(struct subject *subject, const char *mention)
{
	const struct pools_options read_write = { 0 }, read_only = { .read_only = true };
	struct named named = { 0 };
	const struct pools_check_options options = { .problem = take_name, .context = &named };
	struct pools_check_result result;
	struct message message = { "" };
	struct pools *pools = NULL;
	unsigned char *before = malloc(SIZE);

	mediatest_read(subject->region, 0, before, SIZE);
	assert_int_equal(pools_check(subject->region, &options, &result, NULL), -EUCLEAN);
	assert_true(result.damaged > 0);
	if (!strstr(named.text, mention))
		fail_msg("'%s' does not mention '%s'", named.text, mention);
	assert_int_equal(pools_open(subject->region, &read_write, &pools, &message), -EUCLEAN);
	assert_non_null(strstr(message.text, SPEC));
	if (pools_open(subject->region, &read_only, &pools, NULL) == 0)
		assert_int_equal(pools_close(pools, NULL), 0);
	assert_int_equal(media_compare(subject->region, 0, before, SIZE), 0);
	free(before);
}

static void an_entry_with_two_damaged_slots_is_reported_as_lost(void **state)
{
	struct subject *subject = *state;

	for (uint32_t index = 0; index < 10; index++) {
		char mention[32];

		mediatest_flip(subject->region, slot_offset(subject, index, 0) + 30);
		mediatest_flip(subject->region, slot_offset(subject, index, 1) + 31);
		snprintf(mention, sizeof(mention), "entry %u:", index);
		assert_refused(subject, mention);
		restore(subject);
	}
}

static void a_region_with_two_damaged_superblocks_is_refused(void **state)
{
	struct subject *subject = *state;
	const struct pools_options options = { 0 };
	struct message message = { "" };
	struct pools *pools;

	mediatest_flip(subject->region, 100);
	mediatest_flip(subject->region, SIZE - BLOCK_BYTES + 100);
	check(subject, -EUCLEAN);
	assert_int_equal(pools_open(subject->region, &options, &pools, &message), -EUCLEAN);
	assert_non_null(strstr(message.text, "superblock"));
}

/* Change the entry of a file in both slots, with a correct checksum, as a bug or an attacker could. */
static void forge(struct subject *subject, uint32_t index, void (*change)(union slot *slot))
{
	uint32_t seed = crc32c(0, subject->superblock.uuid, 16);
	union slot slot;

	memcpy(&slot, subject->image + slot_offset(subject, index, 0), sizeof(slot));
	change(&slot);
	slot.head.checksum = crc32c(seed, (char *)&slot + 4, sizeof(slot) - 4);
	for (unsigned copy = 0; copy < 2; copy++)
		mediatest_write(subject->region, slot_offset(subject, index, copy), &slot, sizeof(slot));
}

static void into_the_superblock(union slot *slot)
{
	slot->file.extents = 1;
	slot->file.inline_extents[0] = (struct extent){ .page = 0, .pages = 1, .block = 0 };
}

static void outside_the_region(union slot *slot)
{
	slot->file.extents = 1;
	slot->file.inline_extents[0] = (struct extent){ .page = 0, .pages = 1, .block = UINT64_MAX - 1 };
}

static void an_endless_extent(union slot *slot)
{
	slot->file.extents = 1;
	slot->file.inline_extents[0] = (struct extent){ .page = 0, .pages = 0x7fffffff, .block = 100 };
}

static void too_many_extents(union slot *slot)
{
	slot->file.extents = 4000000000u;
}

static void a_map_that_is_none(union slot *slot)
{
	slot->file.map_blocks = 1;
	slot->file.map[0] = slot->file.map[1] = 200;
}

static void a_huge_map(union slot *slot)
{
	slot->file.map_blocks = UINT32_MAX;
}

static void an_impossible_size(union slot *slot)
{
	slot->file.size = UINT64_MAX;
}

static void an_impossible_mode(union slot *slot)
{
	slot->file.mode = 0777;
}

static void inconsistent_attributes_and_extents_are_reported(void **state)
{
	static void (*const changes[])(union slot *slot) = {
		into_the_superblock, outside_the_region, an_endless_extent, too_many_extents,
		a_map_that_is_none,  a_huge_map,	 an_impossible_size, an_impossible_mode,
	};
	struct subject *subject = *state;
	/* Entry 3 is /dir/a: entry 0 is the root, 1 is /dir, and 2 its name. */
	const uint32_t file = 3;

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		forge(subject, file, changes[i]);
		assert_refused(subject, "entry 3");
		restore(subject);
	}
}

static void nowhere(union slot *slot)
{
	slot->name.parent = 4000000;
}

static void no_file(union slot *slot)
{
	slot->name.file = 40;
}

static void a_slash(union slot *slot)
{
	slot->name.name[0] = '/';
}

static void empty(union slot *slot)
{
	slot->name.length = 0;
}

static void under_itself(union slot *slot)
{
	slot->name.parent = slot->name.file;
}

static void inconsistent_names_are_reported(void **state)
{
	static void (*const changes[])(union slot *slot) = { nowhere, no_file, a_slash, empty };
	struct subject *subject = *state;

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		forge(subject, 4, changes[i]);
		assert_refused(subject, "entry 4");
		restore(subject);
	}
	/* Entry 2 is the name of /dir. A directory that contains itself cannot be reached. */
	forge(subject, 2, under_itself);
	assert_refused(subject, "cannot be reached");
}

static void random_damage_crashes_neither_check_nor_loading(void **state)
{
	struct subject *subject = *state;
	struct rng rng = { .state = 99 };

	for (int round = 0; round < 300; round++) {
		const struct pools_options read_only = { .read_only = true };
		const struct pools_check_options options = { 0 };
		struct pools_check_result result;
		struct pools *pools;

		for (uint64_t count = rng_below(&rng, 200) + 1; count; count--)
			mediatest_flip(subject->region, rng_below(&rng, 2) ? rng_below(&rng, SIZE) :
							   BLOCK_BYTES + rng_below(&rng, 40000));
		pools_check(subject->region, &options, &result, NULL);
		if (pools_open(subject->region, &read_only, &pools, NULL) == 0)
			assert_int_equal(pools_close(pools, NULL), 0);
		restore(subject);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_damaged_byte_of_a_superblock_is_repaired, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_byte_of_the_table_is_repaired, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_byte_of_a_map_block_is_repaired, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_entry_with_two_damaged_slots_is_reported_as_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_region_with_two_damaged_superblocks_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			inconsistent_attributes_and_extents_are_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(inconsistent_names_are_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(
			random_damage_crashes_neither_check_nor_loading, setup, teardown),
	};

	return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
