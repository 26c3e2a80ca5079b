/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Litmus tests of the persistency model, run on the domain itself: every
 * interleaving of the threads, a cache write-back of any line at any point, and a
 * crash at any point, under each policy. A forbidden state must never be left; each
 * other state must be left by some execution.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/align.h"
#include "domain/domain.h"
#include "domain/wpq.h"
#include "mediatest.h"

#define MAX_THREADS 2
#define MAX_OPS 6
#define MAX_VARIABLES 3
#define MEDIA_OFFSET (1u << 20)

enum op_kind { END, W, FO, FL, SF, MF, RMW, NT, IF };
struct op {
	enum op_kind kind;
	int variable; /* 0: x, 1: y, 2: z */
	uint64_t value;
};

struct litmus {
	const char *name;
	enum persistence_domain kind;
	int variables;
	/* The line of each variable; its word there is its number. */
	int line[MAX_VARIABLES];
	uint64_t most[MAX_VARIABLES]; /* each takes the values 0..most */
	struct op threads[MAX_THREADS][MAX_OPS];
	bool (*forbidden)(const uint64_t *v);
};

/* ---- The machine ---------------------------------------------------------- */

struct machine {
	struct region *region;
	struct domain *domain;
	struct view *view;
	struct wpq *wpqs[MAX_THREADS];
	struct wpq_producer producers[MAX_THREADS];
	uint64_t failures;
};

static struct placement find(void *owner, uint64_t page, uint64_t want)
{
	return (struct placement){ .media_offset = MEDIA_OFFSET + page * PAGE_BYTES, .pages = want,
				   .placed = true };
}

static int place(void *owner, uint64_t page, uint64_t want, struct placement *out)
{
	return -ENOSPC;
}

static const struct view_owner_ops identity = { .find = find, .place = place };

static bool never_full(void *context, struct wpq_header *header)
{
	return false;
}

static void machine_start(struct machine *machine, enum persistence_domain kind)
{
	assert_int_equal(region_open("memfd:2M", 0, &machine->region, NULL), 0);
	assert_int_equal(domain_create(machine->region, kind, &machine->domain), 0);
	assert_int_equal(view_create(machine->domain, &identity, NULL, &machine->view), 0);
	for (int i = 0; i < MAX_THREADS; i++) {
		assert_int_equal(wpq_create(machine->domain, PAGE_BYTES, &machine->wpqs[i]), 0);
		assert_int_equal(wpq_producer_open(wpq_fd(machine->wpqs[i]), &machine->producers[i]), 0);
		machine->producers[i].full = never_full;
	}
}

static void machine_stop(struct machine *machine)
{
	for (int i = 0; i < MAX_THREADS; i++) {
		wpq_producer_close(&machine->producers[i]);
		wpq_destroy(machine->wpqs[i]);
	}
	view_destroy(machine->view);
	domain_destroy(machine->domain);
	region_close(machine->region);
}

/* Power up with empty media. Draining empties the queues of the last run. */
static void power_up(struct machine *machine)
{
	assert_int_equal(view_attach(machine->view, PAGE_BYTES), 0);
	for (int i = 0; i < MAX_THREADS; i++)
		wpq_fence(&machine->producers[i]);
	assert_int_equal(domain_drain(machine->domain), 0);
	memset(view_memory(machine->view), 0, PAGE_BYTES);
	assert_int_equal(media_zero(machine->region, MEDIA_OFFSET, PAGE_BYTES), 0);
	media_fence(machine->region);
}

static void power_fail(struct machine *machine, enum chooser_policy policy, uint64_t seed)
{
	struct domain_lines lines;
	/* Under eADR the caches are kept whatever the policy says of the rest. */
	bool battery = domain_persistence(machine->domain) == PERSISTENCE_CPU_CACHE;
	enum chooser_policy caches = battery ? CHOOSER_KEEP : policy;

	const struct chooser chooser = { .policy = policy, .seed = seed };

	assert_int_equal(domain_settle(machine->domain, &chooser), 0);
	const struct power_failure failure = { .chooser = { .policy = caches, .seed = seed },
					       .sector = LINE_SIZE,
					       .size = PAGE_BYTES,
					       /* New memory takes most of the time of an execution. */
					       .keep_memory = machine->failures++ % 16 != 0 };
	assert_int_equal(view_power_failure(machine->view, &failure, &lines), 0);
	assert_int_equal(lines.undetermined, lines.kept + lines.lost);
}

static uint64_t offset_of(const struct litmus *litmus, int variable)
{
	return (uint64_t)litmus->line[variable] * LINE_SIZE + (uint64_t)variable * 8;
}

