/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MODEL_NAMES_H
#define MODEL_NAMES_H

/*
 * The metadata model: which operations on names, sizes and attributes a power
 * failure may undo. The model is fed operations and syncs in the order in which
 * they took effect. It forgets what is guaranteed (the *commit*), and answers which
 * sets of the *pending* operations may survive.
 *
 * An operation touches *cells*: the names it sets or clears (a name is a directory's
 * inode and a string), the size of an inode, or its attributes. The names that one
 * operation touches change together or not at all.
 *
 * Every mode:
 *   1. of the operations that touch a cell, a survivor has all earlier ones with it;
 *   2. an rmdir, or a rename over an empty directory, survives only with all
 *      earlier operations on names in that directory: they made it empty;
 *   3. an entry of a directory that has no name itself is lost with it;
 *   4. a write that extends a file (NAMES_APPEND) sets the size at a time of the
 *      file system's choice. Unsynced, it may be lost while later operations on
 *      other cells survive: the name of a new file may have any size that the file
 *      had, beginning with 0.
 *
 * METADATA_DURABLE: every operation is committed at once, but for appends.
 *
 * METADATA_ORDERED: the operations but for appends enter one log in their order.
 * An outage keeps a prefix of it. An append survives only with all of the log
 * that was there when it was made. A sync of an inode commits the log up to the
 * last operation that *concerns* the inode, and the inode's appends:
 *   - fsync of a file: its creation, names (also of other links; a rename concerns
 *     what is moved and what is replaced), size, attributes, and the times that
 *     its writes set;
 *   - fdatasync of a file: its creation and its size;
 *   - either, of a directory: its entries as well as its own name and attributes.
 * That is what ext4 and xfs have in common:
 *   - ext4, fs/ext4/fsync.c, ext4_fsync_journal(): waits for the jbd2 transaction
 *     i_sync_tid, for fdatasync i_datasync_tid; not a regular file: forces all of
 *     the running transaction. fs/ext4/inode.c, ext4_do_update_inode() sets
 *     i_sync_tid at any change of the inode, i_datasync_tid when i_disksize changed;
 *     fs/ext4/ialloc.c, __ext4_new_inode() sets both. So an fdatasync after a
 *     rename or a chmod of the file commits nothing there;
 *   - xfs, fs/xfs/xfs_file.c, xfs_fsync_seq(): forces the log to the inode's
 *     ili_commit_seq, for fdatasync unless only timestamps changed. xfs_dir_fsync()
 *     does so for either call. fs/xfs/xfs_inode.c, xfs_rename() logs both
 *     directories, what is moved and what is replaced.
 * Mohan et al.: "Finding crash-consistency bugs with bounded black-box crash
 * testing" (OSDI'18) and Pillai et al.: "All file systems are not created equal"
 * (OSDI'14) tested such systems for it.
 *
 * METADATA_STRICT: what POSIX promises (fsync, fdatasync, and the note of
 * fsync(2): a sync of a file does not make its name durable). Any set of
 * operations survives that rules 1 and 2 allow. fsync of a file commits the
 * operations on its size and attributes, fdatasync those on its size; either, of a
 * directory, those on names in it, fsync also those on its attributes.
 *
 * STRICT allows what ORDERED allows, and ORDERED what DURABLE allows.
 *
 * Operations with modes of their own (names_op.has_mode), in a model of
 * METADATA_STRICT. The mode of an operation is
 *   - on names: of the directory; of two directories the stronger one of their modes;
 *   - on the size and attributes of a file, and of its writes: the strongest one of the
 *     directories that have names of the file. A link is an operation in these as well;
 *   - on the attributes of a directory: of the directory itself.
 * Rules 1 to 4 hold for all. Each operation has what its own mode promises, as if the
 * operations of the other modes were those of another file system:
 *   - durable: it is committed at once, with what it needs by rules 1 and 2;
 *   - ordered: the log is that of the ordered operations alone. A sync commits it up to
 *     the last ordered operation that concerns the inode;
 *   - strict: nothing more than rules 1 and 2.
 * What commits an ordered operation, for instance a durable one that needs it, commits
 * the log before it too. A sync of an inode does all that the modes say of it: of a strict
 * directory it commits an ordered rename into another one, and by that the log before.
 * A choice for a stronger mode treats each operation by the stronger one of its own mode
 * and that.
 *
 * The option auto_da_alloc is that of ext4 (Documentation/admin-guide/ext4.rst;
 * fs/ext4/namei.c, ext4_rename(): ext4_alloc_da_blocks() if something is replaced;
 * fs/ext4/file.c, ext4_release_file(): the same at the close of a file that was
 * truncated to 0): the file's appends, and the bytes written, are then in the log
 * just before the rename, or at the close. xfs has no such thing.
 *
 * Memory is proportional to the pending operations, and so is the time of a
 * choice; an operation and its commit take constant time, amortized. Not thread
 * safe; one model may be used by one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/chooser.h"

/* The values are ordered: each mode allows all that the ones before it do. */
enum metadata_mode { METADATA_DURABLE, METADATA_ORDERED, METADATA_STRICT };
/* "durable", "ordered" or "strict"; "unknown" for a number that is no mode. Static. */
const char *metadata_mode_name(enum metadata_mode mode);
/* The one that promises more. */
static inline enum metadata_mode metadata_mode_stronger(enum metadata_mode a, enum metadata_mode b)
{
	return a < b ? a : b;
}
/* 0, or -EINVAL and *mode is unchanged. */
int metadata_mode_parse(const char *text, enum metadata_mode *mode);

