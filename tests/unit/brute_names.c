/* SPDX-License-Identifier: BSD-3-Clause */
#include "brute_names.h"

#include <stdio.h>
#include <string.h>

void brute_apply(struct brute_tree *tree, const struct brute_step_names *step)
{
	switch (step->kind) {
	case BRUTE_CREATE:
	case BRUTE_MKDIR:
	case BRUTE_LINK:
		tree->entries[step->dir][step->name] = step->inode;
		break;
	case BRUTE_UNLINK:
	case BRUTE_RMDIR:
		tree->entries[step->dir][step->name] = 0;
		break;
	case BRUTE_RENAME:
		tree->entries[step->dir][step->name] = 0;
		tree->entries[step->to_dir][step->to_name] = step->inode;
		break;
	case BRUTE_EXCHANGE:
		tree->entries[step->dir][step->name] = step->other;
		tree->entries[step->to_dir][step->to_name] = step->inode;
		break;
	case BRUTE_RESIZE:
	case BRUTE_APPEND:
		tree->size[step->inode] = step->size;
		break;
	case BRUTE_SETATTR:
		tree->attributes[step->inode] = step->attributes;
		break;
	case BRUTE_TMPFILE:
	case BRUTE_OVERWRITE:
	case BRUTE_CLOSE:
	case BRUTE_FSYNC:
	case BRUTE_FDATASYNC:
		break;
	}
}

/* ---- What a step touches ------------------------------------------------------------ */

static bool is_size(const struct brute_step_names *step)
{
	return step->kind == BRUTE_RESIZE || step->kind == BRUTE_APPEND || step->kind == BRUTE_CLOSE;
}

static bool has_two_names(const struct brute_step_names *step)
{
	return step->kind == BRUTE_RENAME || step->kind == BRUTE_EXCHANGE;
}

static bool has_name(const struct brute_step_names *step)
{
	switch (step->kind) {
	case BRUTE_CREATE:
	case BRUTE_MKDIR:
	case BRUTE_LINK:
	case BRUTE_UNLINK:
	case BRUTE_RMDIR:
		return true;
	default:
		return has_two_names(step);
	}
}

static bool touches_name(const struct brute_step_names *step, unsigned dir, unsigned name)
{
	return (has_name(step) && step->dir == dir && step->name == name) ||
	       (has_two_names(step) && step->to_dir == dir && step->to_name == name);
}

static bool touches_directory(const struct brute_step_names *step, unsigned dir)
{
	return (has_name(step) && step->dir == dir) || (has_two_names(step) && step->to_dir == dir);
}

static bool share_a_cell(const struct brute_step_names *a, const struct brute_step_names *b)
{
	if (is_size(a) && is_size(b) && a->inode == b->inode)
		return true;
	if (a->kind == BRUTE_SETATTR && b->kind == BRUTE_SETATTR && a->inode == b->inode)
		return true;
	if (has_name(a) && touches_name(b, a->dir, a->name))
		return true;
	return has_two_names(a) && touches_name(b, a->to_dir, a->to_name);
}

/* The directory that had to be empty; 0: none. */
static unsigned emptied(const struct brute_history *history, const struct brute_step_names *step)
{
	if (step->kind == BRUTE_RMDIR)
		return step->inode;
	return step->kind == BRUTE_RENAME && history->before.directory[step->other] ? step->other : 0;
}

/* ---- Syncs ---------------------------------------------------------------------- */

static bool is_sync(const struct brute_step_names *step)
{
	return step->kind == BRUTE_FSYNC || step->kind == BRUTE_FDATASYNC;
}

/*
 * ext4's auto_da_alloc: has the file an append, not synced and not allocated yet, when step `at` comes to
 * allocate it? A close does that for files that were truncated to 0.
 */
