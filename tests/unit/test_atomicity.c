/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Every metadata operation, cut at every fence: between two fences any of the
 * lines written may have reached the media. Whatever did, loading the region
 * gives the state before the operation or the one after it, never a third.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "atomicity_operations.h"
#include "common/align.h"
#include "common/rng.h"
#include "mediatest.h"
#include "pool/pools.h"
#include "pooltest.h"

#define SPEC "memfd:2M"
#define SIZE ((uint64_t)2 << 20)

/* ---- What reached the media, in order ---------------------------------------------- */

struct piece {
	uint64_t offset;
	uint64_t length; /* within a line */
	unsigned char bytes[LINE_SIZE];
	bool fence;
};

struct record {
	struct piece *pieces;
	size_t count, room;
};

static struct piece *add_piece(struct record *record)
{
	if (record->count == record->room) {
		record->room = record->room ? 2 * record->room : 1024;
		record->pieces = realloc(record->pieces, record->room * sizeof(struct piece));
		assert_non_null(record->pieces);
	}
	record->pieces[record->count] = (struct piece){ 0 };
	return &record->pieces[record->count++];
}

/* bytes NULL: zeros. */
static void add_lines(struct record *record, uint64_t offset, const unsigned char *bytes, uint64_t length)
{
	while (length) {
		uint64_t piece_length = min_u64(length, LINE_SIZE - offset % LINE_SIZE);
		struct piece *piece = add_piece(record);

		piece->offset = offset;
		piece->length = piece_length;
		if (bytes) {
			memcpy(piece->bytes, bytes, piece_length);
			bytes += piece_length;
		}
		offset += piece_length;
		length -= piece_length;
	}
}

static void saw_write(void *context, uint64_t offset, const void *bytes, uint64_t length)
{
	add_lines(context, offset, bytes, length);
}

static void saw_zero(void *context, uint64_t offset, uint64_t length)
{
	add_lines(context, offset, NULL, length);
}

static void saw_fence(void *context)
{
	struct record *record = context;

	/* Fences with nothing before them change nothing. */
	if (record->count && !record->pieces[record->count - 1].fence)
		add_piece(record)->fence = true;
}


/* ---- The cuts ---------------------------------------------------------------------------- */

struct trial {
	const struct atomicity_operation *operation;
	unsigned char *image; /* the media up to the last fence passed */
	struct region *scratch;
	char *before, *after;
	uint64_t states, old_states, new_states;
	bool wrong_allowed; /* the negative control counts instead of failing */
	uint64_t wrong;
};

static void apply_piece(unsigned char *image, const struct piece *piece)
{
	memcpy(image + piece->offset, piece->bytes, piece->length);
}

static void try_state(struct trial *trial, const unsigned char *image)
{
	const struct pools_check_options quiet = { 0 };
	struct pools_check_result result;
	struct pools *pools;
	char *found;

	mediatest_write(trial->scratch, 0, image, SIZE);
	if (trial->wrong_allowed && pools_check(trial->scratch, &quiet, &result, NULL) != 0) {
		trial->wrong++;
		return;
	}
	pools = pooltest_open(trial->scratch);
	found = pooltest_fingerprint(pools);
	pools_abandon(pools);
	trial->states++;
	if (strcmp(found, trial->before) == 0)
		trial->old_states++;
	else if (strcmp(found, trial->after) == 0)
		trial->new_states++;
	else if (trial->wrong_allowed)
		trial->wrong++;
	else
		fail_msg("%s: a third state:\n%s\nbefore:\n%s\nafter:\n%s", trial->operation->name, found,
			 trial->before, trial->after);
	assert_int_equal(pools_check(trial->scratch, &quiet, &result, NULL), 0);
	assert_int_equal(result.leftovers + result.redundant, 0);
	free(found);
}

