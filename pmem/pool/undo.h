/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_UNDO_H
#define POOL_UNDO_H

/*
 * Private to pmem/pool: the undo list. Operations on names, sizes and attributes are written to the media
 * when they take effect. Unless the metadata mode is METADATA_DURABLE, they are also told to the metadata
 * model (model/names.h), which says which of them a power failure may take back. A *note* has what that
 * needs:
 *
 *  - the files that the operation concerns: they are not destroyed, and their entries are not used again;
 *  - blocks, attributes or extended attributes that the operation replaced;
 *  - for a name that was removed, a free entry of the table, set aside.
 *
 * When the model commits an operation, all this is given back: pools_undo_reap(). Nothing here is on the
 * media: after the daemon was killed, everything is kept.
 *
 * Three kinds of operations have no note:
 *  - those of METADATA_DURABLE among others: the model commits them at once, with what they need;
 *  - those on the attributes and size of a file that never had a name, or has lost it for good;
 *  - those on the size of an attached pool, which are durable at once, and not on the list. mmap(2) promises
 *    for MAP_SYNC that what is mapped writable is in the file at this place after a crash; ext4 and xfs
 *    commit the file's metadata at the page fault for that.
 *
 * Locks: undo->lock is taken after pools->tree and pool->lock, and before pools->table_lock and
 * space.lock. The functions that add to the list are called while the lock is held under which the
 * operation took effect, so that the list has the order of their effects.
 */

#include <pthread.h>
#include <sys/queue.h>

#include "model/names.h"
#include "pool/directory_names.h"
#include "pool/inode.h"

enum undo_what { UNDO_NAMES, UNDO_ATTRIBUTES, UNDO_RESIZE, UNDO_XATTRS };

struct undo_attributes {
	mode_t mode;
	uid_t uid;
	gid_t gid;
	enum pool_mode pool_mode;
	struct timespec atime, mtime, ctime;
};

/* A change of the map in pages [page, page + pages), and of the size. */
struct undo_resize {
	uint64_t page, pages;
	struct extmap before;  /* extents of these pages before the change */
	struct extmap removed; /* those of them that the map has lost: their blocks are the note's */
	uint64_t size;	       /* durable, in bytes */
	struct timespec mtime, ctime;
	unsigned char *tail; /* bytes of the file that were zeroed, from tail_offset on; NULL: none */
	uint64_t tail_offset;
	uint32_t tail_length;
};

struct undo_xattrs {
	unsigned char *records; /* malloc()ed */
	size_t length;
	uint64_t block; /* 0: there was no area */
	struct timespec ctime;
};

struct undo_note {
	STAILQ_ENTRY(undo_note) next; /* in undo->committed */
	enum undo_what what;
	struct pool *file, *other; /* `other` may be NULL */
	bool needs_entry;	   /* of the table, to be undone */
	uint64_t held; /* blocks that a commit frees, as far as is known */
	union {
		struct undo_attributes attributes;
		struct undo_resize resize;
		struct undo_xattrs xattrs;
	};
};
STAILQ_HEAD(undo_notes, undo_note);

struct undo {
	pthread_mutex_t lock; /* guards all down to `committed` */
	struct names *model;
	bool mixed; /* operations have modes of their own, by own_modes.h */
	_Atomic uint64_t newest_id;  /* read without the lock as a hint */
	struct undo_notes committed; /* not reaped yet */
	_Atomic uint64_t held;	     /* blocks that commits would free */
	_Atomic uint32_t entries;    /* of the table, set aside */
	_Atomic bool has_committed;  /* a hint that needs no lock: `committed` is not empty */
};

/*
 * In METADATA_DURABLE, and if no directory has a mode of its own (pools->mixed), pools->undo stays NULL. 0 or
 * -ENOMEM.
 */
int pools_undo_open(struct pools *pools);
/*
 * A directory is about to get a mode of its own. What is on the list is committed if it is the first one.
 * pools->tree is held exclusively. 0 or -ENOMEM.
 */