static bool allocates(const struct brute_history *history, unsigned at, unsigned inode)
{
	const struct brute_step_names *step = &history->steps[at];
	bool truncated = false, waiting = false;

	if (!history->auto_da_alloc)
		return false;
	if (step->kind != BRUTE_CLOSE && !(step->kind == BRUTE_RENAME && step->other))
		return false;
	if (step->inode != inode)
		return false;
	for (unsigned i = 0; i < at; i++) {
		const struct brute_step_names *earlier = &history->steps[i];

		if (earlier->inode != inode)
			continue;
		if (earlier->kind == BRUTE_RESIZE && earlier->size == 0)
			truncated = true;
		if (earlier->kind == BRUTE_APPEND)
			waiting = true;
		if (earlier->kind == BRUTE_RESIZE || is_sync(earlier) || allocates(history, i, inode))
			waiting = false;
		if (earlier->kind == BRUTE_CLOSE)
			truncated = false;
	}
	return waiting && (truncated || step->kind == BRUTE_RENAME);
}

/* ---- Modes ----------------------------------------------------------------------- */

struct modes {
	struct brute_tree tree;
	enum brute_mode directory[BRUTE_INODES];
	enum brute_mode file[BRUTE_INODES]; /* one without a name has the mode that it had last */
};

static enum brute_mode stronger(enum brute_mode a, enum brute_mode b)
{
	return a < b ? a : b;
}

static void find_file_modes(struct modes *modes)
{
	bool seen[BRUTE_INODES] = { false };

	for (unsigned dir = 0; dir < BRUTE_INODES; dir++)
		for (unsigned name = 0; name < BRUTE_NAMES; name++) {
			const unsigned inode = modes->tree.entries[dir][name];

			modes->file[inode] = seen[inode] ?
						     stronger(modes->file[inode], modes->directory[dir]) :
						     modes->directory[dir];
			seen[inode] = true;
		}
}

static enum brute_mode mode_in(const struct modes *modes, enum brute_names_rules rules,
			       const struct brute_step_names *step)
{
	switch (step->kind) {
	case BRUTE_LINK:
		return rules == BRUTE_NAMES_MIXED_LINK_OF_DIRECTORY ?
			       modes->directory[step->dir] :
			       stronger(modes->directory[step->dir], modes->file[step->inode]);
	case BRUTE_TMPFILE:
		return modes->directory[BRUTE_ROOT];
	default:
		break;
	}
	if (has_two_names(step) && rules == BRUTE_NAMES_MIXED_WEAKER_OF_TWO)
		return modes->directory[step->dir] + modes->directory[step->to_dir] -
		       stronger(modes->directory[step->dir], modes->directory[step->to_dir]);
	if (has_two_names(step))
		return stronger(modes->directory[step->dir], modes->directory[step->to_dir]);
	if (has_name(step))
		return modes->directory[step->dir];
	return modes->tree.directory[step->inode] ? modes->directory[step->inode] : modes->file[step->inode];
}

enum brute_mode brute_step_mode(const struct brute_history *history, enum brute_names_rules rules,
				unsigned at)
{
	struct modes modes = { .tree = history->before };

	memcpy(modes.directory, history->modes, sizeof(modes.directory));
	for (unsigned i = 0; i < BRUTE_INODES; i++)
		modes.file[i] = history->modes[BRUTE_ROOT];
	find_file_modes(&modes);
	for (unsigned i = 0; i < at; i++) {
		if (history->steps[i].kind == BRUTE_MKDIR)
			modes.directory[history->steps[i].inode] = modes.directory[history->steps[i].dir];
		brute_apply(&modes.tree, &history->steps[i]);
		find_file_modes(&modes);
	}
	return mode_in(&modes, rules, &history->steps[at]);
}

/* The law that an outage in a mode is under, and the mode of each step by that. */
struct view {
	const struct brute_history *history;
	enum brute_names_rules rules;
	enum brute_mode of[BRUTE_STEPS];
};

/* A close is in the log if it allocates; POSIX knows nothing of that. */
static bool is_operation(const struct view *view, unsigned at)
{
	const struct brute_step_names *step = &view->history->steps[at];

	if (step->kind == BRUTE_CLOSE)
		return view->of[at] != BRUTE_STRICT && allocates(view->history, at, step->inode);
	/* Among others nobody can see it. */
	if (step->kind == BRUTE_TMPFILE && view->history->mixed)
		return false;
	return step->kind < BRUTE_OVERWRITE;
}

