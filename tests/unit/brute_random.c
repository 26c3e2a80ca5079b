/* SPDX-License-Identifier: BSD-3-Clause */
#include "brute_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct world {
	struct rng *rng;
	struct brute_tree now;
	struct brute_history *history;
	unsigned inodes; /* the next new one */
	unsigned operations;
};

static unsigned below(struct world *world, unsigned bound)
{
	return (unsigned)rng_below(world->rng, bound);
}

/* Any inode but the root, with a name or without; 0 if there is none. */
static unsigned some_inode(struct world *world)
{
	const unsigned first = BRUTE_ROOT + 1;

	return world->inodes == first ? 0 : first + below(world, world->inodes - first);
}

static bool is_below(const struct brute_tree *tree, unsigned inode, unsigned ancestor)
{
	for (unsigned name = 0; inode != ancestor && name < BRUTE_NAMES; name++)
		if (tree->entries[ancestor][name] && tree->directory[tree->entries[ancestor][name]] &&
		    is_below(tree, inode, tree->entries[ancestor][name]))
			return true;
	return inode == ancestor;
}

static bool is_empty(const struct brute_tree *tree, unsigned dir)
{
	for (unsigned name = 0; name < BRUTE_NAMES; name++)
		if (tree->entries[dir][name])
			return false;
	return true;
}

/* A directory that can be reached, and a name in it. */
static void some_name(struct world *world, unsigned *dir, unsigned *name)
{
	*dir = BRUTE_ROOT;
	*name = below(world, BRUTE_NAMES);
	while (below(world, 3)) {
		const unsigned inode = world->now.entries[*dir][*name];

		if (!inode || !world->now.directory[inode])
			break;
		*dir = inode;
		*name = below(world, BRUTE_NAMES);
	}
}

static bool rename_possible(const struct world *world, const struct brute_step_names *step)
{
	const struct brute_tree *now = &world->now;
	const bool directory = now->directory[step->inode];

	if (!step->inode || step->inode == step->other)
		return false;
	if (directory && is_below(now, step->to_dir, step->inode))
		return false;
	if (step->kind == BRUTE_EXCHANGE)
		return step->other && !(now->directory[step->other] && is_below(now, step->dir, step->other));
	if (!step->other)
		return true;
	return directory == now->directory[step->other] && (!directory || is_empty(now, step->other));
}

static bool fill_in(struct world *world, struct brute_step_names *step)
{
	unsigned there;

	some_name(world, &step->dir, &step->name);
	some_name(world, &step->to_dir, &step->to_name);
	there = world->now.entries[step->dir][step->name];
	step->inode = there && below(world, 4) ? there : some_inode(world);
	step->size = step->attributes = 1 + world->history->count;
	switch (step->kind) {
	case BRUTE_CREATE:
	case BRUTE_MKDIR:
	case BRUTE_TMPFILE:
		step->inode = world->inodes;
		step->attributes = 0;
		return step->kind == BRUTE_TMPFILE || !there;
	case BRUTE_LINK:
		step->inode = some_inode(world);
		return !there && step->inode && !world->now.directory[step->inode];
	case BRUTE_UNLINK:
		step->inode = there;
		return there && !world->now.directory[there];
	case BRUTE_RMDIR:
		step->inode = there;
		return there && world->now.directory[there] && is_empty(&world->now, there);
	case BRUTE_RENAME:
	case BRUTE_EXCHANGE:
		step->inode = there;
		step->other = world->now.entries[step->to_dir][step->to_name];
		return rename_possible(world, step);
	case BRUTE_RESIZE:
		step->size = below(world, 3) ? step->size : 0;
		return step->inode && !world->now.directory[step->inode];
	case BRUTE_APPEND:
	case BRUTE_OVERWRITE:
	case BRUTE_CLOSE:
		return step->inode && !world->now.directory[step->inode];
	case BRUTE_SETATTR:
		return step->inode;
	case BRUTE_FSYNC:
	case BRUTE_FDATASYNC:
		if (below(world, 3) == 0)
			step->inode = step->dir;
		return step->inode;
	}
	return false;
}

