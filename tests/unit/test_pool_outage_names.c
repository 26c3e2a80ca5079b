/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Random histories on real pools, with an outage at the end: what it leaves must be one of the trees that the
 * interpreter in brute_names.c allows, on the media as well as in memory. The seeds are fixed; a failure
 * names the one to look at.
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
#include "pooltest.h"
#include "treeset.h"

#define HISTORIES 400u
#define RANDOM_OUTAGES 3u

struct subject {
	struct region *region;
	struct pools *pools;
	struct pool *inodes[BRUTE_INODES]; /* by the interpreter's number, with a reference */
	struct pool_handle *handles[BRUTE_INODES];
	unsigned numbers[256]; /* the reverse: by inode number of the pool */
	struct brute_tree now;
	const enum brute_mode *modes; /* that new directories get; NULL: that of their parent */
};

static const char *name_of(unsigned name)
{
	static const char *const of[BRUTE_NAMES] = { "a", "b", "c" };

	return of[name];
}

/* ---- A history on pools ----------------------------------------------------------- */

static void adopt(struct subject *subject, unsigned inode, struct pool *pool, struct pool_handle *handle)
{
	struct pool_attributes attributes;

	subject->inodes[inode] = pool;
	subject->handles[inode] = handle;
	if (!handle && !subject->now.directory[inode])
		assert_int_equal(pool_open(pool, &subject->handles[inode]), 0);
	assert_int_equal(pool_get_attributes(pool, &attributes), 0);
	assert_in_range(attributes.ino, 1, 255);
	subject->numbers[attributes.ino] = inode;
}

static void make(struct subject *subject, const struct brute_step_names *step)
{
	const bool has_mode = subject->modes && step->kind == BRUTE_MKDIR;
	const struct pool_new new = {
		.mode = step->kind == BRUTE_MKDIR ? S_IFDIR | 0755 : S_IFREG | 0644,
		.has_metadata = has_mode,
		.metadata = has_mode ? (enum metadata_mode)subject->modes[step->inode] : METADATA_DURABLE,
	};
	struct pool_handle *handle = NULL;
	struct pool *pool;

	subject->now.directory[step->inode] = step->kind == BRUTE_MKDIR;
	if (step->kind == BRUTE_TMPFILE)
		assert_int_equal(pool_open_nameless(subject->inodes[BRUTE_ROOT], &new, &pool, &handle), 0);
	else
		assert_int_equal(pool_create(subject->inodes[step->dir], name_of(step->name), &new, &pool),
				 0);
	adopt(subject, step->inode, pool, handle);
}

static void write_to(struct subject *subject, unsigned inode, uint64_t from, uint64_t to)
{
	unsigned char bytes[64];

	memset(bytes, (int)inode, sizeof(bytes));
	assert_in_range(to - from, 1, sizeof(bytes));
	assert_int_equal(pool_write(subject->handles[inode], bytes, to - from, from, POOL_WRITE_FILE),
			 to - from);
}

static void sync_inode(struct subject *subject, unsigned inode, bool data_only)
{
	assert_int_equal(subject->handles[inode] ? pool_sync(subject->handles[inode], data_only) :
						   pool_sync_pool(subject->inodes[inode], data_only),
			 0);
}

static void set_attributes(struct subject *subject, unsigned inode, unsigned value)
{
	const struct pool_attributes attributes = { .uid = value };

	assert_int_equal(pool_set_attributes(subject->inodes[inode], POOL_SET_UID, &attributes), 0);
}

static void run_step(struct subject *subject, const struct brute_step_names *step)
{
	struct pool *dir = subject->inodes[step->dir], *to_dir = subject->inodes[step->to_dir];
	const char *name = name_of(step->name), *to_name = name_of(step->to_name);

	switch (step->kind) {
	case BRUTE_CREATE:
	case BRUTE_MKDIR:
	case BRUTE_TMPFILE:
		make(subject, step);
		break;
	case BRUTE_LINK:
		assert_int_equal(pool_link(subject->inodes[step->inode], dir, name), 0);
		break;
	case BRUTE_UNLINK:
		assert_int_equal(pool_unlink(dir, name), 0);
		break;
	case BRUTE_RMDIR:
		assert_int_equal(pool_rmdir(dir, name), 0);
		break;
	case BRUTE_RENAME:
		assert_int_equal(pool_rename(dir, name, to_dir, to_name, 0), 0);
		break;
	case BRUTE_EXCHANGE:
		assert_int_equal(pool_rename(dir, name, to_dir, to_name, RENAME_EXCHANGE), 0);
		break;
	case BRUTE_RESIZE:
		assert_int_equal(pool_truncate(subject->inodes[step->inode], NULL, step->size), 0);
		break;
	case BRUTE_APPEND:
		write_to(subject, step->inode, subject->now.size[step->inode], step->size);
		break;
	case BRUTE_SETATTR:
		set_attributes(subject, step->inode, step->attributes);
		break;
	case BRUTE_OVERWRITE:
		write_to(subject, step->inode, 0, 1);
		break;
	case BRUTE_FSYNC:
	case BRUTE_FDATASYNC:
		sync_inode(subject, step->inode, step->kind == BRUTE_FDATASYNC);
		break;
	case BRUTE_CLOSE:
		break;
	}
	brute_apply(&subject->now, step);
}

