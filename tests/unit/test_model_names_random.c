/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Random histories through the metadata model and through the interpreter in
 * brute_names.c: both must commit the same operations, allow the same sets of
 * survivors, and leave the same trees. The seeds are fixed; a failure names the
 * one to look at.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "brute_names.h"
#include "brute_random.h"
#include "model/names.h"
#include "model/names_tree.h"
#include "rounds.h"
#include "treeset.h"

#ifdef ROUNDS_SANITIZED
#define HISTORIES 1000
#else
#define HISTORIES 10000
#endif
#define CONTROL_HISTORIES 20000

/* ---- The model ---------------------------------------------------------------- */

struct subject {
	struct names *names;
	struct names_tree *base;
	const struct brute_history *history;
	unsigned committed; /* steps */
};

/* The id of step i is i + 1. */
static void commit(void *context, const struct names_op *op)
{
	struct subject *subject = context;

	assert_int_equal(names_tree_apply(subject->base, op), 0);
	/* A bind has the id of the rename after it, or is a close. */
	if (op->kind != NAMES_BIND || subject->history->steps[op->id - 1].kind == BRUTE_CLOSE)
		subject->committed |= 1u << (op->id - 1);
}

static const char *name_of(unsigned name)
{
	static const char *const of[BRUTE_NAMES] = { "a", "b", "c" };

	return of[name];
}

static struct names_op convert(const struct brute_step_names *step, unsigned at)
{
	static const enum names_kind kinds[] = {
		[BRUTE_CREATE] = NAMES_CREATE,	 [BRUTE_MKDIR] = NAMES_CREATE,
		[BRUTE_TMPFILE] = NAMES_TMPFILE, [BRUTE_LINK] = NAMES_LINK,
		[BRUTE_UNLINK] = NAMES_UNLINK,	 [BRUTE_RMDIR] = NAMES_RMDIR,
		[BRUTE_RENAME] = NAMES_RENAME,	 [BRUTE_EXCHANGE] = NAMES_EXCHANGE,
		[BRUTE_RESIZE] = NAMES_RESIZE,	 [BRUTE_APPEND] = NAMES_APPEND,
		[BRUTE_SETATTR] = NAMES_SETATTR,
	};

	return (struct names_op){
		.kind = kinds[step->kind],
		.directory = step->kind == BRUTE_MKDIR,
		.id = at + 1,
		.inode = step->inode,
		.dir = step->dir,
		.name = name_of(step->name),
		.to_dir = step->to_dir,
		.to_name = name_of(step->to_name),
		.other = step->other,
		.size = step->size,
		.attributes = step->attributes,
	};
}

static void feed(struct subject *subject, const struct brute_history *history, unsigned at)
{
	const struct brute_step_names *step = &history->steps[at];
	const enum metadata_mode mode =
		history->mixed ? (enum metadata_mode)brute_step_mode(history, BRUTE_NAMES_RIGHT, at) :
				 METADATA_STRICT;
	struct names_op op;

	switch (step->kind) {
	case BRUTE_OVERWRITE:
		assert_int_equal(names_overwrite(subject->names, step->inode, mode), 0);
		break;
	case BRUTE_CLOSE:
		assert_int_equal(names_close(subject->names, step->inode, at + 1, mode, true), 0);
		break;
	case BRUTE_FSYNC:
		names_fsync(subject->names, step->inode);
		break;
	case BRUTE_FDATASYNC:
		names_fdatasync(subject->names, step->inode, history->before.directory[step->inode]);
		break;
	default:
		op = convert(step, at);
		op.has_mode = history->mixed;
		op.mode = mode;
		if (op.kind == NAMES_CREATE || op.kind == NAMES_TMPFILE)
			assert_int_equal(names_tree_inode(subject->base, op.inode, op.directory, 0), 0);
		assert_int_equal(names_add(subject->names, &op), 0);
	}
}