enum names_kind {
	NAMES_CREATE,	/* dir/name is a new inode: open, mkdir, mkfifo, mknod, symlink */
	NAMES_TMPFILE,	/* a new inode without a name: O_TMPFILE */
	NAMES_LINK,	/* dir/name is one more name of the inode */
	NAMES_UNLINK,	/* dir/name, which was the inode, is gone */
	NAMES_RMDIR,	/* the same of an empty directory */
	NAMES_RENAME,	/* dir/name, the inode, is now to_dir/to_name, which was `other` */
	NAMES_EXCHANGE, /* dir/name, the inode, and to_dir/to_name, which is `other`, changed places */
	NAMES_RESIZE,	/* truncate and fallocate: the inode has this size */
	NAMES_APPEND,	/* a write past the end: the inode has this size */
	NAMES_SETATTR,	/* chmod, chown, utimens: the inode has these attributes */
	/* The model's own, for auto_da_alloc: bytes written to the inode before survive with it */
	NAMES_BIND
};

/* No inode has the number 0. A number is not used again while an operation on its old inode is pending. */
struct names_op {
	enum names_kind kind;
	bool directory; /* CREATE: it is a mkdir */
	uint64_t id;	/* larger than all before; a BIND has that of its rename or close */
	uint64_t inode;
	uint64_t dir;	  /* CREATE, LINK, UNLINK, RMDIR, RENAME, EXCHANGE */
	const char *name; /* the same; ends with a NUL. The model keeps a copy */
	uint64_t to_dir;  /* RENAME, EXCHANGE */
	const char *to_name;
	uint64_t other;	     /* RENAME: what is replaced, or 0; EXCHANGE */
	uint64_t size;	     /* RESIZE, APPEND: bytes */
	uint64_t attributes; /* CREATE, TMPFILE, SETATTR: a value that means something to the caller */
	bool has_mode;	     /* it is of `mode`, which is not the model's; only if that is METADATA_STRICT */
	enum metadata_mode mode;
	void *note;	     /* the caller's; the model hands it back and does not look at it */
};

/*
 * The name of the call that makes such an operation on names: "create", "mkdir", "link", "unlink", "rmdir",
 * "rename" or "exchange". NULL if the operation is of another kind. Static.
 */
const char *names_op_call(const struct names_op *op);

struct names;

struct names_options {
	enum metadata_mode mode;
	bool auto_da_alloc;
	/* Remember of the appends to a file between two resizes the newest only: for a live system. */
	bool newest_size_only;
	/* Any number that users cannot guess: names that they choose then hash evenly. */
	uint64_t hash_seed;
	/*
	 * Called, if not NULL, for each operation that is guaranteed from now on, after
	 * all those that it needs by rules 1 and 2. `op` is valid during the call. Must
	 * not call the model.
	 */
	void (*commit)(void *context, const struct names_op *op);
	void *context;
};

/* 0, -EINVAL (no such mode) or -ENOMEM. The options are copied. */
int names_create(const struct names_options *options, struct names **out);
/* NULL is ignored. */
void names_destroy(struct names *names);

/* ---- Events ------------------------------------------------------------------ */

/*
 * An operation took effect. 0; -EINVAL (a member has no legal value) or -ENOMEM:
 * nothing has happened. The model does not check whether the operation was
 * possible.
 */
int names_add(struct names *names, const struct names_op *op);
/*
 * A write inside the file: of what this model knows it set the inode's times only. `mode` is that of
 * operations on the inode; weaker ones than the model's mean the model's. 0 or -ENOMEM.
 */
int names_overwrite(struct names *names, uint64_t inode, enum metadata_mode mode);
/*
 * A descriptor that could write to the file was closed: matters for auto_da_alloc
 * only. `last`: the next close matters after another truncation only; else it may be
 * a duplicate of a descriptor that is still open. `id` as of an operation, `mode` as
 * above. 0, -EINVAL (the id is not larger than the last one) or -ENOMEM.
 */
int names_close(struct names *names, uint64_t inode, uint64_t id, enum metadata_mode mode, bool last);