/*
 * Pools do not let everything happen that the interpreter knows. False: the history ends here. An append
 * that appends nothing is a write inside the file, and to an empty file nothing.
 */
static bool fit_step(const struct subject *subject, struct brute_step_names *step)
{
	const struct brute_tree *now = &subject->now;
	bool named = step->inode == BRUTE_ROOT;

	for (unsigned dir = 0; dir < BRUTE_INODES; dir++)
		for (unsigned name = 0; name < BRUTE_NAMES; name++)
			named |= now->entries[dir][name] == step->inode;
	switch (step->kind) {
	case BRUTE_LINK:
		return named;
	case BRUTE_APPEND:
		if (step->size <= now->size[step->inode])
			step->kind = now->size[step->inode] ? BRUTE_OVERWRITE : BRUTE_CLOSE;
		return true;
	case BRUTE_RESIZE:
		if (step->size == now->size[step->inode])
			step->kind = step->size ? BRUTE_OVERWRITE : BRUTE_CLOSE;
		return true;
	case BRUTE_OVERWRITE:
		if (!now->size[step->inode])
			step->kind = BRUTE_CLOSE;
		return true;
	case BRUTE_SETATTR:
	case BRUTE_FSYNC:
	case BRUTE_FDATASYNC:
		/* A directory that was removed. */
		return named || !now->directory[step->inode];
	default:
		return true;
	}
}

/* Make the durable tree: what can be reached of `before`. */
static void make_before(struct subject *subject, const struct brute_tree *before, unsigned dir)
{
	for (unsigned name = 0; name < BRUTE_NAMES; name++) {
		const unsigned inode = before->entries[dir][name];
		struct brute_step_names step = { .kind = before->directory[inode] ? BRUTE_MKDIR :
										    BRUTE_CREATE,
						 .inode = inode,
						 .dir = dir,
						 .name = name };

		if (!inode)
			continue;
		if (subject->inodes[inode])
			step.kind = BRUTE_LINK;
		run_step(subject, &step);
		if (step.kind == BRUTE_MKDIR)
			make_before(subject, before, inode);
		if (step.kind == BRUTE_CREATE && before->size[inode]) {
			write_to(subject, inode, 0, before->size[inode]);
			subject->now.size[inode] = before->size[inode];
		}
		if (step.kind != BRUTE_LINK && before->attributes[inode])
			set_attributes(subject, inode, before->attributes[inode]);
	}
}

/* Inodes of `before` without a name, which programs have open. */
static void make_held(struct subject *subject, const struct brute_history *history)
{
	for (unsigned at = 0; at < history->count; at++) {
		const unsigned inode = history->steps[at].inode;
		const struct brute_step_names step = { .kind = BRUTE_TMPFILE, .inode = inode };
		bool is_new = false;

		for (unsigned i = 0; i < history->count; i++)
			is_new |= history->steps[i].inode == inode && history->steps[i].kind <= BRUTE_TMPFILE;
		if (is_new || subject->inodes[inode] || history->before.directory[inode])
			continue;
		run_step(subject, &step);
		if (history->before.size[inode])
			assert_int_equal(
				pool_truncate(subject->inodes[inode], NULL, history->before.size[inode]), 0);
		set_attributes(subject, inode, history->before.attributes[inode]);
	}
}