static void start(struct subject *subject, const struct brute_history *history, enum metadata_mode mode)
{
	const struct names_options options = {
		.mode = mode,
		.auto_da_alloc = history->auto_da_alloc,
		.commit = commit,
		.context = subject,
	};

	subject->history = history;
	subject->committed = 0;
	assert_int_equal(names_tree_create(BRUTE_ROOT, &subject->base), 0);
	for (unsigned inode = BRUTE_ROOT + 1; inode < BRUTE_INODES; inode++) {
		const bool directory = history->before.directory[inode];
		const unsigned attributes = history->before.attributes[inode];
		const struct names_op size = { .kind = NAMES_RESIZE, .inode = inode,
					       .size = history->before.size[inode] };

		if (directory || size.size || attributes)
			assert_int_equal(names_tree_inode(subject->base, inode, directory, attributes), 0);
		if (size.size)
			assert_int_equal(names_tree_apply(subject->base, &size), 0);
	}
	for (unsigned dir = 0; dir < BRUTE_INODES; dir++)
		for (unsigned name = 0; name < BRUTE_NAMES; name++) {
			const struct names_op link = { .kind = NAMES_LINK, .dir = dir, .name = name_of(name),
						       .inode = history->before.entries[dir][name] };

			if (link.inode)
				assert_int_equal(names_tree_apply(subject->base, &link), 0);
		}
	assert_int_equal(names_create(&options, &subject->names), 0);
	for (unsigned at = 0; at < history->count; at++)
		feed(subject, history, at);
}

static void stop(struct subject *subject)
{
	names_destroy(subject->names);
	names_tree_destroy(subject->base);
}

/* ---- Sets of trees -------------------------------------------------------------- */

static void apply_survivor(void *context, const struct names_op *op, bool survives)
{
	if (survives)
		assert_int_equal(names_tree_apply(context, op), 0);
}

/* The tree of the model's present choice. */
static void outcome_text(const struct subject *subject, char text[BRUTE_TEXT])
{
	struct names_entries entries = { 0 };
	struct names_tree *tree;
	size_t length = 0;

	assert_int_equal(names_tree_copy(subject->base, &tree), 0);
	names_visit(subject->names, tree, apply_survivor);
	assert_int_equal(names_tree_list(tree, &entries), 0);
	text[0] = '\0';
	for (size_t i = 0; i < entries.count; i++) {
		const struct names_entry *entry = &entries.items[i];

		length += (size_t)snprintf(text + length, BRUTE_TEXT - length, "%d/%s=%d:%d:%d ",
					   (int)entry->dir, entry->name, (int)entry->inode, (int)entry->size,
					   (int)entry->attributes);
	}
	vector_free(&entries);
	names_tree_destroy(tree);
}

static void model_trees(struct subject *subject, enum metadata_mode mode, struct trees *trees)
{
	int more = names_first(subject->names, mode);

	assert_int_equal(more, 0);
	do {
		char text[BRUTE_TEXT];

		outcome_text(subject, text);
		trees_add(trees, text);
		more = names_next(subject->names, mode);
	} while (more == 1);
	assert_int_equal(more, 0);
	trees_finish(trees);
}

/* Calls for each set of operations, in ascending order. */
static bool next_subset(unsigned *subset, unsigned of)
{
	*subset = ((*subset | ~of) + 1) & of;
	return *subset;
}

static void brute_trees(const struct brute_history *history, const struct brute_law *law,
			enum brute_names_rules rules, struct trees *trees)
{
	unsigned survivors = 0;

	do {
		struct brute_tree tree = history->before;
		char text[BRUTE_TEXT];

		if (!brute_names_legal(law, survivors))
			continue;
		for (unsigned at = 0; at < history->count; at++)
			if (survivors >> at & 1)
				brute_apply(&tree, &history->steps[at]);
		brute_tree_text(&tree, rules, text);
		trees_add(trees, text);
	} while (next_subset(&survivors, law->operations));
	trees_finish(trees);
}

/* ---- Comparison ------------------------------------------------------------------ */

/* METADATA_STRICT: an O_TMPFILE touches no cell, and cannot be lost in a way that shows. */
static unsigned invisible(const struct brute_history *history)
{
	unsigned steps = 0;

	for (unsigned at = 0; at < history->count; at++)
		if (history->steps[at].kind == BRUTE_TMPFILE)
			steps |= 1u << at;
	return steps;
}

static bool model_allows(struct subject *subject, enum metadata_mode mode, unsigned survivors)
{
	uint64_t ids[BRUTE_STEPS];
	size_t count = 0;
	int legal;

	for (unsigned at = 0; at < BRUTE_STEPS; at++)
		if ((survivors & ~subject->committed) >> at & 1)
			ids[count++] = at + 1;
	legal = names_set(subject->names, mode, ids, count);
	assert_in_range(legal, 0, 1);
	return legal;
}

