/* SPDX-License-Identifier: BSD-3-Clause */
#include "namestest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOT 1

/* ---- Scripts -------------------------------------------------------------------- */

/* A path as a directory and a name in it. */
static void split(const struct namestest *test, const char *path, uint64_t *dir, char name[32])
{
	*dir = ROOT;
	for (;;) {
		const char *slash = strchr(path, '/');
		const size_t length = slash ? (size_t)(slash - path) : strlen(path);

		assert_in_range(length, 1, 31);
		memcpy(name, path, length);
		name[length] = '\0';
		if (!slash)
			return;
		*dir = names_tree_lookup(test->now, *dir, name);
		assert_int_not_equal(*dir, 0);
		path = slash + 1;
	}
}

static uint64_t look_up(const struct namestest *test, const char *path)
{
	char name[32];
	uint64_t dir;

	if (strcmp(path, "/") == 0)
		return ROOT;
	if (strcmp(path, "#") == 0)
		return test->held;
	split(test, path, &dir, name);
	return names_tree_lookup(test->now, dir, name);
}

static const struct command {
	const char *word;
	enum names_kind kind;
} commands[] = {
	{ "create", NAMES_CREATE },  { "mkfifo", NAMES_CREATE },     { "symlink", NAMES_CREATE },
	{ "mkdir", NAMES_CREATE },   { "tmpfile", NAMES_TMPFILE },   { "link", NAMES_LINK },
	{ "unlink", NAMES_UNLINK },  { "rmdir", NAMES_RMDIR },	     { "rename", NAMES_RENAME },
	{ "append", NAMES_APPEND },  { "exchange", NAMES_EXCHANGE }, { "resize", NAMES_RESIZE },
	{ "chmod", NAMES_SETATTR },  { "fallocate", NAMES_RESIZE },
};

static const struct command *find_command(const char *word)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].word, word) == 0)
			return &commands[i];
	return NULL;
}

/* ---- Modes of directories --------------------------------------------------------- */

/* Of operations on the size and attributes of an inode. */
static enum metadata_mode mode_of(struct namestest *test, uint64_t inode)
{
	struct names_entries entries = { 0 };
	enum metadata_mode mode = METADATA_STRICT;
	bool named = false, directory = inode == ROOT;

	assert_in_range(inode, 1, 63);
	assert_int_equal(names_tree_list(test->now, &entries), 0);
	for (size_t i = 0; i < entries.count; i++) {
		if (entries.items[i].inode != inode)
			continue;
		mode = metadata_mode_stronger(mode, test->modes[entries.items[i].dir]);
		named = true;
		directory = entries.items[i].directory;
	}
	vector_free(&entries);
	if (named && !directory)
		test->modes[inode] = mode;
	return test->modes[inode];
}

static void set_mode(struct namestest *test, struct names_op *op)
{
	op->has_mode = test->mixed;
	if (op->kind == NAMES_CREATE && op->directory)
		test->modes[op->inode] = test->modes[op->dir];
	if (op->kind == NAMES_LINK)
		op->mode = metadata_mode_stronger(test->modes[op->dir], mode_of(test, op->inode));
	else if (op->to_dir)
		op->mode = metadata_mode_stronger(test->modes[op->dir], test->modes[op->to_dir]);
	else
		op->mode = names_op_call(op) ? test->modes[op->dir] : mode_of(test, op->inode);
}

static void operate(struct namestest *test, const struct command *command, const char *path,
		    const char *second)
{
	struct names_op op = { .kind = command->kind, .id = ++test->id };
	char name[32], to_name[32];

	op.directory = strcmp(command->word, "mkdir") == 0;
	op.size = op.attributes = strtoull(second, NULL, 10);
	if (op.kind == NAMES_CREATE || op.kind == NAMES_TMPFILE) {
		op.inode = ++test->inodes;
		assert_int_equal(names_tree_inode(test->base, op.inode, op.directory, 0), 0);
	} else {
		op.inode = look_up(test, path);
	}
	if (op.kind == NAMES_TMPFILE)
		test->held = op.inode;
	if (op.kind == NAMES_LINK) {
		split(test, second, &op.dir, name);
		op.name = name;
	} else if (op.kind != NAMES_TMPFILE && *path != '#') {
		split(test, path, &op.dir, name);
		op.name = name;
	}
	if (op.kind == NAMES_RENAME || op.kind == NAMES_EXCHANGE) {
		op.other = look_up(test, second);
		split(test, second, &op.to_dir, to_name);
		op.to_name = to_name;
	}
	set_mode(test, &op);
	assert_int_equal(names_add(test->names, &op), 0);
	assert_int_equal(names_tree_apply(test->now, &op), 0);
}

