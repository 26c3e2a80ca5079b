/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Random traces through the line model and through the interpreter in
 * brute_lines.c: after each event both must allow the same contents. The seeds
 * are fixed; a failure names the one to look at.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "brute_lines.h"
#include "common/rng.h"
#include "model/lines.h"
#include "rounds.h"

#ifdef ROUNDS_SANITIZED
#define TRACES 2500
#define MORE_TRACES 5000
#else
#define TRACES 25000
#define MORE_TRACES 100000
#endif
#define CONTROL_TRACES 4000
#define MAX_EVENTS 12
#define MAX_THREADS 3

struct trace {
	unsigned count;
	struct brute_event events[MAX_EVENTS];
};

/* ---- Random traces --------------------------------------------------------- */

static void random_bytes(struct rng *rng, struct brute_event *event, unsigned number)
{
	static const unsigned char lengths[] = { 1, 2, 4, 8, 8, 8, 8, 16, 16, 24, 32 };
	const bool masked = rng_below(rng, 6) == 0;

	event->length = lengths[rng_below(rng, sizeof(lengths))];
	if (rng_below(rng, 3))
		event->address -= event->address % (event->length & -event->length);
	for (unsigned i = 0; i < event->length; i++) {
		/* Mostly a value of its own; sometimes one that changes nothing. */
		event->bytes[i] = rng_below(rng, 8) ? (unsigned char)(number + 1) : 0;
		event->stored[i] = !masked || rng_below(rng, 2);
	}
	event->stored[rng_below(rng, event->length)] = true;
}

/* Few lines and few words, so that events meet; sometimes across the end of a line. */
static unsigned random_address(struct rng *rng, unsigned lines)
{
	unsigned address = (unsigned)rng_below(rng, lines) * BRUTE_LINE_BYTES;

	if (rng_below(rng, 8) == 0)
		return address + 40 + (unsigned)rng_below(rng, 24);
	return address + (unsigned)rng_below(rng, 20);
}

static void random_trace(struct rng *rng, struct trace *trace)
{
	static const enum brute_kind kinds[] = {
		BRUTE_STORE, BRUTE_STORE, BRUTE_STORE,	 BRUTE_STORE, BRUTE_NONTEMPORAL, BRUTE_NONTEMPORAL,
		BRUTE_CLWB,  BRUTE_CLWB,  BRUTE_CLFLUSH, BRUTE_FENCE, BRUTE_FENCE,
	};
	const unsigned threads = 1 + (unsigned)rng_below(rng, MAX_THREADS);
	const unsigned lines = 1 + (unsigned)rng_below(rng, BRUTE_LINES);

	trace->count = 1 + (unsigned)rng_below(rng, MAX_EVENTS);
	for (unsigned i = 0; i < trace->count; i++) {
		struct brute_event *event = &trace->events[i];

		*event = (struct brute_event){
			.kind = kinds[rng_below(rng, sizeof(kinds) / sizeof(kinds[0]))],
			.thread = (unsigned)rng_below(rng, threads),
			.address = random_address(rng, lines),
		};
		if (event->kind == BRUTE_STORE || event->kind == BRUTE_NONTEMPORAL)
			random_bytes(rng, event, i);
		if (event->address + event->length > BRUTE_LINES * BRUTE_LINE_BYTES)
			event->address = BRUTE_LINES * BRUTE_LINE_BYTES - event->length;
	}
}

/* ---- The model ---------------------------------------------------------------- */

struct subject {
	struct lines *lines;
	unsigned char base[BRUTE_LINES * BRUTE_LINE_BYTES];
};

static void commit(void *context, uint64_t address, const void *bytes, size_t length)
{
	struct subject *subject = context;

	assert_true(address + length <= sizeof(subject->base));
	memcpy(subject->base + address, bytes, length);
}

static void step(struct subject *subject, const struct brute_event *event, unsigned number)
{
	struct lines_store store = {
		.address = event->address,
		.length = event->length,
		.bytes = event->bytes,
		.nontemporal = event->kind == BRUTE_NONTEMPORAL,
		.thread = event->thread,
		.id = number,
	};

	for (unsigned i = 0; i < event->length; i++)
		store.mask |= (uint64_t)event->stored[i] << i;
	/* Both ways to say that all bytes are stored. */
	if (store.mask == ((uint64_t)1 << event->length) - 1 && number % 2)
		store.mask = 0;
	switch (event->kind) {
	case BRUTE_STORE:
	case BRUTE_NONTEMPORAL:
		assert_int_equal(lines_store(subject->lines, &store), 0);
		break;
	case BRUTE_CLWB:
		assert_int_equal(lines_clwb(subject->lines, event->thread, event->address), 0);
		break;
	case BRUTE_CLFLUSH:
		assert_int_equal(lines_clflush(subject->lines, event->address), 0);
		break;
	case BRUTE_FENCE:
		assert_int_equal(lines_fence(subject->lines, event->thread), 0);
		break;
	}
}

/* ---- Comparison ------------------------------------------------------------------ */

struct contents {
	unsigned char of[BRUTE_STATES][BRUTE_LINE_BYTES];
	unsigned count;
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, BRUTE_LINE_BYTES);
}

