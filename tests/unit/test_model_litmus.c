/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The litmus tests of the persistency model, on the model itself: every
 * interleaving of the threads, a crash after every event, every legal state. A
 * row lists the outcomes that are forbidden; each of them must be unreachable, and each other outcome
 * must be reached. test_litmus.c runs the same programs through the domain.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "model/chooser.h"
#include "model/lines.h"

#define MAX_THREADS 2
#define MAX_OPS 6
#define MAX_VARIABLES 3

enum op_kind { END, W, W16, FO, FL, SF, MF, RMW, NT, IF };
struct op {
	enum op_kind kind;
	int variable; /* 0: x, 1: y, 2: z */
	uint64_t value;
};

struct litmus {
	const char *name;
	enum persistence_domain domain;
	int variables;
	int line[MAX_VARIABLES]; /* the variable's line; its word there is its number */
	uint64_t most[MAX_VARIABLES];
	struct op threads[MAX_THREADS][MAX_OPS];
	bool (*forbidden)(const uint64_t *v);
};

struct machine {
	const struct litmus *litmus;
	enum lines_mode mode;
	struct lines *lines;
	unsigned char view[3 * LINE_SIZE], base[3 * LINE_SIZE];
	bool *reached;
};

static void commit(void *context, uint64_t address, const void *bytes, size_t length)
{
	struct machine *machine = context;

	assert_true(address + length <= sizeof(machine->base));
	memcpy(machine->base + address, bytes, length);
}

static uint64_t address_of(const struct litmus *litmus, int variable)
{
	return (uint64_t)litmus->line[variable] * LINE_SIZE + (uint64_t)variable * 8;
}

static uint64_t load(const struct litmus *litmus, const unsigned char *memory, int variable)
{
	uint64_t value;

	memcpy(&value, memory + address_of(litmus, variable), sizeof(value));
	return value;
}

static void store(struct machine *machine, uint32_t thread, const struct op *op)
{
	const uint64_t words[2] = { op->value, op->value };
	const struct lines_store event = {
		.address = address_of(machine->litmus, op->variable),
		.length = op->kind == W16 ? 16 : 8,
		.bytes = words,
		.nontemporal = op->kind == NT,
		.thread = thread,
	};

	memcpy(machine->view + event.address, words, event.length);
	assert_int_equal(lines_store(machine->lines, &event), 0);
}

static void execute(struct machine *machine, uint32_t thread, const struct op *op)
{
	const uint64_t address = address_of(machine->litmus, op->variable);

	switch (op->kind) {
	case FO:
		assert_int_equal(lines_clwb(machine->lines, thread, address), 0);
		break;
	case FL:
		assert_int_equal(lines_clflush(machine->lines, address), 0);
		break;
	case RMW:
		assert_int_equal(lines_fence(machine->lines, thread), 0);
		store(machine, thread, op);
		break;
	case SF:
	case MF:
		assert_int_equal(lines_fence(machine->lines, thread), 0);
		break;
	case W:
	case W16:
	case NT:
		store(machine, thread, op);
		break;
	case IF:
	case END:
		break;
	}
}

static unsigned outcome_number(const struct litmus *litmus, const uint64_t *v)
{
	unsigned number = 0;

	for (int i = 0; i < litmus->variables; i++) {
		assert_in_range(v[i], 0, 2);
		number = number * 3 + (unsigned)v[i];
	}
	return number;
}

/* Every legal state of this moment. */
static void crash(struct machine *machine)
{
	const size_t size = lines_place_size(machine->lines);
	struct chooser_range ranges[8];
	uint64_t places[8], versions[8];
	const size_t count = lines_undetermined(machine->lines, places, 8);

	assert_in_range(count, 0, 8);
	for (size_t i = 0; i < count; i++)
		ranges[i] = (struct chooser_range){ 0, lines_versions(machine->lines, places[i]) - 1 };
	chooser_first(ranges, count, versions);
	do {
		unsigned char media[sizeof(machine->base)];
		uint64_t v[MAX_VARIABLES] = { 0 };

		memcpy(media, machine->base, sizeof(media));
		for (size_t i = 0; i < count; i++) {
			assert_true(places[i] + size <= sizeof(media));
			assert_int_equal(lines_apply(machine->lines, places[i], versions[i],
						     media + places[i]), 0);
		}
		for (int i = 0; i < machine->litmus->variables; i++)
			v[i] = load(machine->litmus, media, i);
		machine->reached[outcome_number(machine->litmus, v)] = true;
	} while (chooser_next(ranges, count, versions));
}