static bool in_log(const struct view *view, unsigned at)
{
	return view->of[at] == BRUTE_ORDERED && is_operation(view, at) &&
	       view->history->steps[at].kind != BRUTE_APPEND;
}

/* Does an fsync of the inode commit the log up to this step? */
static bool concerns(const struct brute_history *history, enum brute_names_rules rules, unsigned at,
		     unsigned inode)
{
	const struct brute_step_names *step = &history->steps[at];

	if (is_sync(step))
		return false;
	if (step->kind == BRUTE_CLOSE)
		return allocates(history, at, inode);
	if (step->kind == BRUTE_OVERWRITE)
		return step->inode == inode && rules != BRUTE_NAMES_FSYNC_IGNORES_WRITES;
	return step->inode == inode || touches_directory(step, inode) ||
	       (has_two_names(step) && step->other == inode);
}

/* Does an fdatasync of the file? */
static bool concerns_data(const struct brute_history *history, unsigned at, unsigned inode)
{
	const struct brute_step_names *step = &history->steps[at];

	if (step->inode != inode)
		return false;
	switch (step->kind) {
	case BRUTE_CREATE:
	case BRUTE_MKDIR:
	case BRUTE_TMPFILE:
	case BRUTE_RESIZE:
	case BRUTE_APPEND:
		return true;
	case BRUTE_CLOSE:
		return allocates(history, at, inode);
	default:
		return false;
	}
}

/* METADATA_ORDERED: is operation `at` committed by the sync at step `sync`? */
static bool commits_in_log(const struct view *view, unsigned sync, unsigned at)
{
	const struct brute_history *history = view->history;
	const enum brute_names_rules rules = view->rules;
	const unsigned inode = history->steps[sync].inode;
	const bool data_only = history->steps[sync].kind == BRUTE_FDATASYNC &&
			       !history->before.directory[inode] && rules != BRUTE_NAMES_FDATASYNC_IS_FSYNC;

	if (history->steps[at].kind == BRUTE_APPEND)
		return history->steps[at].inode == inode;
	if (!in_log(view, at))
		return false;
	if (rules == BRUTE_NAMES_FSYNC_COMMITS_ALL)
		return true;
	for (unsigned last = at; last < sync; last++) {
		if (view->of[last] != BRUTE_ORDERED)
			continue;
		if (data_only ? concerns_data(history, last, inode) : concerns(history, rules, last, inode))
			return true;
		/* The allocation before a rename is in the log, though the rename itself is not data. */
		if (data_only && last > at && allocates(history, last, inode))
			return true;
	}
	return false;
}

/* METADATA_STRICT: the same. */
static bool commits_in_strict(const struct brute_history *history, enum brute_names_rules rules,
			      unsigned sync, unsigned at)
{
	const unsigned inode = history->steps[sync].inode;
	const bool full = history->steps[sync].kind == BRUTE_FSYNC;
	const struct brute_step_names *step = &history->steps[at];

	if (is_size(step))
		return step->inode == inode;
	if (step->kind == BRUTE_SETATTR)
		return step->inode == inode && full;
	if (rules == BRUTE_NAMES_STRICT_FSYNC_COVERS_NAME && has_name(step) && step->inode == inode)
		return true;
	if (rules == BRUTE_NAMES_STRICT_RENAME_NEEDS_BOTH && has_two_names(step) && step->dir != step->to_dir)
		return false;
	return touches_directory(step, inode);
}

static bool must_survive(const struct view *view, unsigned at)
{
	const struct brute_history *history = view->history;

	if (view->of[at] == BRUTE_DURABLE && history->steps[at].kind != BRUTE_APPEND)
		return true;
	for (unsigned sync = at + 1; sync < history->count; sync++) {
		if (!is_sync(&history->steps[sync]))
			continue;
		if (view->of[at] == BRUTE_STRICT ? commits_in_strict(history, view->rules, sync, at) :
						   commits_in_log(view, sync, at))
			return true;
	}
	return false;
}

/* ---- Legal sets ------------------------------------------------------------------ */