static void random_step(struct world *world)
{
	static const enum brute_step_kind kinds[] = {
		BRUTE_CREATE, BRUTE_CREATE, BRUTE_MKDIR,  BRUTE_TMPFILE, BRUTE_LINK,	  BRUTE_UNLINK,
		BRUTE_UNLINK, BRUTE_RMDIR,  BRUTE_RENAME, BRUTE_RENAME,	 BRUTE_RENAME,	  BRUTE_EXCHANGE,
		BRUTE_RESIZE, BRUTE_APPEND, BRUTE_APPEND, BRUTE_SETATTR, BRUTE_OVERWRITE, BRUTE_CLOSE,
		BRUTE_FSYNC,  BRUTE_FSYNC,  BRUTE_FDATASYNC,
	};
	struct brute_step_names step = { .kind = kinds[below(world, sizeof(kinds) / sizeof(kinds[0]))] };

	if (!fill_in(world, &step))
		return;
	if (step.kind == BRUTE_CREATE || step.kind == BRUTE_MKDIR || step.kind == BRUTE_TMPFILE) {
		world->now.directory[step.inode] = step.kind == BRUTE_MKDIR;
		world->inodes++;
	}
	brute_apply(&world->now, &step);
	world->operations += step.kind < BRUTE_OVERWRITE;
	world->history->steps[world->history->count++] = step;
}

void brute_random(struct rng *rng, struct brute_history *history)
{
	struct world world = { .rng = rng, .history = history, .inodes = BRUTE_ROOT + 1 };
	const unsigned base = below(&world, 7), most = 1 + below(&world, BRUTE_MOST_OPERATIONS);

	memset(history, 0, sizeof(*history));
	history->auto_da_alloc = below(&world, 3) == 0;
	world.now.directory[BRUTE_ROOT] = true;
	for (unsigned tries = 0; world.operations < base && tries < 50; tries++) {
		random_step(&world);
		history->count = 0;
	}
	history->before = world.now;
	world.operations = 0;
	for (unsigned tries = 0; tries < 80; tries++)
		if (world.operations < most && history->count < BRUTE_STEPS)
			random_step(&world);
	/* What an inode is does not change; the interpreter looks it up here. */
	memcpy(history->before.directory, world.now.directory, sizeof(world.now.directory));
}

void brute_random_mixed(struct rng *rng, struct brute_history *history)
{
	brute_random(rng, history);
	history->mixed = true;
	for (unsigned inode = 0; inode < BRUTE_INODES; inode++)
		history->modes[inode] = (enum brute_mode)rng_below(rng, BRUTE_STRICT + 1);
}

void brute_print(const struct brute_history *history)
{
	static const char *const kinds[] = {
		"create",   "mkdir",  "tmpfile", "link",    "unlink",	 "rmdir", "rename", "exchange",
		"resize",   "append", "setattr", "overwrite", "close", "fsync", "fdatasync",
	};
	char text[BRUTE_TEXT];

	brute_tree_text(&history->before, BRUTE_NAMES_RIGHT, text);
	print_message("# before: %s%s\n", text, history->auto_da_alloc ? "(auto_da_alloc)" : "");
	for (unsigned at = 0; at < history->count; at++) {
		const struct brute_step_names *step = &history->steps[at];

		print_message("# %u: %s inode %u, %u/%c, %u/%c, other %u, size %u, mode %d\n", at,
			      kinds[step->kind], step->inode, step->dir, 'a' + (int)step->name, step->to_dir,
			      'a' + (int)step->to_name, step->other, step->size,
			      history->mixed ? (int)brute_step_mode(history, BRUTE_NAMES_RIGHT, at) : -1);
	}
}