static void replay(struct machine *machine, const uint32_t *schedule, size_t steps, unsigned at[MAX_THREADS])
{
	const struct lines_options options = {
		.mode = machine->mode,
		.domain = machine->litmus->domain,
		.commit = commit,
		.context = machine,
	};

	memset(machine->view, 0, sizeof(machine->view));
	memset(machine->base, 0, sizeof(machine->base));
	memset(at, 0, MAX_THREADS * sizeof(*at));
	assert_int_equal(lines_create(&options, &machine->lines), 0);
	for (size_t i = 0; i < steps; i++)
		execute(machine, schedule[i], &machine->litmus->threads[schedule[i]][at[schedule[i]]++]);
}

static bool can_step(const struct machine *machine, uint32_t thread, unsigned at)
{
	const struct op *op = &machine->litmus->threads[thread][at];

	if (at == MAX_OPS || op->kind == END)
		return false;
	return op->kind != IF || load(machine->litmus, machine->view, op->variable) == op->value;
}

/* Crash after this schedule, and after each that begins with it. */
static void explore(struct machine *machine, uint32_t *schedule, size_t steps)
{
	bool steps_on[MAX_THREADS];
	unsigned at[MAX_THREADS];

	replay(machine, schedule, steps, at);
	crash(machine);
	for (uint32_t thread = 0; thread < MAX_THREADS; thread++)
		steps_on[thread] = can_step(machine, thread, at[thread]);
	lines_destroy(machine->lines);
	for (uint32_t thread = 0; thread < MAX_THREADS; thread++) {
		if (!steps_on[thread])
			continue;
		schedule[steps] = thread;
		explore(machine, schedule, steps + 1);
	}
}

static void explore_all(const struct litmus *litmus, enum lines_mode mode, bool reached[27])
{
	struct machine machine = { .litmus = litmus, .mode = mode, .reached = reached };
	uint32_t schedule[MAX_THREADS * MAX_OPS + 1];

	explore(&machine, schedule, 0);
}

/* Call for each outcome: how often it was reached must be what the row says. */
static void check_outcomes(const struct litmus *litmus, const bool reached[27])
{
	uint64_t v[MAX_VARIABLES] = { 0 };

	for (;;) {
		const bool forbidden = litmus->forbidden && litmus->forbidden(v);
		int i = 0;

		if (forbidden == reached[outcome_number(litmus, v)])
			fail_msg("%s: x=%d y=%d z=%d is %s", litmus->name, (int)v[0], (int)v[1], (int)v[2],
				 forbidden ? "forbidden and reached" : "legal and not reached");
		while (i < litmus->variables && v[i] == litmus->most[i])
			v[i++] = 0;
		if (i == litmus->variables)
			return;
		v[i]++;
	}
}

/* ---- The table ------------------------------------------------------------------ */

static bool x0_y1(const uint64_t *v)
{
	return v[0] == 0 && v[1] == 1;
}

static bool x0_y1_or_x2_y0(const uint64_t *v)
{
	return x0_y1(v) || (v[0] == 2 && v[1] == 0);
}

static bool y_or_z_without_x(const uint64_t *v)
{
	return v[0] == 0 && (v[1] || v[2]);
}

static bool later_stage_without_earlier(const uint64_t *v)
{
	return y_or_z_without_x(v) || (v[2] && !v[1]);
}

static bool x0_z1(const uint64_t *v)
{
	return v[0] == 0 && v[2] == 1;
}

static bool z_without_y(const uint64_t *v)
{
	return v[2] && !v[1];
}

#define ADR(vars, ...)                                                                                       \
	.domain = PERSISTENCE_MEMORY_CONTROLLER, .variables = (vars), .most = { 1, 1, 1 }, .line = __VA_ARGS__
#define EADR(vars, ...)                                                                                      \
	.domain = PERSISTENCE_CPU_CACHE, .variables = (vars), .most = { 1, 1, 1 }, .line = __VA_ARGS__
#define APART { 0, 1, 2 }
#define TOGETHER { 0, 0, 0 }
#define X 0
#define Y 1
#define Z 2