static uint64_t load(const void *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static void store(struct machine *machine, uint64_t offset, uint64_t value)
{
	memcpy(view_memory(machine->view) + offset, &value, sizeof(value));
}

static void store_nt(struct machine *machine, struct wpq_producer *producer, uint64_t offset, uint64_t value)
{
	const unsigned char *memory = view_memory(machine->view);
	uint32_t view = view_id(machine->view);

	if (domain_persistence(machine->domain) == PERSISTENCE_CPU_CACHE) {
		struct wpq_record *undo = wpq_undo_before(producer, view, memory, offset);

		store(machine, offset, value);
		wpq_undo_after(producer, undo, memory);
	} else {
		store(machine, offset, value);
		assert_true(wpq_flush(producer, view, memory, offset, 8, 0));
	}
}

static void execute(struct machine *machine, const struct litmus *litmus, struct wpq_producer *producer,
		    const struct op *op)
{
	uint64_t offset = offset_of(litmus, op->variable);
	bool adr = litmus->kind == PERSISTENCE_MEMORY_CONTROLLER;

	switch (op->kind) {
	case W:
		store(machine, offset, op->value);
		break;
	case FO:
		if (adr)
			assert_true(wpq_flush(producer, view_id(machine->view), view_memory(machine->view),
					      offset, 8, 0));
		break;
	case FL:
		if (adr)
			assert_true(wpq_clflush(producer, view_id(machine->view), view_memory(machine->view),
						offset));
		break;
	case SF:
	case MF:
		wpq_fence(producer);
		break;
	case RMW:
		wpq_fence(producer);
		store(machine, offset, op->value);
		break;
	case NT:
		store_nt(machine, producer, offset, op->value);
		break;
	case IF:
	case END:
		break;
	}
}

/* ---- Every execution --------------------------------------------------------- */

#define MAX_CHOICES 64
struct choices {
	unsigned taken[MAX_CHOICES], of[MAX_CHOICES];
	unsigned count, at;
};

/* The next choice, below `of`. A run repeats the last run up to the last choice that can advance. */
static unsigned choose(struct choices *choices, unsigned of)
{
	assert_true(choices->at < MAX_CHOICES);
	if (choices->at == choices->count) {
		choices->taken[choices->count] = 0;
		choices->of[choices->count++] = of;
	}
	return choices->taken[choices->at++];
}

static bool next_run(struct choices *choices)
{
	while (choices->count && choices->taken[choices->count - 1] + 1 == choices->of[choices->count - 1])
		choices->count--;
	if (choices->count == 0)
		return false;
	choices->taken[choices->count - 1]++;
	choices->at = 0;
	return true;
}

static bool can_step(struct machine *machine, const struct litmus *litmus, int thread, unsigned at)
{
	const struct op *op = &litmus->threads[thread][at];

	if (at == MAX_OPS || op->kind == END)
		return false;
	return op->kind != IF ||
	       load(view_memory(machine->view) + offset_of(litmus, op->variable)) == op->value;
}

static void maybe_evict(struct machine *machine, const struct litmus *litmus, struct choices *choices)
{
	unsigned line;

	if (litmus->kind == PERSISTENCE_CPU_CACHE)
		return;
	/* Lines are numbered from 0 by the variables in order. */
	line = choose(choices, (unsigned)litmus->line[litmus->variables - 1] + 2);
	if (line)
		assert_int_equal(view_evict(machine->view, (uint64_t)(line - 1) * LINE_SIZE), 0);
}

/* One execution, to the crash. The policy it crashed with is the last choice. */
static void run_once(struct machine *machine, const struct litmus *litmus, struct choices *choices)
{
	static const enum chooser_policy policies[] = { CHOOSER_LOSE, CHOOSER_KEEP, CHOOSER_RANDOM };
	unsigned at[MAX_THREADS] = { 0 };

	power_up(machine);
	for (;;) {
		int runnable[MAX_THREADS], count = 0;
		unsigned pick;

		maybe_evict(machine, litmus, choices);
		for (int thread = 0; thread < MAX_THREADS; thread++)
			if (can_step(machine, litmus, thread, at[thread]))
				runnable[count++] = thread;
		pick = choose(choices, (unsigned)count + 3);
		if (pick < 3) {
			power_fail(machine, policies[pick], choices->count);
			return;
		}
		pick = (unsigned)runnable[pick - 3];
		execute(machine, litmus, &machine->producers[pick], &litmus->threads[pick][at[pick]]);
		at[pick]++;
	}
}

static unsigned state_number(const struct litmus *litmus, const uint64_t *v)
{
	unsigned number = 0;

	for (int i = 0; i < litmus->variables; i++)
		number = number * 3 + (unsigned)v[i];
	return number;
}

static void explore(const struct litmus *litmus, bool *reached, uint64_t *runs)
{
	struct choices choices = { 0 };
	struct machine machine = { 0 };
	unsigned char media[PAGE_BYTES];

	machine_start(&machine, litmus->kind);
	do {
		uint64_t v[MAX_VARIABLES] = { 0 };

		run_once(&machine, litmus, &choices);
		mediatest_read(machine.region, MEDIA_OFFSET, media, sizeof(media));
		for (int i = 0; i < litmus->variables; i++)
			v[i] = load(media + offset_of(litmus, i));
		if (litmus->forbidden && litmus->forbidden(v))
			fail_msg("%s: left x=%d y=%d z=%d", litmus->name, (int)v[0], (int)v[1], (int)v[2]);
		reached[state_number(litmus, v)] = true;
		++*runs;
	} while (next_run(&choices));
	machine_stop(&machine);
}

static void check_reached(const struct litmus *litmus, const bool *reached)
{
	uint64_t v[MAX_VARIABLES] = { 0 };

	for (;;) {
		int i = 0;

		if (!(litmus->forbidden && litmus->forbidden(v)) && !reached[state_number(litmus, v)])
			fail_msg("%s: never left x=%d y=%d z=%d, which is legal", litmus->name, (int)v[0],
				 (int)v[1], (int)v[2]);
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

static bool same_line_three(const uint64_t *v)
{
	return x0_y1(v) || (v[0] == 2 && v[1] == 0);
}

static bool yz_without_x(const uint64_t *v)
{
	return v[0] == 0 && (v[1] || v[2]);
}

static bool two_stages(const uint64_t *v)
{
	return yz_without_x(v) || (v[2] && !v[1]);
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
	.kind = PERSISTENCE_MEMORY_CONTROLLER, .variables = (vars), .most = { 1, 1, 1 }, .line = __VA_ARGS__
#define EADR(vars, ...)                                                                                      \
	.kind = PERSISTENCE_CPU_CACHE, .variables = (vars), .most = { 1, 1, 1 }, .line = __VA_ARGS__
#define LINES_APART { 0, 1, 2 }
#define ONE_LINE { 0, 0, 0 }
#define X 0
#define Y 1
#define Z 2

static const struct litmus tests[] = {
	{ "no order", ADR(2, LINES_APART), .threads = { { { W, X, 1 }, { W, Y, 1 } } } },
	{ "same line", ADR(2, ONE_LINE), .threads = { { { W, X, 1 }, { W, Y, 1 } } }, .forbidden = x0_y1 },
	{ "same line, three", .kind = PERSISTENCE_MEMORY_CONTROLLER, .variables = 2, .most = { 2, 1 },
	  .line = ONE_LINE, .threads = { { { W, X, 1 }, { W, Y, 1 }, { W, X, 2 } } },
	  .forbidden = same_line_three },
	{ "clflush", ADR(2, LINES_APART), .threads = { { { W, X, 1 }, { FL, X, 0 }, { W, Y, 1 } } },
	  .forbidden = x0_y1 },
	{ "clwb alone", ADR(2, LINES_APART), .threads = { { { W, X, 1 }, { FO, X, 0 }, { W, Y, 1 } } } },
	{ "clwb, sfence", ADR(2, LINES_APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { SF, 0, 0 }, { W, Y, 1 } } }, .forbidden = x0_y1 },
	{ "clwb, mfence", ADR(2, LINES_APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { MF, 0, 0 }, { W, Y, 1 } } }, .forbidden = x0_y1 },
	{ "clwb, RMW", ADR(2, LINES_APART), .threads = { { { W, X, 1 }, { FO, X, 0 }, { RMW, Y, 1 } } },
	  .forbidden = x0_y1 },
	{ "clwb, RMW elsewhere", ADR(3, LINES_APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { RMW, Z, 1 }, { W, Y, 1 } } },
	  .forbidden = yz_without_x },
	{ "fence without flush", ADR(2, LINES_APART),
	  .threads = { { { W, X, 1 }, { SF, 0, 0 }, { W, Y, 1 } } } },
	{ "wrong line", ADR(2, LINES_APART), .threads = { { { W, X, 1 }, { FL, Y, 0 }, { W, Y, 1 } } } },
	{ "flush too early", ADR(2, LINES_APART),
	  .threads = { { { FO, X, 0 }, { W, X, 1 }, { SF, 0, 0 }, { W, Y, 1 } } } },
	/* Here x and the flushed sibling share line 0, as variables 0 and 1; variable 2 is the table's y. */
	{ "flush of a sibling", .kind = PERSISTENCE_MEMORY_CONTROLLER, .variables = 3, .most = { 1, 0, 1 },
	  .line = { 0, 0, 1 }, .threads = { { { W, X, 1 }, { FO, Y, 0 }, { SF, 0, 0 }, { W, Z, 1 } } },
	  .forbidden = x0_z1 },
	{ "dirty again", .kind = PERSISTENCE_MEMORY_CONTROLLER, .variables = 2, .most = { 2, 1 },
	  .line = LINES_APART,
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { W, X, 2 }, { SF, 0, 0 }, { W, Y, 1 } } },
	  .forbidden = x0_y1 },
	{ "two stages", ADR(3, LINES_APART),
	  .threads = { { { W, X, 1 }, { FL, X, 0 }, { W, Y, 1 }, { FL, Y, 0 }, { W, Z, 1 } } },
	  .forbidden = two_stages },
	{ "non-temporal, store", ADR(2, LINES_APART), .threads = { { { NT, X, 1 }, { W, Y, 1 } } } },
	{ "non-temporal, non-temporal", ADR(2, LINES_APART), .threads = { { { NT, X, 1 }, { NT, Y, 1 } } } },
	{ "non-temporal, sfence", ADR(2, LINES_APART),
	  .threads = { { { NT, X, 1 }, { SF, 0, 0 }, { W, Y, 1 } } }, .forbidden = x0_y1 },
	{ "fence of another thread", ADR(3, LINES_APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { W, Y, 1 } },
		       { { IF, Y, 1 }, { SF, 0, 0 }, { W, Z, 1 } } } },
	{ "fence of the writer", ADR(3, LINES_APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { SF, 0, 0 }, { W, Y, 1 } },
		       { { IF, Y, 1 }, { W, Z, 1 } } },
	  .forbidden = yz_without_x },
	{ "reader flushes", .kind = PERSISTENCE_MEMORY_CONTROLLER, .variables = 3, .most = { 1, 0, 1 },
	  .line = LINES_APART, .threads = { { { W, X, 1 } }, { { IF, X, 1 }, { FL, X, 0 }, { W, Z, 1 } } },
	  .forbidden = x0_z1 },
	{ "clflush does not commit an earlier clwb", ADR(3, LINES_APART),
	  .threads = { { { W, X, 1 }, { FO, X, 0 }, { W, Y, 1 }, { FL, Y, 0 }, { W, Z, 1 } } },
	  .forbidden = z_without_y },
	{ "eADR", EADR(2, LINES_APART), .threads = { { { W, X, 1 }, { W, Y, 1 } } }, .forbidden = x0_y1 },
	{ "eADR, non-temporal", EADR(2, LINES_APART), .threads = { { { NT, X, 1 }, { W, Y, 1 } } } },
	{ "eADR, non-temporal, sfence", EADR(2, LINES_APART),
	  .threads = { { { NT, X, 1 }, { SF, 0, 0 }, { W, Y, 1 } } }, .forbidden = x0_y1 },
};