/* Sorted, and each content once. */
static void make_set(struct contents *contents)
{
	unsigned kept = 0;

	qsort(contents->of, contents->count, BRUTE_LINE_BYTES, compare);
	for (unsigned i = 0; i < contents->count; i++)
		if (i == 0 || compare(contents->of[i], contents->of[kept - 1]) != 0)
			memmove(contents->of[kept++], contents->of[i], BRUTE_LINE_BYTES);
	contents->count = kept;
}

/* The contents of a place, padded with zeros. */
static void model_contents(const struct subject *subject, uint64_t place, struct contents *contents)
{
	const size_t size = lines_place_size(subject->lines);
	const uint64_t versions = lines_versions(subject->lines, place);
	unsigned char none[BRUTE_LINE_BYTES];

	assert_in_range(versions, 1, BRUTE_STATES);
	contents->count = (unsigned)versions;
	for (unsigned i = 0; i < versions; i++) {
		memset(contents->of[i], 0, BRUTE_LINE_BYTES);
		memcpy(contents->of[i], subject->base + place, size);
		assert_int_equal(lines_apply(subject->lines, place, i, contents->of[i]), 0);
	}
	assert_int_not_equal(lines_apply(subject->lines, place, versions, none), 0);
	make_set(contents);
}

static void brute_contents(const struct brute_line *line, uint64_t place, size_t size,
			   struct contents *contents)
{
	contents->count = line->state_count;
	for (unsigned i = 0; i < line->state_count; i++) {
		unsigned char whole[BRUTE_LINE_BYTES];

		brute_content(line, line->states[i], whole);
		memset(contents->of[i], 0, BRUTE_LINE_BYTES);
		memcpy(contents->of[i], whole + place % BRUTE_LINE_BYTES, size);
	}
	make_set(contents);
}

static bool sets_equal(const struct contents *a, const struct contents *b)
{
	return a->count == b->count && memcmp(a->of, b->of, (size_t)a->count * BRUTE_LINE_BYTES) == 0;
}

/* Each version is made of what lines_pending() says. */
static void check_pending(const struct subject *subject, uint64_t place)
{
	const struct lines *lines = subject->lines;
	const uint64_t versions = lines_versions(lines, place);
	struct lines_pending pending[MAX_EVENTS];
	const size_t count = lines_pending(lines, place, 0, pending, MAX_EVENTS);

	assert_int_equal(lines_pending(lines, place, versions, pending, MAX_EVENTS), 0);
	for (size_t through = 0; through <= count; through++) {
		const uint64_t version = lines_version_through(lines, place, through);

		assert_in_range(version, 0, versions - 1);
		assert_int_equal(lines_pending(lines, place, version, pending, MAX_EVENTS), count);
		for (size_t i = 0; i < count; i++) {
			assert_int_not_equal(pending[i].bytes, 0);
			assert_int_equal(pending[i].kept, i < through ? pending[i].bytes : 0);
			assert_true(i == 0 || pending[i - 1].id < pending[i].id);
		}
	}
	assert_int_equal(lines_version_through(lines, place, 0), 0);
	assert_int_equal(lines_version_through(lines, place, count), versions - 1);
}

/* Do all places of the lines [first, end) have the same contents in both? */
static bool same_lines(const struct subject *subject, const struct brute *brute, uint64_t first, uint64_t end)
{
	const size_t size = lines_place_size(subject->lines);
	static struct contents ours, theirs;

	for (uint64_t place = first * BRUTE_LINE_BYTES; place < end * BRUTE_LINE_BYTES; place += size) {
		const struct brute_line *line = &brute->lines[place / BRUTE_LINE_BYTES];

		/* A version is a state of the machine, not just a content. */
		if (size == BRUTE_LINE_BYTES &&
		    lines_versions(subject->lines, place) != line->state_count)
			return false;
		model_contents(subject, place, &ours);
		brute_contents(line, place, size, &theirs);
		if (!sets_equal(&ours, &theirs))
			return false;
		check_pending(subject, place);
	}
	return true;
}

/* The list of places is of those with several versions. */
static void check_list(const struct subject *subject)
{
	const size_t size = lines_place_size(subject->lines);
	uint64_t places[BRUTE_LINES * 8];
	const size_t count = lines_undetermined(subject->lines, places, BRUTE_LINES * 8);
	size_t listed = 0;

	for (uint64_t place = 0; place < sizeof(subject->base); place += size)
		if (lines_versions(subject->lines, place) > 1)
			assert_true(listed < count && places[listed++] == place);
	assert_int_equal(listed, count);
}

/* The lines that the event may have changed; at the end all of them. */
static bool same(const struct subject *subject, const struct brute *brute, const struct brute_event *event,
		 bool last)
{
	const uint64_t end = event->address + (event->length ? event->length : 1);

	check_list(subject);
	if (last || event->kind == BRUTE_FENCE)
		return same_lines(subject, brute, 0, BRUTE_LINES);
	return same_lines(subject, brute, event->address / BRUTE_LINE_BYTES,
			  (end + BRUTE_LINE_BYTES - 1) / BRUTE_LINE_BYTES);
}