static const struct litmus rows[] = {
	{ "stores to two lines are not ordered", ADR(2, APART), .threads = { { { W, X, 1 }, { W, Y, 1 } } } },
	{ "stores to one line are ordered", ADR(2, TOGETHER), .threads = { { { W, X, 1 }, { W, Y, 1 } } },
	  .forbidden = x0_y1 },
	{ "three stores to one line are ordered", .domain = PERSISTENCE_MEMORY_CONTROLLER, .variables = 2,
	  .most = { 2, 1 }, .line = TOGETHER, .threads = { { { W, X, 1 }, { W, Y, 1 }, { W, X, 2 } } },
	  .forbidden = x0_y1_or_x2_y0 },
	{ "clflush orders its line before later stores", ADR(2, APART),
	  .threads = { { { W, X, 1 }, { FL, X, 0 }, { W, Y, 1 } } }, .forbidden = x0_y1 },
	{ "clwb alone orders nothing", ADR(2, APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { W, Y, 1 } } } },
	{ "clwb and sfence order the line before later stores", ADR(2, APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { SF, 0, 0 }, { W, Y, 1 } } }, .forbidden = x0_y1 },
	{ "clwb and mfence order the line before later stores", ADR(2, APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { MF, 0, 0 }, { W, Y, 1 } } }, .forbidden = x0_y1 },
	{ "a locked instruction orders flushed lines before its own store", ADR(2, APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { RMW, Y, 1 } } }, .forbidden = x0_y1 },
	{ "a locked instruction on any line is a fence", ADR(3, APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { RMW, Z, 1 }, { W, Y, 1 } } },
	  .forbidden = y_or_z_without_x },
	{ "a fence without a flush orders nothing", ADR(2, APART),
	  .threads = { { { W, X, 1 }, { SF, 0, 0 }, { W, Y, 1 } } } },
	{ "clflush of another line orders nothing", ADR(2, APART),
	  .threads = { { { W, X, 1 }, { FL, Y, 0 }, { W, Y, 1 } } } },
	{ "clwb does not cover a later store", ADR(2, APART),
	  .threads = { { { FO, X, 0 }, { W, X, 1 }, { SF, 0, 0 }, { W, Y, 1 } } } },
	/* The table's x and z share line 0, as variables 0 and 1; variable 2 is the table's y. */
	{ "clwb of any byte of a line covers the line", .domain = PERSISTENCE_MEMORY_CONTROLLER,
	  .variables = 3, .most = { 1, 0, 1 }, .line = { 0, 0, 1 },
	  .threads = { { { W, X, 1 }, { FO, Y, 0 }, { SF, 0, 0 }, { W, Z, 1 } } }, .forbidden = x0_z1 },
	{ "a store after the clwb may be lost, the one before it may not",
	  .domain = PERSISTENCE_MEMORY_CONTROLLER, .variables = 2, .most = { 2, 1 }, .line = APART,
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { W, X, 2 }, { SF, 0, 0 }, { W, Y, 1 } } },
	  .forbidden = x0_y1 },
	{ "two clflushes order two stages", ADR(3, APART),
	  .threads = { { { W, X, 1 }, { FL, X, 0 }, { W, Y, 1 }, { FL, Y, 0 }, { W, Z, 1 } } },
	  .forbidden = later_stage_without_earlier },
	{ "a non-temporal store and a store are not ordered", ADR(2, APART),
	  .threads = { { { NT, X, 1 }, { W, Y, 1 } } } },
	{ "two non-temporal stores are not ordered", ADR(2, APART),
	  .threads = { { { NT, X, 1 }, { NT, Y, 1 } } } },
	{ "a non-temporal store and sfence are ordered before later stores", ADR(2, APART),
	  .threads = { { { NT, X, 1 }, { SF, 0, 0 }, { W, Y, 1 } } }, .forbidden = x0_y1 },
	{ "a fence does not complete the clwb of another thread", ADR(3, APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { W, Y, 1 } },
		       { { IF, Y, 1 }, { SF, 0, 0 }, { W, Z, 1 } } } },
	{ "the writer's fence orders what another thread does after reading", ADR(3, APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { SF, 0, 0 }, { W, Y, 1 } },
		       { { IF, Y, 1 }, { W, Z, 1 } } },
	  .forbidden = y_or_z_without_x },
	{ "a reader can flush what another thread stored", .domain = PERSISTENCE_MEMORY_CONTROLLER,
	  .variables = 3, .most = { 1, 0, 1 }, .line = APART,
	  .threads = { { { W, X, 1 } }, { { IF, X, 1 }, { FL, X, 0 }, { W, Z, 1 } } }, .forbidden = x0_z1 },
	{ "a 16-byte store may be torn into its two words", ADR(2, TOGETHER),
	  .threads = { { { W16, X, 1 } } } },
	{ "under eADR stores are durable in memory order", EADR(2, APART),
	  .threads = { { { W, X, 1 }, { W, Y, 1 } } }, .forbidden = x0_y1 },
	{ "under eADR a non-temporal store is not ordered", EADR(2, APART),
	  .threads = { { { NT, X, 1 }, { W, Y, 1 } } } },

	/* Not in the table: consequences of the rules that an implementation can get wrong. */
	{ "clflush does not complete an earlier clwb", ADR(3, APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { W, Y, 1 }, { FL, Y, 0 }, { W, Z, 1 } } },
	  .forbidden = z_without_y },
	{ "under eADR sfence orders a non-temporal store", EADR(2, APART),
	  .threads = { { { NT, X, 1 }, { SF, 0, 0 }, { W, Y, 1 } } }, .forbidden = x0_y1 },
	{ "a non-temporal store is not ordered with stores to its line", ADR(2, TOGETHER),
	  .threads = { { { NT, X, 1 }, { W, Y, 1 } } } },
	{ "under eADR a non-temporal store is not ordered with stores to its line", EADR(2, TOGETHER),
	  .threads = { { { NT, X, 1 }, { W, Y, 1 } } } },
	{ "clflush does not empty the write-combining buffer", ADR(2, APART),
	  .threads = { { { NT, X, 1 }, { FL, X, 0 }, { W, Y, 1 } } } },
	{ "a second clwb before the fence covers what lies between them", ADR(2, { 0, 1, 1 }),
	  .threads = { { { FO, X, 0 }, { W, X, 1 }, { FO, X, 0 }, { SF, 0, 0 }, { W, Y, 1 } } },
	  .forbidden = x0_y1 },
	{ "clwb covers stores of other threads", .domain = PERSISTENCE_MEMORY_CONTROLLER, .variables = 3,
	  .most = { 1, 0, 1 }, .line = APART,
	  .threads = { { { W, X, 1 } }, { { IF, X, 1 }, { FO, X, 0 }, { SF, 0, 0 }, { W, Z, 1 } } },
	  .forbidden = x0_z1 },
	{ "a clwb is completed by the first fence only", ADR(2, APART),
	  .threads = { { { FO, X, 0 }, { SF, 0, 0 }, { W, X, 1 }, { SF, 0, 0 }, { W, Y, 1 } } } },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void the_row_holds(void **state)
{
	const struct litmus *litmus = *state;
	bool reached[27] = { false };

	explore_all(litmus, LINES_MODE_LINE, reached);
	check_outcomes(litmus, reached);
}

