/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/memtest.h"

#include <string.h>

#include "common/align.h"

#define BLOCK_WORDS 512u
/* Odd, so that multiplication by it is reversible; and its inverse modulo 2^64. */
#define PLACE_FACTOR 0x9e3779b97f4a7c15u
#define PLACE_INVERSE 0xf1de83e19937733du

_Static_assert((uint64_t)PLACE_FACTOR * PLACE_INVERSE == 1, "each word's place is told by its content");

enum pattern_kind { NOTHING, PLACE, SAME, RANDOM };

struct pattern {
	enum pattern_kind kind;
	uint64_t bits; /* SAME: the word; RANDOM: xored to each word */
};

/* One pass over all of the memory: what each word must hold, and what is written to it after it was read. */
struct step {
	const char *test;
	struct pattern expect, write;
	bool down;
};

#define ONES UINT64_MAX
#define FIVES 0x5555555555555555u
#define INVERSIONS "moving inversions"

static const struct step steps[] = {
	{ "address-in-address", { NOTHING, 0 }, { PLACE, 0 }, false },
	{ "address-in-address", { PLACE, 0 }, { NOTHING, 0 }, false },
	{ INVERSIONS, { NOTHING, 0 }, { SAME, 0 }, false },
	{ INVERSIONS, { SAME, 0 }, { SAME, ONES }, false },
	{ INVERSIONS, { SAME, ONES }, { SAME, 0 }, true },
	{ INVERSIONS, { SAME, 0 }, { SAME, FIVES }, false },
	{ INVERSIONS, { SAME, FIVES }, { SAME, ~FIVES }, false },
	{ INVERSIONS, { SAME, ~FIVES }, { SAME, FIVES }, true },
	{ "random", { SAME, FIVES }, { RANDOM, 0 }, false },
	{ "random", { RANDOM, 0 }, { RANDOM, ONES }, false },
	{ "random", { RANDOM, ONES }, { SAME, 0 }, true },
	{ "random", { SAME, 0 }, { NOTHING, 0 }, false },
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))
#define PLACE_STEPS 2

struct tester {
	const struct memtest_memory *memory;
	const struct memtest_options *options;
	struct memtest_report *report;
	/* The finding to which the last wrong word belongs; most wrong words continue where it ends. */
	struct memtest_finding *last;
};

/* The finalizer of splitmix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t mix(uint64_t word)
{
	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
	word = (word ^ word >> 27) * 0x94d049bb133111ebu;
	return word ^ word >> 31;
}

static uint64_t word_of(const struct tester *tester, const struct pattern *pattern, uint64_t offset)
{
	uint64_t number = offset / 8 + 1;

	switch (pattern->kind) {
	case PLACE:
		return number * PLACE_FACTOR;
	case RANDOM:
		return mix(tester->options->seed + number * PLACE_FACTOR) ^ pattern->bits;
	default:
		return pattern->bits;
	}
}

/* ---- What is wrong ------------------------------------------------------------------- */

static void write_word(const struct tester *tester, uint64_t offset, uint64_t word)
{
	tester->memory->write(tester->memory->context, offset, &word, 1);
	tester->memory->settle(tester->memory->context);
}

/*
 * Does a write to one word appear in the other? Afterwards both hold what the address test wrote, the
 * other one last.
 */
static bool is_same_memory(const struct tester *tester, uint64_t offset, uint64_t other)
{
	const struct pattern place = { .kind = PLACE };
	bool same = true;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t word;

		write_word(tester, offset, i ? FIVES : ~FIVES);
		write_word(tester, other, i ? ~FIVES : FIVES);
		tester->memory->read(tester->memory->context, offset, &word, 1);
		same = same && word == (i ? ~FIVES : FIVES);
	}
	write_word(tester, offset, word_of(tester, &place, offset));
	write_word(tester, other, word_of(tester, &place, other));
	return same;
}

static struct memtest_finding *new_finding(struct tester *tester, const struct memtest_finding *finding)
{
	struct memtest_report *report = tester->report;

	if (report->count == MEMTEST_FINDINGS_MAX) {
		report->left_off++;
		return NULL;
	}
	report->findings[report->count] = *finding;
	tester->last = &report->findings[report->count++];
	return tester->last;
}

/*
 * A word that holds the offset of another one: the two are the same memory, unless wrong bits make it
 * seem so.
 */
static bool take_alias(struct tester *tester, uint64_t offset, uint64_t expected, uint64_t read)
{
	uint64_t number = read * PLACE_INVERSE, alias = (number - 1) * 8;
	struct memtest_finding *last = tester->last;

	if (number == 0 || number > tester->memory->size / 8 || alias == offset)
		return false;
	if (last && last->kind == MEMTEST_ALIAS && last->offset + last->size == offset &&
	    last->alias + last->size == alias) {
		last->size += 8;
		return true;
	}
	if (!is_same_memory(tester, offset, alias))
		return false;
	new_finding(tester, &(struct memtest_finding){ .kind = MEMTEST_ALIAS,
						       .offset = offset,
						       .size = 8,
						       .alias = alias,
						       .expected = expected,
						       .read = read });
	return true;
}