int pools_undo_mix(struct pools *pools);
/* Forget all notes: the media stay as they are. The pools are still there. */
void pools_undo_close(struct pools *pools);

/* ---- Adding ------------------------------------------------------------------------- */

/*
 * None of these can fail: without memory, this operation and all before it are committed.
 *
 * The names are those of names_op; `other` may be NULL. pools->tree is held exclusively.
 */
struct undo_names {
	enum names_kind kind;
	struct pool *file, *other;
	struct pool *directory, *to_directory;
	const char *name, *to_name;
};
void pool_undo_add_names(struct pools *pools, const struct undo_names *names);

/*
 * An operation without a note: NAMES_TMPFILE; or NAMES_RESIZE or NAMES_SETATTR where no note is needed. For
 * this and all that follows, pool->lock is held exclusively.
 */
void pool_undo_add_unseen(struct pool *pool, enum names_kind kind);
/* Does a change of the pool's attributes, or of its size, need a note? */
bool pool_undo_is_needed(const struct pool *pool);
bool pool_undo_is_needed_for_size(const struct pool *pool);
void pool_undo_add_attributes(struct pool *pool, const struct undo_attributes *before);
/* The list takes over the memory and the blocks of *before, in any case. */
void pool_undo_add_resize(struct pool *pool, struct undo_resize *before);
void pool_undo_add_xattrs(struct pool *pool, const struct undo_xattrs *before);
/* A write made the file longer than `size_before`, or did not. */
void pool_undo_add_write(struct pool *pool, uint64_t size_before);

/*
 * An operation is about to remove a name of the file: it is not destroyed before pool_undo_let_go(), which
 * destroys it if no note keeps it. The caller has a reference.
 */
void pool_undo_hold(struct pool *pool);
void pool_undo_let_go(struct pool *pool);

/*
 * Count the blocks of a file as free while it has no name and no handle, and only the list keeps it; and no
 * longer, when that may have changed. The memory of its view is freed, if the media have all of its bytes.
 * pools->tree is held, or the caller is the one that changed it.
 */
void pool_undo_count_held(struct pool *pool);
/* As the above, of a pool that is destroyed: pool->lock is held. */
void pool_undo_forget_held(struct pool *pool);

/* ---- Committing --------------------------------------------------------------------- */

/*
 * fsync(2), or fdatasync(2), of the pool. What it must not keep is given back by pools_undo_reap(), after the
 * locks are released.
 */
void pool_undo_sync(struct pool *pool, bool data_only);
/* Bytes of the pool are about to become durable: commit the changes of its map. */
void pool_undo_settle_map(struct pool *pool);
void pools_undo_commit_all(struct pools *pools);

/* Give back what committed operations kept. Inside the gate, with no lock held. */
void pools_undo_reap(struct pools *pools);
/*
 * There was no space: commit everything and reap. True if that gave something back, so that it is worth
 * another try. Inside the gate, with no lock held.
 */
bool pools_undo_make_room(struct pools *pools);
/* Blocks that pools_undo_make_room() would free. */
uint64_t pools_undo_held(const struct pools *pools);

/* ---- An outage ---------------------------------------------------------------------- */

/*
 * Let the chooser pick which operations survive, and take the others back, on the media too. The list is
 * empty afterwards. `mode` is the one of the list, or a stronger one. pools->tree is held exclusively, and no
 * call is in the pools. -ENOMEM: nothing was decided, and all is kept. Other errors: something was not taken
 * back, and the log has it.
 */
int pools_undo_decide(struct pools *pools, enum metadata_mode mode, const struct chooser *chooser,
		      const struct pools_outage *outage);

/*
 * Private to undo.c and undo_apply.c: the operation is pending no more, and pools_undo_reap() is to give back
 * what its note keeps. `undo` is pools->undo, as the model's call-backs get it. Its lock is held, or no call
 * is in the pools.
 */
void pool_undo_note_settled(void *undo, const struct names_op *op);

#endif