/* The lines between two fences: none, all, each alone, each missing, and some random mixtures. */
static void cut_between(struct trial *trial, const struct piece *pieces, size_t count, struct rng *rng)
{
	const size_t most = 40;
	unsigned char *image = malloc(SIZE);

	assert_non_null(image);
	for (size_t choice = 0; choice < 2 * min_u64(count, most) + 10; choice++) {
		memcpy(image, trial->image, SIZE);
		for (size_t i = 0; i < count; i++) {
			size_t special = count > most ? rng_below(rng, count) : choice / 2;
			bool in = choice == 2 * min_u64(count, most) ? false
				  : choice > 2 * min_u64(count, most) ? rng_next(rng) & 1
				  : choice & 1			      ? i != special
								      : i == special;

			if (in)
				apply_piece(image, &pieces[i]);
		}
		try_state(trial, image);
	}
	free(image);
}

static void cut_everywhere(struct trial *trial, const struct record *record)
{
	struct rng rng = { .state = 1 };
	size_t start = 0;

	for (size_t end = 0; end < record->count; end++) {
		if (!record->pieces[end].fence)
			continue;
		cut_between(trial, &record->pieces[start], end - start, &rng);
		for (size_t i = start; i < end; i++)
			apply_piece(trial->image, &record->pieces[i]);
		start = end + 1;
	}
	try_state(trial, trial->image);
}

static void run_trial(struct trial *trial, const struct atomicity_operation *operation,
		      void (*spoil)(struct record *record))
{
	struct record record = { 0 };
	const struct media_observer observer = { saw_write, saw_zero, saw_fence, &record };
	struct region *region = pooltest_region(SPEC);
	struct pools *pools = pooltest_open(region);

	trial->operation = operation;
	trial->scratch = pooltest_region(SPEC);
	trial->image = malloc(SIZE);
	operation->prepare(pools);
	mediatest_read(region, 0, trial->image, SIZE);
	trial->before = pooltest_fingerprint(pools);
	media_observe(region, &observer);
	operation->run(pools);
	media_observe(region, NULL);
	trial->after = pooltest_fingerprint(pools);
	assert_string_not_equal(trial->before, trial->after);
	/* The observer saw all writes. */
	pools_abandon(pools);
	if (spoil)
		spoil(&record);
	cut_everywhere(trial, &record);
	if (!spoil)
		assert_int_equal(media_compare(region, 0, trial->image, SIZE), 0);
	region_close(region);
	region_close(trial->scratch);
	free(trial->image);
	free(trial->before);
	free(trial->after);
	free(record.pieces);
}

static void operation_leaves_the_old_or_the_new_state(void **state)
{
	struct trial trial = { 0 };

	run_trial(&trial, *state, NULL);
	assert_true(trial.old_states > 0 && trial.new_states > 0);
	print_message("# %llu states: %llu old, %llu new\n", (unsigned long long)trial.states,
		      (unsigned long long)trial.old_states, (unsigned long long)trial.new_states);
}

/* The negative control: without its fences, the same operation leaves other states than the two. */
static void drop_fences(struct record *record)
{
	size_t kept = 0;

	for (size_t i = 0; i < record->count; i++)
		if (!record->pieces[i].fence || i + 1 == record->count)
			record->pieces[kept++] = record->pieces[i];
	record->count = kept;
}

static void without_its_fences_an_operation_leaves_other_states(void **state)
{
	struct trial trial = { .wrong_allowed = true };

	run_trial(&trial, &atomicity_rename_over, drop_fences);
	assert_true(trial.wrong > 0);
}

int main(void)
{
	enum { MOST = 64 };
	static char names[MOST][96];
	struct CMUnitTest tests[MOST + 1];
	int count = 0;

	memset(tests, 0, sizeof(tests));
	for (; atomicity_operations[count].name; count++) {
		assert_true(count < MOST);
		snprintf(names[count], sizeof(names[count]), "%s leaves the old or the new state",
			 atomicity_operations[count].name);
		tests[count] = (struct CMUnitTest){
			.name = names[count],
			.test_func = operation_leaves_the_old_or_the_new_state,
			.initial_state = (void *)(uintptr_t)&atomicity_operations[count],
		};
	}
	tests[count++] =
		(struct CMUnitTest)cmocka_unit_test(without_its_fences_an_operation_leaves_other_states);
	return _cmocka_run_group_tests("atomicity", tests, (size_t)count, NULL, NULL);
}
