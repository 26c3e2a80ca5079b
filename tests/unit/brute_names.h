/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BRUTE_NAMES_H
#define BRUTE_NAMES_H

/*
 * A second implementation of the metadata model, for tests. It was written from the
 * rules alone and shares no code with pmem/model: a history is a list of steps, a
 * set of its operations is legal or not by looking at all pairs, and an outcome is
 * the tree that a legal set makes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BRUTE_STEPS 24
#define BRUTE_INODES 32
#define BRUTE_ROOT 1
#define BRUTE_NAMES 3	    /* of a directory: a, b, c */
#define BRUTE_TEXT 512	    /* bytes that describe a tree */

/* The rules, or one of them wrong: a comparison that does not notice proves nothing. */
enum brute_names_rules {
	BRUTE_NAMES_RIGHT,
	BRUTE_NAMES_NO_LOG_ORDER,
	BRUTE_NAMES_APPENDS_IN_LOG,
	BRUTE_NAMES_APPENDS_WITHOUT_LOG,
	BRUTE_NAMES_FSYNC_COMMITS_ALL,
	BRUTE_NAMES_FSYNC_IGNORES_WRITES,
	BRUTE_NAMES_FDATASYNC_IS_FSYNC,
	BRUTE_NAMES_DIRECTORY_LOST_ENTRIES_STAY,
	BRUTE_NAMES_NO_DA_ALLOC,
	BRUTE_NAMES_STRICT_FSYNC_COVERS_NAME,
	BRUTE_NAMES_STRICT_DIRECTORY_IS_ORDERED,
	BRUTE_NAMES_STRICT_RENAME_NEEDS_BOTH,
	BRUTE_NAMES_STRICT_RMDIR_IS_FREE,
	/* Of histories with modes of directories. */
	BRUTE_NAMES_MIXED_ONE_LOG,
	BRUTE_NAMES_MIXED_WEAKER_OF_TWO,
	BRUTE_NAMES_MIXED_LINK_OF_DIRECTORY,
	BRUTE_NAMES_RULES
};
#define BRUTE_NAMES_FIRST_MIXED BRUTE_NAMES_MIXED_ONE_LOG

enum brute_mode { BRUTE_DURABLE, BRUTE_ORDERED, BRUTE_STRICT };

enum brute_step_kind {
	BRUTE_CREATE,
	BRUTE_MKDIR,
	BRUTE_TMPFILE,
	BRUTE_LINK,
	BRUTE_UNLINK,
	BRUTE_RMDIR,
	BRUTE_RENAME,
	BRUTE_EXCHANGE,
	BRUTE_RESIZE,
	BRUTE_APPEND,
	BRUTE_SETATTR,
	BRUTE_OVERWRITE,
	BRUTE_CLOSE,
	BRUTE_FSYNC,
	BRUTE_FDATASYNC
};

struct brute_step_names {
	enum brute_step_kind kind;
	unsigned inode, dir, name, to_dir, to_name;
	unsigned other; /* what a rename replaces, what an exchange swaps with; 0: nothing */
	unsigned size, attributes;
};

struct brute_tree {
	unsigned entries[BRUTE_INODES][BRUTE_NAMES];
	unsigned size[BRUTE_INODES], attributes[BRUTE_INODES];
	bool directory[BRUTE_INODES];
};

struct brute_history {
	struct brute_tree before; /* durable */
	unsigned count;
	struct brute_step_names steps[BRUTE_STEPS];
	bool auto_da_alloc;
	bool mixed; /* directories have modes of their own: */
	enum brute_mode modes[BRUTE_INODES]; /* of those in `before`; a new one has that of its parent */
};

/* In a mixed history, the mode of the step itself. */
enum brute_mode brute_step_mode(const struct brute_history *history, enum brute_names_rules rules,
				unsigned at);

/* What the rules say of a history; a bit for each step. */
struct brute_law {
	unsigned operations;	     /* steps that may be lost: not syncs and such */
	unsigned guaranteed;	     /* by the syncs alone; the legal sets show what follows from it */
	unsigned needs[BRUTE_STEPS]; /* the operations without which this one does not survive */
};
void brute_names_judge(const struct brute_history *history, enum brute_mode mode,
		       enum brute_names_rules rules, struct brute_law *law);
/* May exactly these operations survive? */
bool brute_names_legal(const struct brute_law *law, unsigned survivors);

void brute_apply(struct brute_tree *tree, const struct brute_step_names *step);
/* What can be reached of the tree: dir/name=inode:size:attributes, in order. */
void brute_tree_text(const struct brute_tree *tree, enum brute_names_rules rules, char text[BRUTE_TEXT]);

#endif