struct setting {
	enum lines_mode mode;
	enum persistence_domain domain;
};

/* False: they differ. *skipped is set if the trace has too many states for the interpreter. */
static bool compare_trace(const struct trace *trace, struct setting setting, enum brute_rules rules,
			  bool *skipped)
{
	static struct brute brute;
	struct subject subject = { 0 };
	const struct lines_options options = {
		.mode = setting.mode,
		.domain = setting.domain,
		.commit = commit,
		.context = &subject,
	};
	bool equal = true;

	assert_int_equal(lines_create(&options, &subject.lines), 0);
	brute_begin(&brute, rules, setting.mode == LINES_MODE_WORD, setting.domain == PERSISTENCE_CPU_CACHE);
	for (unsigned i = 0; equal && i < trace->count; i++) {
		step(&subject, &trace->events[i], i);
		*skipped = !brute_step(&brute, &trace->events[i]);
		if (*skipped)
			break;
		equal = same(&subject, &brute, &trace->events[i], i + 1 == trace->count);
	}
	lines_destroy(subject.lines);
	return equal;
}

static struct setting random_setting(struct rng *rng)
{
	const uint64_t choice = rng_below(rng, 8);

	return (struct setting){
		.mode = choice < 2 ? LINES_MODE_WORD : LINES_MODE_LINE,
		.domain = choice % 4 == 0 ? PERSISTENCE_CPU_CACHE : PERSISTENCE_MEMORY_CONTROLLER,
	};
}

static void random_traces_have_the_states_of_the_interpreter(void **state)
{
	unsigned left_out = 0, traces = rounds(TRACES, MORE_TRACES);

	for (uint64_t seed = 0; seed < traces; seed++) {
		struct rng rng = { seed };
		const struct setting setting = random_setting(&rng);
		struct trace trace;
		bool skipped;

		random_trace(&rng, &trace);
		if (!compare_trace(&trace, setting, BRUTE_RIGHT, &skipped))
			fail_msg("seed %llu: the sets of states differ", (unsigned long long)seed);
		left_out += skipped;
	}
	print_message("# %u traces, %u of them cut short\n", traces, left_out);
	assert_in_range(left_out, 0, traces / 100);
}

/* Each wrong rule is noticed, in the setting in which it matters. */
static void a_wrong_rule_is_found(void **state)
{
	const enum brute_rules rules = (enum brute_rules)(uintptr_t)*state;
	const struct setting setting = {
		.mode = LINES_MODE_LINE,
		.domain = rules == BRUTE_EADR_COVERS_NONTEMPORAL ? PERSISTENCE_CPU_CACHE :
								   PERSISTENCE_MEMORY_CONTROLLER,
	};

	for (uint64_t seed = 0; seed < CONTROL_TRACES; seed++) {
		struct rng rng = { seed };
		struct trace trace;
		bool skipped;

		random_trace(&rng, &trace);
		if (!compare_trace(&trace, setting, rules, &skipped))
			return;
	}
	fail_msg("wrong rule %d: no difference in %d traces", (int)rules, CONTROL_TRACES);
}

static const char *const control_names[BRUTE_RULES] = {
	[BRUTE_ANY_THREAD_FENCES] = "a wrong rule is found: a fence completes every thread's clwb",
	[BRUTE_CLWB_COVERS_LATER_STORES] = "a wrong rule is found: clwb covers stores up to the fence",
	[BRUTE_CLWB_NEEDS_NO_FENCE] = "a wrong rule is found: clwb needs no fence",
	[BRUTE_CLFLUSH_NEEDS_A_FENCE] = "a wrong rule is found: clflush needs a fence",
	[BRUTE_STORES_ARE_ATOMIC] = "a wrong rule is found: wide stores are atomic",
	[BRUTE_PIECES_ARE_ORDERED] = "a wrong rule is found: the pieces of a store are ordered",
	[BRUTE_LINES_ARE_UNORDERED] = "a wrong rule is found: stores to a line are not ordered",
	[BRUTE_NONTEMPORAL_IS_ORDERED] = "a wrong rule is found: non-temporal stores are ordered",
	[BRUTE_NONTEMPORAL_IS_FLUSHED] = "a wrong rule is found: a flush covers non-temporal stores",
	[BRUTE_NONTEMPORAL_NEEDS_A_FLUSH] = "a wrong rule is found: a non-temporal store needs a flush",
	[BRUTE_EADR_COVERS_NONTEMPORAL] = "a wrong rule is found: eADR covers non-temporal stores",
};

int main(void)
{
	struct CMUnitTest units[BRUTE_RULES];

	memset(units, 0, sizeof(units));
	units[0] = (struct CMUnitTest)cmocka_unit_test(random_traces_have_the_states_of_the_interpreter);
	for (unsigned i = 1; i < BRUTE_RULES; i++)
		units[i] = (struct CMUnitTest){ .name = control_names[i], .test_func = a_wrong_rule_is_found,
						.initial_state = (void *)(uintptr_t)i };
	return cmocka_run_group_tests_name("model lines, random", units, NULL, NULL);
}