static void start(struct subject *subject, struct brute_history *history, enum metadata_mode mode)
{
	const struct pools_options options = {
		.metadata = history->mixed ? (enum metadata_mode)history->modes[BRUTE_ROOT] : mode
	};

	memset(subject, 0, sizeof(*subject));
	history->auto_da_alloc = false;
	subject->region = pooltest_region("memfd:2M");
	assert_int_equal(pools_open(subject->region, &options, &subject->pools, NULL), 0);
	subject->now.directory[BRUTE_ROOT] = true;
	adopt(subject, BRUTE_ROOT, pool_root(subject->pools), NULL);
	subject->modes = history->mixed ? history->modes : NULL;
	make_before(subject, &history->before, BRUTE_ROOT);
	subject->modes = NULL;
	make_held(subject, history);
	assert_int_equal(pools_sync(subject->pools), 0);
	subject->now = history->before;
	for (unsigned at = 0; at < history->count; at++) {
		if (!subject->inodes[history->steps[at].inode] && history->steps[at].kind > BRUTE_TMPFILE)
			history->count = at;
		else if (!fit_step(subject, &history->steps[at]))
			history->count = at;
		else
			run_step(subject, &history->steps[at]);
	}
}

static void stop(struct subject *subject)
{
	for (unsigned i = 0; i < BRUTE_INODES; i++) {
		if (subject->handles[i])
			pool_close(subject->handles[i]);
		if (subject->inodes[i])
			pool_unref(subject->inodes[i], 1);
	}
	if (subject->pools)
		pools_abandon(subject->pools);
	region_close(subject->region);
}

/* ---- The tree that it leaves ------------------------------------------------------ */

static void read_directory(const struct subject *subject, struct pool *dir, unsigned number,
			   struct brute_tree *tree)
{
	for (unsigned name = 0; name < BRUTE_NAMES; name++) {
		struct pool_attributes attributes;
		struct pool *pool;
		unsigned inode;

		if (pool_lookup(dir, name_of(name), &pool) != 0)
			continue;
		assert_int_equal(pool_get_attributes(pool, &attributes), 0);
		assert_in_range(attributes.ino, 1, 255);
		inode = subject->numbers[attributes.ino];
		tree->entries[number][name] = inode;
		tree->directory[inode] = S_ISDIR(attributes.mode);
		tree->size[inode] = (unsigned)attributes.size;
		tree->attributes[inode] = attributes.uid;
		if (S_ISDIR(attributes.mode))
			read_directory(subject, pool, inode, tree);
		pool_unref(pool, 1);
	}
}

static void tree_text(const struct subject *subject, struct pools *pools, char text[BRUTE_TEXT])
{
	struct brute_tree tree = { .directory = { [BRUTE_ROOT] = true } };
	struct pool *root = pool_root(pools);

	read_directory(subject, root, BRUTE_ROOT, &tree);
	pool_unref(root, 1);
	brute_tree_text(&tree, BRUTE_NAMES_RIGHT, text);
}

/* Give back all that the test has of the pools, and load the region again. */
static void restart(struct subject *subject)
{
	for (unsigned i = 0; i < BRUTE_INODES; i++) {
		if (subject->handles[i])
			pool_close(subject->handles[i]);
		if (subject->inodes[i])
			pool_unref(subject->inodes[i], 1);
		subject->handles[i] = NULL;
		subject->inodes[i] = NULL;
	}
	pools_abandon(subject->pools);
	subject->pools = NULL;
	pooltest_assert_sound(subject->region);
	subject->pools = pooltest_open(subject->region);
}

/* ---- Comparison ------------------------------------------------------------------- */

static bool next_subset(unsigned *subset, unsigned of)
{
	*subset = ((*subset | ~of) + 1) & of;
	return *subset;
}

static void legal_trees(const struct brute_history *history, enum metadata_mode mode,
			enum brute_names_rules rules, struct trees *trees)
{
	struct brute_law law;
	unsigned survivors = 0;

	brute_names_judge(history, (enum brute_mode)mode, rules, &law);
	do {
		struct brute_tree tree = history->before;
		char text[BRUTE_TEXT];

		if (!brute_names_legal(&law, survivors))
			continue;
		for (unsigned at = 0; at < history->count; at++)
			if (survivors >> at & 1)
				brute_apply(&tree, &history->steps[at]);
		brute_tree_text(&tree, BRUTE_NAMES_RIGHT, text);
		trees_add(trees, text);
	} while (next_subset(&survivors, law.operations));
	trees_finish(trees);
}

static void print_trees(const char *what, const char *text, const struct trees *trees)
{
	print_message("# %s left: %s\n", what, text);
	for (size_t i = 0; i < trees->count; i++)
		print_message("#   legal: %s\n", trees->items[i]);
}