static void execute(struct namestest *test, const char *word, const char *path, const char *second)
{
	const struct command *command = find_command(word);

	if (command)
		operate(test, command, path, second);
	else if (strcmp(word, "==") == 0)
		names_commit_all(test->names);
	else if (strcmp(word, "commit") == 0)
		names_commit(test->names, test->id);
	else if (strcmp(word, "fsync") == 0)
		names_fsync(test->names, look_up(test, path));
	else if (strcmp(word, "fdatasync") == 0)
		names_fdatasync(test->names, look_up(test, path), strcmp(path, "/") == 0);
	else if (strcmp(word, "overwrite") == 0)
		assert_int_equal(names_overwrite(test->names, look_up(test, path),
						 mode_of(test, look_up(test, path))), 0);
	else if (strcmp(word, "close") == 0)
		assert_int_equal(names_close(test->names, look_up(test, path), ++test->id,
					     mode_of(test, look_up(test, path)), true),
				 0);
	else if (strcmp(word, "mode") == 0)
		assert_int_equal(metadata_mode_parse(second, &test->modes[look_up(test, path)]), 0);
	else if (strcmp(word, "hold") == 0)
		test->held = look_up(test, path);
	else
		fail_msg("no such command: %s", word);
}

void namestest_run(struct namestest *test, const char *script)
{
	char word[32], path[32], second[32];
	int length;

	for (; *script; script += length) {
		word[0] = path[0] = second[0] = '\0';
		length = (int)strcspn(script, ";");
		assert_in_range(length, 0, 90);
		assert_int_not_equal(sscanf(script, "%31[^; ] %31[^; ] %31[^; ]", word, path, second), 0);
		execute(test, word, path, second);
		test->mixed |= strcmp(word, "mode") == 0;
		length += (int)strspn(script + length, "; ");
	}
}

static void apply_committed(void *context, const struct names_op *op)
{
	struct namestest *test = context;

	assert_int_equal(names_tree_apply(test->base, op), 0);
}

void namestest_start(struct namestest *test, struct names_options options, const char *script)
{
	*test = (struct namestest){ .inodes = ROOT };
	for (size_t i = 0; i < sizeof(test->modes) / sizeof(test->modes[0]); i++)
		test->modes[i] = METADATA_STRICT;
	options.commit = apply_committed;
	options.context = test;
	assert_int_equal(names_tree_create(ROOT, &test->base), 0);
	assert_int_equal(names_tree_create(ROOT, &test->now), 0);
	assert_int_equal(names_create(&options, &test->names), 0);
	namestest_run(test, script);
}

void namestest_stop(struct namestest *test)
{
	names_destroy(test->names);
	names_tree_destroy(test->base);
	names_tree_destroy(test->now);
}

/* ---- Trees ------------------------------------------------------------------------- */

static void write_directory(const struct names_entries *entries, uint64_t dir, const char *prefix,
			    char text[NAMESTEST_TEXT])
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct names_entry *entry = &entries->items[i];
		size_t length = strlen(text);
		char path[128];

		if (entry->dir != dir)
			continue;
		snprintf(path, sizeof(path), "%s%s", prefix, entry->name);
		length += (size_t)snprintf(text + length, NAMESTEST_TEXT - length, "%s%s", length ? " " : "",
					   path);
		if (entry->directory) {
			snprintf(text + length, NAMESTEST_TEXT - length, "/");
			snprintf(path, sizeof(path), "%s%s/", prefix, entry->name);
			write_directory(entries, entry->inode, path, text);
			continue;
		}
		length += (size_t)snprintf(text + length, NAMESTEST_TEXT - length, "=%d:%d",
					   (int)entry->inode, (int)entry->size);
		if (entry->attributes)
			snprintf(text + length, NAMESTEST_TEXT - length, ":%d", (int)entry->attributes);
	}
}

void namestest_text(const struct names_tree *tree, char text[NAMESTEST_TEXT])
{
	struct names_entries entries = { 0 };

	assert_int_equal(names_tree_list(tree, &entries), 0);
	text[0] = '\0';
	write_directory(&entries, ROOT, "", text);
	if (!text[0])
		strcpy(text, "-");
	vector_free(&entries);
}

static void apply_survivor(void *context, const struct names_op *op, bool survives)
{
	if (survives)
		assert_int_equal(names_tree_apply(context, op), 0);
}

void namestest_outcome(const struct namestest *test, char text[NAMESTEST_TEXT])
{
	struct names_tree *tree;

	assert_int_equal(names_tree_copy(test->base, &tree), 0);
	names_visit(test->names, tree, apply_survivor);
	namestest_text(tree, text);
	names_tree_destroy(tree);
}

void namestest_outcomes(struct namestest *test, enum metadata_mode mode, struct trees *trees)
{
	int more = names_first(test->names, mode);

	assert_int_equal(more, 0);
	do {
		char text[NAMESTEST_TEXT];

		namestest_outcome(test, text);
		trees_add(trees, text);
		more = names_next(test->names, mode);
	} while (more == 1);
	assert_int_equal(more, 0);
	trees_finish(trees);
}