static void mode_word_allows_all_that_mode_line_does(void **state)
{
	for (size_t i = 0; i < ROWS; i++) {
		bool by_line[27] = { false }, by_word[27] = { false };

		explore_all(&rows[i], LINES_MODE_LINE, by_line);
		explore_all(&rows[i], LINES_MODE_WORD, by_word);
		for (unsigned k = 0; k < 27; k++)
			if (by_line[k] && !by_word[k])
				fail_msg("%s: outcome %u", rows[i].name, k);
	}
}

static void mode_word_does_not_order_the_words_of_a_line(void **state)
{
	struct litmus litmus = rows[1];
	bool reached[27] = { false };

	explore_all(&litmus, LINES_MODE_WORD, reached);
	litmus.forbidden = NULL;
	check_outcomes(&litmus, reached);
}

static void adr_allows_all_that_eadr_does(void **state)
{
	for (size_t i = 0; i < ROWS; i++) {
		struct litmus litmus = rows[i];
		bool adr[27] = { false }, eadr[27] = { false };

		litmus.domain = PERSISTENCE_MEMORY_CONTROLLER;
		explore_all(&litmus, LINES_MODE_LINE, adr);
		litmus.domain = PERSISTENCE_CPU_CACHE;
		explore_all(&litmus, LINES_MODE_LINE, eadr);
		for (unsigned k = 0; k < 27; k++)
			if (eadr[k] && !adr[k])
				fail_msg("%s: outcome %u", rows[i].name, k);
	}
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(mode_word_allows_all_that_mode_line_does),
		cmocka_unit_test(mode_word_does_not_order_the_words_of_a_line),
		cmocka_unit_test(adr_allows_all_that_eadr_does),
	};
	struct CMUnitTest units[ROWS + sizeof(others) / sizeof(others[0])];

	memset(units, 0, sizeof(units));
	for (size_t i = 0; i < ROWS; i++)
		units[i] = (struct CMUnitTest){ .name = rows[i].name, .test_func = the_row_holds,
						.initial_state = (void *)(uintptr_t)&rows[i] };
	memcpy(units + ROWS, others, sizeof(others));
	return cmocka_run_group_tests_name("model litmus", units, NULL, NULL);
}