/* A word with few wrong bits is a finding of its own. If whole words are wrong, a range is. */
static bool is_more_of(const struct memtest_finding *finding, uint64_t reads_0, uint64_t reads_1)
{
	const int few = 8;

	return (finding->reads_0 == reads_0 && finding->reads_1 == reads_1) ||
	       (__builtin_popcountll(finding->reads_0 | finding->reads_1) > few &&
		__builtin_popcountll(reads_0 | reads_1) > few);
}

static bool belongs(struct memtest_finding *finding, uint64_t offset, uint64_t reads_0, uint64_t reads_1)
{
	uint64_t end = finding->offset + finding->size;

	if (finding->kind != MEMTEST_BITS || offset + 8 < finding->offset || offset > end)
		return false;
	if (offset < finding->offset || offset == end) {
		if (!is_more_of(finding, reads_0, reads_1))
			return false;
		finding->offset -= offset < finding->offset ? 8 : 0;
		finding->size += 8;
	}
	finding->reads_0 |= reads_0;
	finding->reads_1 |= reads_1;
	return true;
}

static bool covers(const struct memtest_finding *finding, uint64_t offset)
{
	return finding->kind == MEMTEST_BITS && offset >= finding->offset &&
	       offset < finding->offset + finding->size;
}

static void take_bits(struct tester *tester, uint64_t offset, uint64_t expected, uint64_t read)
{
	uint64_t reads_0 = expected & ~read, reads_1 = read & ~expected;
	struct memtest_report *report = tester->report;

	report->reads_0 |= reads_0;
	report->reads_1 |= reads_1;
	if (tester->last && covers(tester->last, offset) && belongs(tester->last, offset, reads_0, reads_1))
		return;
	/* A finding that contains the word takes precedence over one that it is adjacent to. */
	for (int adjacent = 0; adjacent < 2; adjacent++) {
		for (size_t i = report->count; i-- > 0;) {
			struct memtest_finding *finding = &report->findings[i];

			if ((adjacent || covers(finding, offset)) &&
			    belongs(finding, offset, reads_0, reads_1)) {
				tester->last = finding;
				return;
			}
		}
	}
	new_finding(tester, &(struct memtest_finding){ .kind = MEMTEST_BITS, .offset = offset, .size = 8,
						       .expected = expected, .read = read, .reads_0 = reads_0,
						       .reads_1 = reads_1 });
}

static void take_wrong(struct tester *tester, const struct step *step, uint64_t offset, uint64_t expected,
		       uint64_t read)
{
	tester->report->wrong++;
	if (step->expect.kind != PLACE || !take_alias(tester, offset, expected, read))
		take_bits(tester, offset, expected, read);
}

/* ---- The walk -------------------------------------------------------------------------- */

static void walk_block(struct tester *tester, const struct step *step, uint64_t offset)
{
	const struct memtest_memory *memory = tester->memory;
	uint64_t words[BLOCK_WORDS];

	if (step->expect.kind != NOTHING) {
		memory->read(memory->context, offset, words, BLOCK_WORDS);
		tester->report->read += sizeof(words);
		for (unsigned i = 0; i < BLOCK_WORDS; i++) {
			uint64_t expected = word_of(tester, &step->expect, offset + 8 * i);

			if (words[i] != expected)
				take_wrong(tester, step, offset + 8 * i, expected, words[i]);
		}
	}
	if (step->write.kind != NOTHING) {
		for (unsigned i = 0; i < BLOCK_WORDS; i++)
			words[i] = word_of(tester, &step->write, offset + 8 * i);
		memory->write(memory->context, offset, words, BLOCK_WORDS);
		tester->report->written += sizeof(words);
	}
}

/* The number of times that all of the memory is written or read. */
static uint64_t all_passes(void)
{
	uint64_t passes = 0;

	for (size_t i = 0; i < STEPS; i++)
		passes += (steps[i].expect.kind != NOTHING) + (steps[i].write.kind != NOTHING);
	return passes;
}

static int walk(struct tester *tester, const struct step *step)
{
	const uint64_t size = tester->memory->size, block = BLOCK_WORDS * 8, often = 1u << 20;
	const struct memtest_options *options = tester->options;
	const struct memtest_report *report = tester->report;

	for (uint64_t done = 0; done < size; done += block) {
		int stop = 0;

		if (is_aligned(done, often) && options->progress)
			stop = options->progress(options->context, step->test, report->written + report->read,
						 all_passes() * size);
		if (stop)
			return stop;
		walk_block(tester, step, step->down ? size - block - done : done);
	}
	tester->memory->settle(tester->memory->context);
	return 0;
}

static bool has_aliases(const struct memtest_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		if (report->findings[i].kind == MEMTEST_ALIAS)
			return true;
	}
	return false;
}

int memtest_run(const struct memtest_memory *memory, const struct memtest_options *options,
		struct memtest_report *report)
{
	struct tester tester = { .memory = memory, .options = options, .report = report };
	int stop = 0;

	memset(report, 0, sizeof(*report));
	for (size_t i = 0; i < STEPS && !stop; i++) {
		if (i == PLACE_STEPS && has_aliases(report))
			return 0;
		stop = walk(&tester, &steps[i]);
	}
	report->complete = !stop;
	return stop;
}