/* Do both commit the same, and judge each set of survivors the same? */
static bool same_law(struct subject *subject, const struct brute_history *history, enum metadata_mode mode,
		     const struct brute_law *law)
{
	const unsigned free_steps = mode == METADATA_STRICT ? invisible(history) : 0;
	unsigned survivors = 0, in_all = law->operations & ~free_steps;

	do {
		if (brute_names_legal(law, survivors))
			in_all &= survivors;
		if ((subject->committed & ~survivors & law->operations) == 0 &&
		    brute_names_legal(law, survivors) != model_allows(subject, mode, survivors))
			return false;
	} while (next_subset(&survivors, law->operations));
	return in_all == (subject->committed & law->operations & ~free_steps);
}

struct comparison {
	bool equal;
	struct trees trees[3]; /* by mode, of the model */
};

static void compare_mode(const struct brute_history *history, enum metadata_mode mode,
			 enum brute_names_rules rules, struct comparison *comparison)
{
	struct trees theirs = { 0 };
	struct subject subject;
	struct brute_law law;

	brute_names_judge(history, (enum brute_mode)mode, rules, &law);
	brute_trees(history, &law, rules, &theirs);
	start(&subject, history, mode);
	model_trees(&subject, mode, &comparison->trees[mode]);
	comparison->equal &= trees_equal(&comparison->trees[mode], &theirs) &&
			     same_law(&subject, history, mode, &law);
	trees_free(&theirs);
	stop(&subject);
}

/* A model of mode `strict` knows what the other modes would allow. */
static void compare_override(const struct brute_history *history, struct comparison *comparison)
{
	struct subject subject;

	start(&subject, history, METADATA_STRICT);
	for (int mode = METADATA_DURABLE; mode < METADATA_STRICT; mode++) {
		struct trees trees = { 0 };

		model_trees(&subject, (enum metadata_mode)mode, &trees);
		comparison->equal &= trees_equal(&trees, &comparison->trees[mode]);
		trees_free(&trees);
	}
	stop(&subject);
}

/* Modes of directories, in a model that is asked for each mode. */
static void compare_mixed(const struct brute_history *history, enum brute_names_rules rules,
			  struct comparison *comparison)
{
	struct subject subject;

	start(&subject, history, METADATA_STRICT);
	for (int mode = METADATA_DURABLE; mode <= METADATA_STRICT; mode++) {
		struct trees theirs = { 0 };
		struct brute_law law;

		brute_names_judge(history, (enum brute_mode)mode, rules, &law);
		brute_trees(history, &law, rules, &theirs);
		model_trees(&subject, (enum metadata_mode)mode, &comparison->trees[mode]);
		comparison->equal &= trees_equal(&comparison->trees[mode], &theirs);
		if (mode == METADATA_STRICT)
			comparison->equal &= same_law(&subject, history, METADATA_STRICT, &law);
		trees_free(&theirs);
	}
	stop(&subject);
}

static void free_comparison(struct comparison *comparison)
{
	for (int mode = METADATA_DURABLE; mode <= METADATA_STRICT; mode++)
		trees_free(&comparison->trees[mode]);
}

static void random_histories_have_the_outcomes_of_the_interpreter(void **state)
{
	uint64_t trees = 0;

	for (uint64_t seed = 0; seed < HISTORIES; seed++) {
		struct comparison comparison = { .equal = true };
		struct brute_history history;
		struct rng rng = { seed };

		brute_random(&rng, &history);
		for (int mode = METADATA_DURABLE; mode <= METADATA_STRICT; mode++) {
			compare_mode(&history, (enum metadata_mode)mode, BRUTE_NAMES_RIGHT, &comparison);
			if (!comparison.equal) {
				brute_print(&history);
				fail_msg("seed %d, mode %d: they differ", (int)seed, mode);
			}
			trees += comparison.trees[mode].count;
		}
		compare_override(&history, &comparison);
		if (!comparison.equal)
			fail_msg("seed %d: a stronger mode at the outage differs", (int)seed);
		for (int mode = METADATA_ORDERED; mode <= METADATA_STRICT; mode++)
			if (!trees_include(&comparison.trees[mode], &comparison.trees[mode - 1]))
				fail_msg("seed %d, mode %d: a stronger mode allows more", (int)seed, mode);
		free_comparison(&comparison);
	}
	print_message("# %d histories, %llu outcomes\n", HISTORIES, (unsigned long long)trees);
}