/* Is what this outage leaves legal by the rules? Everything else is asserted. */
static bool outage_is_legal(uint64_t seed, bool mixed, enum metadata_mode mode,
			    const struct chooser *chooser, enum brute_names_rules rules)
{
	struct rng rng = { .state = seed };
	struct brute_history history;
	struct subject subject;
	struct trees trees = { 0 };
	char text[BRUTE_TEXT], loaded[BRUTE_TEXT], everything[BRUTE_TEXT];
	bool legal;

	(mixed ? brute_random_mixed : brute_random)(&rng, &history);
	start(&subject, &history, mode);
	legal_trees(&history, mode, rules, &trees);
	brute_tree_text(&subject.now, BRUTE_NAMES_RIGHT, everything);
	tree_text(&subject, subject.pools, text);
	assert_string_equal(text, everything);
	pooltest_fail_power(subject.pools, mode, chooser);
	tree_text(&subject, subject.pools, text);
	legal = trees_contain(&trees, text);
	if (!legal && rules == BRUTE_NAMES_RIGHT) {
		print_message("# seed %llu, mode %s, policy %s\n", (unsigned long long)seed,
			      metadata_mode_name(mode), chooser_policy_name(chooser->policy));
		brute_print(&history);
		print_trees("the outage", text, &trees);
	}
	if (chooser->policy == CHOOSER_KEEP)
		assert_string_equal(text, everything);
	restart(&subject);
	tree_text(&subject, subject.pools, loaded);
	assert_string_equal(loaded, text);
	trees_free(&trees);
	stop(&subject);
	return legal;
}

static void every_outage_is_legal(bool mixed, enum metadata_mode mode)
{
	for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
		const struct chooser lose = { .policy = CHOOSER_LOSE }, keep = { .policy = CHOOSER_KEEP };

		assert_true(outage_is_legal(seed, mixed, mode, &lose, BRUTE_NAMES_RIGHT));
		assert_true(outage_is_legal(seed, mixed, mode, &keep, BRUTE_NAMES_RIGHT));
		for (uint64_t i = 0; i < RANDOM_OUTAGES; i++) {
			const struct chooser random = { .policy = CHOOSER_RANDOM, .seed = seed * 100 + i };

			assert_true(outage_is_legal(seed, mixed, mode, &random, BRUTE_NAMES_RIGHT));
		}
	}
}

static void test_ordered(void **state)
{
	every_outage_is_legal(false, METADATA_ORDERED);
}

static void test_strict(void **state)
{
	every_outage_is_legal(false, METADATA_STRICT);
}

static void test_durable(void **state)
{
	every_outage_is_legal(false, METADATA_DURABLE);
}

/* Directories have modes of their own, of which none, or only the strict ones, are overridden. */
static void test_directories(void **state)
{
	every_outage_is_legal(true, METADATA_STRICT);
}

static void test_directories_overridden(void **state)
{
	every_outage_is_legal(true, METADATA_ORDERED);
}

/* The comparison notices pools that lose what they promised: judged by stronger rules, some outage is not
 * legal. */
static void test_comparison_notices(void **state)
{
	static const struct {
		enum metadata_mode mode;
		enum brute_names_rules rules;
	} wrong[] = {
		{ METADATA_ORDERED, BRUTE_NAMES_APPENDS_IN_LOG },
		{ METADATA_ORDERED, BRUTE_NAMES_FSYNC_COMMITS_ALL },
		{ METADATA_ORDERED, BRUTE_NAMES_FDATASYNC_IS_FSYNC },
		{ METADATA_STRICT, BRUTE_NAMES_STRICT_FSYNC_COVERS_NAME },
		{ METADATA_STRICT, BRUTE_NAMES_STRICT_DIRECTORY_IS_ORDERED },
		{ METADATA_STRICT, BRUTE_NAMES_MIXED_ONE_LOG },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		bool noticed = false;

		for (uint64_t seed = 1; seed <= 4 * HISTORIES && !noticed; seed++) {
			const struct chooser random = { .policy = CHOOSER_RANDOM, .seed = seed };

			noticed = !outage_is_legal(seed, wrong[i].rules >= BRUTE_NAMES_FIRST_MIXED,
						   wrong[i].mode, &random, wrong[i].rules);
		}
		assert_true(noticed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordered),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_durable),
		cmocka_unit_test(test_directories),
		cmocka_unit_test(test_directories_overridden),
		cmocka_unit_test(test_comparison_notices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