/* fsync(2) of a file or directory by any of its names or descriptors, and each write with O_SYNC. */
void names_fsync(struct names *names, uint64_t inode);
/* fdatasync(2) of a file or of a directory, and each write with O_DSYNC. */
void names_fdatasync(struct names *names, uint64_t inode, bool directory);
/*
 * One operation is guaranteed, for instance since a command has returned that
 * promises so. Rules 1 and 2, and in METADATA_ORDERED the order of the log, commit
 * others with it. Ids that are not pending are ignored. Fast for recent ones.
 */
void names_commit(struct names *names, uint64_t id);
/* The operations up to and including `id`, but for appends, are guaranteed: keeps the log short. */
void names_commit_through(struct names *names, uint64_t id);
/* sync(2), syncfs(2), unmounting: everything is guaranteed. */
void names_commit_all(struct names *names);
/* Forget everything without a commit: after an outage. */
void names_clear(struct names *names);

/* Operations that are pending, among them appends and NAMES_BIND. */
size_t names_pending(const struct names *names);

/* ---- What may survive ---------------------------------------------------------- */

/*
 * The model holds one choice: a legal set of pending operations that survive, the
 * others being lost. Each of the following functions makes a choice; an event
 * makes it invalid. `mode` is the model's own or a stronger one (a smaller value):
 * a model of METADATA_STRICT knows what METADATA_ORDERED would have committed. The
 * functions return -EINVAL for a weaker mode, and -ENOMEM.
 */

/*
 * As the chooser says. Under CHOOSER_RANDOM each prefix of the log is equally
 * likely in METADATA_ORDERED, and every legal set has some probability. What a limit keeps survives if what
 * it needs survives. 0.
 */
int names_choose(struct names *names, enum metadata_mode mode, const struct chooser *chooser);
/*
 * All legal sets in a canonical order: that of binary numbers in which the oldest
 * operation is the most significant digit and 1 means that it survives. The first
 * one is what is guaranteed, the last one is everything. names_first() returns 0.
 * names_next() follows names_first() or names_next() of the same mode; it returns
 * 1, or 0 and the choice is unchanged if that was the last one.
 */
int names_first(struct names *names, enum metadata_mode mode);
int names_next(struct names *names, enum metadata_mode mode);
/*
 * Exactly the `count` pending operations with these ids survive. The ids ascend;
 * the one of a rename stands for its NAMES_BIND as well. 1, or 0 and there is no
 * choice if that is not legal, or if an id is not pending.
 */
int names_set(struct names *names, enum metadata_mode mode, const uint64_t *ids, size_t count);

/*
 * The legal set that is nearest to what `wanted` says, which is called for each pending operation, the
 * oldest first: an operation survives if the mode guarantees it, or if it is wanted and what it needs
 * survives. So each legal set is the choice for itself. 0.
 */
int names_choose_wanted(struct names *names, enum metadata_mode mode, void *context,
			bool (*wanted)(void *context, const struct names_op *op));

/*
 * Divide the pending operations into groups. In the model's own mode at most a prefix of each group can
 * survive: of the log as a whole, of the appends to one file, and in METADATA_STRICT of operations that each
 * need the one before. So one number a group describes a choice. Calls `visit` for each pending operation,
 * the oldest first; groups are numbered from 0 by their first operations. 0, -ENOMEM, or the first result of
 * `visit` that is not 0, which ends it. Makes the choice invalid.
 */
int names_groups(struct names *names, void *context,
		 int (*visit)(void *context, const struct names_op *op, size_t group));

/* ---- The choice ------------------------------------------------------------------- */

/* Calls `visit` for each pending operation, the oldest first. It must not change the model. */
void names_visit(const struct names *names, void *context,
		 void (*visit)(void *context, const struct names_op *op, bool survives));
/*
 * Calls `undo` for each lost operation that is neither an append nor a NAMES_BIND,
 * the newest first. Restoring in this order what each one touched gives the tree
 * of the choice. When the turn of a mkdir comes, its directory may have entries
 * (METADATA_STRICT): they are lost with it, by rule 3.
 */
void names_undo(const struct names *names, void *context,
		void (*undo)(void *context, const struct names_op *op));

/* Which of the sizes that appends gave an inode, since its last sync or resize, can survive. */
enum names_size {
	NAMES_SIZE_NEWEST, /* the newest: there is no other, or it must survive */
	NAMES_SIZE_ANY,	   /* any of them, and the one before */
	NAMES_SIZE_OLDEST  /* the one before: operations are lost without which no append survives */
};
/*
 * For callers that choose sizes themselves, with names_options.newest_size_only:
 * what the choice allows, apart from what it says of appends.
 */
enum names_size names_size(const struct names *names, uint64_t inode);

#endif