/* Can operation `later` survive only if `earlier` does? */
static bool needs(const struct view *view, unsigned later, unsigned earlier)
{
	const struct brute_history *history = view->history;
	const enum brute_names_rules rules = view->rules;
	const struct brute_step_names *a = &history->steps[earlier], *b = &history->steps[later];
	const unsigned empty = emptied(history, b);

	if (share_a_cell(a, b))
		return true;
	if (empty && touches_directory(a, empty) && rules != BRUTE_NAMES_STRICT_RMDIR_IS_FREE)
		return true;
	if (view->of[later] == BRUTE_STRICT)
		return rules == BRUTE_NAMES_STRICT_DIRECTORY_IS_ORDERED && has_name(b) &&
		       touches_directory(a, b->dir);
	if (a->kind == BRUTE_APPEND) {
		if (rules == BRUTE_NAMES_APPENDS_IN_LOG)
			return true;
		return rules != BRUTE_NAMES_NO_DA_ALLOC && a->inode == b->inode &&
		       allocates(history, later, b->inode);
	}
	if (view->of[later] != BRUTE_ORDERED || rules == BRUTE_NAMES_NO_LOG_ORDER)
		return false;
	if (!in_log(view, earlier) &&
	    (rules != BRUTE_NAMES_MIXED_ONE_LOG || view->of[earlier] == BRUTE_DURABLE))
		return false;
	return b->kind != BRUTE_APPEND || rules != BRUTE_NAMES_APPENDS_WITHOUT_LOG;
}

void brute_names_judge(const struct brute_history *history, enum brute_mode mode,
		       enum brute_names_rules rules, struct brute_law *law)
{
	struct view view = { .history = history, .rules = rules };

	memset(law, 0, sizeof(*law));
	for (unsigned at = 0; at < history->count; at++)
		view.of[at] = history->mixed ? stronger(mode, brute_step_mode(history, rules, at)) : mode;
	for (unsigned at = 0; at < history->count; at++) {
		if (!is_operation(&view, at))
			continue;
		law->operations |= 1u << at;
		if (must_survive(&view, at))
			law->guaranteed |= 1u << at;
		for (unsigned earlier = 0; earlier < at; earlier++)
			if ((law->operations >> earlier & 1) && needs(&view, at, earlier))
				law->needs[at] |= 1u << earlier;
	}
}

bool brute_names_legal(const struct brute_law *law, unsigned survivors)
{
	if ((survivors & ~law->operations) || (law->guaranteed & ~survivors))
		return false;
	for (unsigned at = 0; at < BRUTE_STEPS; at++)
		if ((survivors >> at & 1) && (law->needs[at] & ~survivors))
			return false;
	return true;
}

/* ---- Trees ----------------------------------------------------------------------- */

/* Which directories can be reached from the root. */
static void reach(const struct brute_tree *tree, bool reached[BRUTE_INODES])
{
	bool more = true;

	memset(reached, 0, BRUTE_INODES);
	reached[BRUTE_ROOT] = true;
	while (more) {
		more = false;
		for (unsigned dir = 0; dir < BRUTE_INODES; dir++)
			for (unsigned name = 0; reached[dir] && name < BRUTE_NAMES; name++) {
				const unsigned inode = tree->entries[dir][name];

				if (inode && tree->directory[inode] && !reached[inode])
					more = reached[inode] = true;
			}
	}
}

void brute_tree_text(const struct brute_tree *tree, enum brute_names_rules rules, char text[BRUTE_TEXT])
{
	bool reached[BRUTE_INODES];
	size_t length = 0;

	reach(tree, reached);
	text[0] = '\0';
	for (unsigned dir = 0; dir < BRUTE_INODES; dir++)
		for (unsigned name = 0; name < BRUTE_NAMES; name++) {
			const unsigned inode = tree->entries[dir][name];

			if (!inode || (!reached[dir] && rules != BRUTE_NAMES_DIRECTORY_LOST_ENTRIES_STAY))
				continue;
			length += (size_t)snprintf(text + length, BRUTE_TEXT - length, "%u/%c=%u:%u:%u ", dir,
						   'a' + (int)name, inode, tree->size[inode],
						   tree->attributes[inode]);
		}
}