static void histories_with_modes_of_directories_have_the_outcomes_of_the_interpreter(void **state)
{
	uint64_t trees = 0;

	for (uint64_t seed = 0; seed < HISTORIES; seed++) {
		struct comparison comparison = { .equal = true };
		struct brute_history history;
		struct rng rng = { seed };

		brute_random_mixed(&rng, &history);
		compare_mixed(&history, BRUTE_NAMES_RIGHT, &comparison);
		if (!comparison.equal) {
			brute_print(&history);
			fail_msg("seed %d: they differ", (int)seed);
		}
		for (int mode = METADATA_ORDERED; mode <= METADATA_STRICT; mode++)
			if (!trees_include(&comparison.trees[mode], &comparison.trees[mode - 1]))
				fail_msg("seed %d, mode %d: a stronger mode allows more", (int)seed, mode);
		trees += comparison.trees[METADATA_STRICT].count;
		free_comparison(&comparison);
	}
	print_message("# %d histories, %llu outcomes\n", HISTORIES, (unsigned long long)trees);
}

/* ---- Choosers ------------------------------------------------------------------- */

static void choosers_pick_legal_outcomes_and_reach_the_first_and_the_last(void **state)
{
	for (uint64_t seed = 0; seed < HISTORIES / 5; seed++) {
		const enum metadata_mode mode = (enum metadata_mode)(seed % 3);
		const struct chooser lose = { .policy = CHOOSER_LOSE }, keep = { .policy = CHOOSER_KEEP };
		char text[BRUTE_TEXT], edge[BRUTE_TEXT];
		struct brute_history history;
		struct trees trees = { 0 };
		struct rng rng = { seed };
		struct subject subject;

		(seed & 1 ? brute_random_mixed : brute_random)(&rng, &history);
		start(&subject, &history, METADATA_STRICT);
		assert_int_equal(names_choose(subject.names, mode, &lose), 0);
		outcome_text(&subject, text);
		assert_int_equal(names_first(subject.names, mode), 0);
		outcome_text(&subject, edge);
		assert_string_equal(text, edge);
		while (names_next(subject.names, mode) == 1)
			;
		outcome_text(&subject, edge);
		assert_int_equal(names_choose(subject.names, mode, &keep), 0);
		outcome_text(&subject, text);
		assert_string_equal(text, edge);
		model_trees(&subject, mode, &trees);
		for (uint64_t i = 0; i < 20; i++) {
			const struct chooser random = { .policy = CHOOSER_RANDOM, .seed = i };

			assert_int_equal(names_choose(subject.names, mode, &random), 0);
			outcome_text(&subject, text);
			if (!trees_contain(&trees, text))
				fail_msg("seed %d, chooser %d: illegal", (int)seed, (int)i);
		}
		trees_free(&trees);
		stop(&subject);
	}
}

static void random_choosers_reach_every_outcome(void **state)
{
	for (uint64_t seed = 0; seed < 100; seed++) {
		const enum metadata_mode mode = (enum metadata_mode)(seed % 3);
		struct trees trees = { 0 }, reached = { 0 };
		struct brute_history history;
		struct rng rng = { seed };
		struct subject subject;

		(seed & 1 ? brute_random_mixed : brute_random)(&rng, &history);
		start(&subject, &history, history.mixed ? METADATA_STRICT : mode);
		model_trees(&subject, mode, &trees);
		for (uint64_t i = 0; i < 40000 && !trees_equal(&trees, &reached); i++) {
			const struct chooser random = { .policy = CHOOSER_RANDOM, .seed = i };
			char text[BRUTE_TEXT];

			assert_int_equal(names_choose(subject.names, mode, &random), 0);
			outcome_text(&subject, text);
			if (trees_contain(&reached, text))
				continue;
			trees_add(&reached, text);
			trees_finish(&reached);
		}
		if (!trees_equal(&trees, &reached))
			fail_msg("seed %d: %d of %d", (int)seed, (int)reached.count, (int)trees.count);
		trees_free(&trees);
		trees_free(&reached);
		stop(&subject);
	}
}