static void run_litmus(void **state)
{
	const struct litmus *litmus = *state;
	bool reached[27] = { false };
	uint64_t runs = 0;

	explore(litmus, reached, &runs);
	check_reached(litmus, reached);
	print_message("# %s: %llu executions\n", litmus->name, (unsigned long long)runs);
}

/* One 16-byte store to a line is two aligned words, in whichever order. */
static void a_torn_record_may_leave_either_half(void **state)
{
	struct litmus low_first = { "torn record", ADR(2, ONE_LINE),
				    .threads = { { { W, X, 1 }, { W, Y, 1 } } } };
	struct litmus high_first = { "torn record", ADR(2, ONE_LINE),
				     .threads = { { { W, Y, 1 }, { W, X, 1 } } } };
	bool reached[27] = { false };
	uint64_t runs = 0;

	explore(&low_first, reached, &runs);
	explore(&high_first, reached, &runs);
	check_reached(&low_first, reached);
}

/* The negative control: a test that forbids what the model allows must fail, or the others prove nothing. */
static void a_test_that_forbids_a_legal_state_fails(void **state)
{
	struct litmus litmus = { "control", ADR(2, LINES_APART),
				 .threads = { { { W, X, 1 }, { FO, X, 0 }, { W, Y, 1 } } } };
	bool reached[27] = { false };
	const uint64_t v[MAX_VARIABLES] = { 0, 1, 0 };
	uint64_t runs = 0;

	explore(&litmus, reached, &runs);
	assert_true(reached[state_number(&litmus, v)]);
}

int main(void)
{
	enum { TABLE = sizeof(tests) / sizeof(tests[0]) };
	struct CMUnitTest units[TABLE + 2];

	memset(units, 0, sizeof(units));
	for (int i = 0; i < TABLE; i++)
		units[i] = (struct CMUnitTest){ .name = tests[i].name, .test_func = run_litmus,
						.initial_state = (void *)(uintptr_t)&tests[i] };
	units[TABLE] = (struct CMUnitTest)cmocka_unit_test(a_torn_record_may_leave_either_half);
	units[TABLE + 1] = (struct CMUnitTest)cmocka_unit_test(a_test_that_forbids_a_legal_state_fails);
	return cmocka_run_group_tests_name("litmus", units, NULL, NULL);
}