/* ---- Negative controls ------------------------------------------------------------- */

static void a_wrong_rule_is_found(void **state)
{
	const enum brute_names_rules rules = (enum brute_names_rules)(uintptr_t)*state;

	for (uint64_t seed = 0; seed < CONTROL_HISTORIES; seed++) {
		struct comparison comparison = { .equal = true };
		struct brute_history history;
		struct rng rng = { seed };

		if (rules >= BRUTE_NAMES_FIRST_MIXED) {
			brute_random_mixed(&rng, &history);
			compare_mixed(&history, rules, &comparison);
		} else {
			brute_random(&rng, &history);
			for (int mode = METADATA_DURABLE; mode <= METADATA_STRICT; mode++)
				compare_mode(&history, (enum metadata_mode)mode, rules, &comparison);
		}
		free_comparison(&comparison);
		if (!comparison.equal)
			return;
	}
	fail_msg("wrong rule %d: no difference in %d histories", (int)rules, CONTROL_HISTORIES);
}

static const char *const control_names[BRUTE_NAMES_RULES] = {
	[BRUTE_NAMES_NO_LOG_ORDER] = "a wrong rule is found: operations are not in one log",
	[BRUTE_NAMES_APPENDS_IN_LOG] = "a wrong rule is found: appends are in the log",
	[BRUTE_NAMES_APPENDS_WITHOUT_LOG] = "a wrong rule is found: appends survive without the log",
	[BRUTE_NAMES_FSYNC_COMMITS_ALL] = "a wrong rule is found: fsync commits everything",
	[BRUTE_NAMES_FSYNC_IGNORES_WRITES] = "a wrong rule is found: times of writes do not concern a file",
	[BRUTE_NAMES_FDATASYNC_IS_FSYNC] = "a wrong rule is found: fdatasync is fsync",
	[BRUTE_NAMES_DIRECTORY_LOST_ENTRIES_STAY] = "a wrong rule is found: entries of a lost directory stay",
	[BRUTE_NAMES_NO_DA_ALLOC] = "a wrong rule is found: auto_da_alloc does nothing",
	[BRUTE_NAMES_STRICT_FSYNC_COVERS_NAME] = "a wrong rule is found: fsync of a file covers its name",
	[BRUTE_NAMES_STRICT_DIRECTORY_IS_ORDERED] = "a wrong rule is found: names of a directory are ordered",
	[BRUTE_NAMES_STRICT_RENAME_NEEDS_BOTH] = "a wrong rule is found: a rename needs both directories",
	[BRUTE_NAMES_STRICT_RMDIR_IS_FREE] = "a wrong rule is found: an rmdir needs no earlier operation",
	[BRUTE_NAMES_MIXED_ONE_LOG] = "a wrong rule is found: strict operations are in the log",
	[BRUTE_NAMES_MIXED_WEAKER_OF_TWO] = "a wrong rule is found: a rename takes the weaker mode",
	[BRUTE_NAMES_MIXED_LINK_OF_DIRECTORY] = "a wrong rule is found: a link has the mode of its directory",
};

int main(void)
{
	static const struct CMUnitTest first[] = {
		cmocka_unit_test(random_histories_have_the_outcomes_of_the_interpreter),
		cmocka_unit_test(histories_with_modes_of_directories_have_the_outcomes_of_the_interpreter),
		cmocka_unit_test(choosers_pick_legal_outcomes_and_reach_the_first_and_the_last),
		cmocka_unit_test(random_choosers_reach_every_outcome),
	};
	enum { FIRST = sizeof(first) / sizeof(first[0]) };
	struct CMUnitTest units[FIRST + BRUTE_NAMES_RULES - 1];

	memset(units, 0, sizeof(units));
	memcpy(units, first, sizeof(first));
	for (unsigned i = 1; i < BRUTE_NAMES_RULES; i++)
		units[FIRST + i - 1] = (struct CMUnitTest){ .name = control_names[i],
							    .test_func = a_wrong_rule_is_found,
							    .initial_state = (void *)(uintptr_t)i };
	return cmocka_run_group_tests_name("model names, random", units, NULL, NULL);
}
