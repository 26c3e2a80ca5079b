/* SPDX-License-Identifier: BSD-3-Clause */

/* The undo list: adding to it, and giving back what it keeps. */

#include "pool/undo.h"

#include <errno.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/cleanup.h"
#include "common/rng.h"
#include "pool/gate.h"
#include "pool/lifetime.h"
#include "pool/own_modes.h"
#include "pool/pools.h"
#include "pool/view_limits.h"
#include "pool/xattr.h"

/*
 * An operation commits those that are this much older. One by one, so that the memory of one operation is
 * used again by the next. A file that is made, written, renamed and removed takes four, and keeps its view
 * until they are committed: these are fewer than may have memory (view_limits.c), so that no file is synced
 * that nobody will read.
 */
#define UNDO_OPERATIONS_MAX 114688u
/* Appends may stay pending longer: with so many of them, everything is committed. */
#define UNDO_PENDING_MAX (UNDO_OPERATIONS_MAX + UNDO_OPERATIONS_MAX / 4)

/* The model's number of an inode is the one that stat(2) shows: 0 is none. */
static uint64_t number_of(const struct pool *pool)
{
	return (uint64_t)pool->index + 1;
}

/* ---- Notes ----------------------------------------------------------------------- */

static void free_resize(struct undo_resize *resize)
{
	pool_extmap_free(&resize->before);
	pool_extmap_free(&resize->removed);
	free(resize->tail);
}

static void free_note(struct undo_note *note)
{
	if (note->what == UNDO_RESIZE)
		free_resize(&note->resize);
	else if (note->what == UNDO_XATTRS)
		free(note->xattrs.records);
	free(note);
}

void pool_undo_note_settled(void *context, const struct names_op *op)
{
	struct undo *undo = context;

	if (!op->note)
		return;
	STAILQ_INSERT_TAIL(&undo->committed, (struct undo_note *)op->note, next);
	atomic_store_explicit(&undo->has_committed, true, memory_order_relaxed);
}

static int create_model(const struct pools *pools, struct undo *undo, struct names **out)
{
	const struct names_options options = {
		.mode = pools->mixed ? METADATA_STRICT : pools->options.metadata,
		.newest_size_only = true,
		.hash_seed = rng_mix((uintptr_t)undo ^ pools->uuid_seed),
		.commit = pool_undo_note_settled,
		.context = undo,
	};

	return names_create(&options, out);
}

int pools_undo_open(struct pools *pools)
{
	struct undo *undo;
	int error;

	if (pools->options.metadata == METADATA_DURABLE && !pools->mixed)
		return 0;
	undo = calloc(1, sizeof(*undo));
	if (!undo)
		return -ENOMEM;
	undo->mixed = pools->mixed;
	error = create_model(pools, undo, &undo->model);
	if (error) {
		free(undo);
		return error;
	}
	pthread_mutex_init(&undo->lock, NULL);
	STAILQ_INIT(&undo->committed);
	pools->undo = undo;
	return 0;
}

/* The list has a model that knows modes of operations from now on. */
static int replace_model(struct pools *pools)
{
	struct undo *undo = pools->undo;
	struct names *model;
	int error = create_model(pools, undo, &model);

	if (error)
		return error;
	LOCK_SCOPE(&undo->lock);
	names_commit_all(undo->model);
	names_destroy(undo->model);
	undo->model = model;
	undo->mixed = true;
	return 0;
}

int pools_undo_mix(struct pools *pools)
{
	int error;

	if (pools->mixed)
		return 0;
	atomic_store(&pools->mixed, true);
	error = pools->undo ? replace_model(pools) : pools_undo_open(pools);
	if (error)
		atomic_store(&pools->mixed, false);
	return error;
}

static void free_committed(struct undo *undo)
{
	struct undo_note *note;

	while ((note = STAILQ_FIRST(&undo->committed))) {
		STAILQ_REMOVE_HEAD(&undo->committed, next);
		free_note(note);
	}
}

void pools_undo_close(struct pools *pools)
{
	struct undo *undo = pools->undo;

	if (!undo)
		return;
	names_commit_all(undo->model);
	free_committed(undo);
	names_destroy(undo->model);
	pthread_mutex_destroy(&undo->lock);
	free(undo);
	pools->undo = NULL;
}

/* ---- Adding ---------------------------------------------------------------------- */

static void keep_short(struct pools *pools)
{
	struct undo *undo = pools->undo;

	if (undo->newest_id > UNDO_OPERATIONS_MAX)
		names_commit_through(undo->model, undo->newest_id - UNDO_OPERATIONS_MAX);
	/* A region may need the blocks that are kept. */
	if (names_pending(undo->model) > UNDO_PENDING_MAX || undo->held > pools->space.blocks / 4)
		names_commit_all(undo->model);
}

static void keep(const struct undo_note *note, struct pool *pool)
{
	atomic_fetch_add(&pool->undo_notes, 1);
	if (note->what == UNDO_NAMES)
		atomic_fetch_add(&pool->undo_names, 1);
}

/* The list owns `note`, which is NULL without memory. op->mode is set. undo->lock is held. */
static void add(struct pools *pools, struct names_op *op, struct undo_note *note)
{
	struct undo *undo = pools->undo;

	op->id = ++undo->newest_id;
	op->has_mode = undo->mixed;
	op->note = note;
	if (note) {
		keep(note, note->file);
		if (note->other)
			keep(note, note->other);
		if (note->needs_entry)
			atomic_fetch_add(&undo->entries, 1);
		atomic_fetch_add(&undo->held, note->held);
	}
	if (!note || names_add(undo->model, op) < 0) {
		/* What is not on the list is durable, and so must be what came before it. */
		names_commit_all(undo->model);
		if (note)
			pool_undo_note_settled(undo, op);
	}
	keep_short(pools);
}

/*
 * An operation that nobody can see the loss of, or whose loss the size of the file shows. It matters to the
 * order of others. op->mode is set. undo->lock is held.
 */
static void add_without_note(struct pools *pools, struct names_op *op)
{
	struct undo *undo = pools->undo;

	op->id = ++undo->newest_id;
	op->has_mode = undo->mixed;
	if (names_add(undo->model, op) < 0)
		names_commit_all(undo->model);
	keep_short(pools);
}

static struct undo_note *make_note(enum undo_what what, struct pool *file)
{
	struct undo_note *note = alloc_zeroed(sizeof(*note));

	if (!note)
		return NULL;
	note->what = what;
	note->file = file;
	return note;
}

/* The file that the operation took a name from, if it may have been its last one; else NULL. */
static struct pool *unnamed_by(const struct undo_names *names)
{
	if (names->kind == NAMES_UNLINK || names->kind == NAMES_RMDIR)
		return names->file;
	return names->kind == NAMES_RENAME ? names->other : NULL;
}

void pool_undo_forget_held(struct pool *pool)
{
	if (pool->undo_held)
		atomic_fetch_sub(&pool->pools->undo->held, pool->undo_held);
	pool->undo_held = 0;
}

/* All that pool_destroy() will free. pool->lock is held. */
static uint64_t blocks_of(const struct pool *pool)
{
	/* Pages that were never synced have no block, but one is promised to each. */
	return pool_extmap_pages(&pool->map) + pool->promised + pool->chain_count +
	       (pool->xattrs_block ? XATTR_BLOCKS : 0);
}

void pool_undo_count_held(struct pool *pool)
{
	if (!pool->pools->undo)
		return;
	WRITE_SCOPE(&pool->lock);
	pool_undo_forget_held(pool);
	if (pool->links || pool->opens || pool->dead)
		return;
	/* Nobody reads it again: if its name comes back in an outage, its bytes are those of the media. */
	pool_drop_clean_view(pool);
	pool->undo_held = blocks_of(pool);
	atomic_fetch_add(&pool->pools->undo->held, pool->undo_held);
}

/* A file has the new name already, and by that the stronger mode of all its directories. */
static enum metadata_mode mode_of(const struct undo_names *names)
{
	if (names->kind == NAMES_LINK)
		return pool_metadata(names->file);
	if (names->to_directory)
		return metadata_mode_stronger(pool_metadata(names->directory),
					      pool_metadata(names->to_directory));
	return pool_metadata(names->directory);
}

void pool_undo_add_names(struct pools *pools, const struct undo_names *names)
{
	struct pool *unnamed = unnamed_by(names);
	struct names_op op = {
		.kind = names->kind,
		.directory = names->file->directory != NULL,
		.inode = number_of(names->file),
		.dir = number_of(names->directory),
		.name = names->name,
		.to_dir = names->to_directory ? number_of(names->to_directory) : 0,
		.to_name = names->to_name,
		.other = names->other ? number_of(names->other) : 0,
		.mode = mode_of(names),
	};
	struct undo_note *note;

	if (!pools->undo)
		return;
	if (op.mode == METADATA_DURABLE) {
		LOCK_SCOPE(&pools->undo->lock);
		add_without_note(pools, &op);
		return;
	}
	note = make_note(UNDO_NAMES, names->file);
	if (note) {
		note->other = names->other;
		note->needs_entry = unnamed != NULL;
	}
	if (note && unnamed)
		pool_undo_count_held(unnamed);
	LOCK_SCOPE(&pools->undo->lock);
	add(pools, &op, note);
}

void pool_undo_hold(struct pool *pool)
{
	if (pool->pools->undo)
		atomic_fetch_add(&pool->undo_notes, 1);
}

void pool_undo_let_go(struct pool *pool)
{
	if (!pool->pools->undo)
		return;
	atomic_fetch_sub(&pool->undo_notes, 1);
	pool_destroy_if_unused(pool);
}

void pool_undo_add_unseen(struct pool *pool, enum names_kind kind)
{
	struct names_op op = { .kind = kind, .inode = number_of(pool), .size = pool->durable_size,
			       .mode = pool_metadata(pool) };

	if (!pool->pools->undo || pool->dead)
		return;
	LOCK_SCOPE(&pool->pools->undo->lock);
	add_without_note(pool->pools, &op);
}

bool pool_undo_is_needed(const struct pool *pool)
{
	return pool->pools->undo && !pool->dead && pool_metadata(pool) != METADATA_DURABLE &&
	       (pool->links || pool->undo_notes || pool == pool->pools->root);
}

bool pool_undo_is_needed_for_size(const struct pool *pool)
{
	return pool_undo_is_needed(pool) && !pool->is_attached;
}

void pool_undo_add_attributes(struct pool *pool, const struct undo_attributes *before)
{
	struct names_op op = { .kind = NAMES_SETATTR, .inode = number_of(pool),
			       .mode = pool_metadata(pool) };
	struct undo_note *note;

	if (!pool_undo_is_needed(pool)) {
		pool_undo_add_unseen(pool, NAMES_SETATTR);
		return;
	}
	note = make_note(UNDO_ATTRIBUTES, pool);
	if (note)
		note->attributes = *before;
	LOCK_SCOPE(&pool->pools->undo->lock);
	add(pool->pools, &op, note);
}

void pool_undo_add_resize(struct pool *pool, struct undo_resize *before)
{
	struct names_op op = { .kind = NAMES_RESIZE, .inode = number_of(pool), .size = pool->durable_size,
			       .mode = pool_metadata(pool) };
	struct undo_note *note = make_note(UNDO_RESIZE, pool);

	if (note) {
		note->resize = *before;
		note->held = pool_extmap_pages(&before->removed);
		atomic_fetch_add(&pool->undo_resizes, 1);
	} else {
		pool_space_release_extents(&pool->pools->space, &before->removed);
		free_resize(before);
	}
	*before = (struct undo_resize){ 0 };
	LOCK_SCOPE(&pool->pools->undo->lock);
	add(pool->pools, &op, note);
}

void pool_undo_add_xattrs(struct pool *pool, const struct undo_xattrs *before)
{
	struct names_op op = { .kind = NAMES_SETATTR, .inode = number_of(pool),
			       .mode = pool_metadata(pool) };
	struct undo_note *note = make_note(UNDO_XATTRS, pool);

	if (note) {
		note->xattrs = *before;
		note->held = before->block ? XATTR_BLOCKS : 0;
	} else {
		if (before->block)
			pool_space_release(&pool->pools->space, before->block, XATTR_BLOCKS);
		free(before->records);
	}
	LOCK_SCOPE(&pool->pools->undo->lock);
	add(pool->pools, &op, note);
}

void pool_undo_add_write(struct pool *pool, uint64_t size_before)
{
	struct undo *undo = pool->pools->undo;
	struct names_op op = { .kind = NAMES_APPEND, .inode = number_of(pool), .size = pool->size,
			       .mode = pool_metadata(pool) };

	if (!undo || pool->dead)
		return;
	/* Without an operation of a weaker mode before it, nothing depends on it. */
	if (op.mode == METADATA_DURABLE && (pool->size <= size_before || !pool->undo_notes))
		return;
	/* The model has to know of a write inside the file if an operation came after the last one. */
	if (pool->size <= size_before && pool->undo_written == undo->newest_id)
		return;
	LOCK_SCOPE(&undo->lock);
	if (pool->size > size_before) {
		add_without_note(pool->pools, &op);
	} else if (names_overwrite(undo->model, op.inode, op.mode) < 0) {
		names_commit_all(undo->model);
	}
	pool->undo_written = undo->newest_id;
}

/* ---- Committing ------------------------------------------------------------------ */

void pool_undo_sync(struct pool *pool, bool data_only)
{
	struct undo *undo = pool->pools->undo;

	if (!undo)
		return;
	LOCK_SCOPE(&undo->lock);
	if (data_only)
		names_fdatasync(undo->model, number_of(pool), pool->directory != NULL);
	else
		names_fsync(undo->model, number_of(pool));
}

void pool_undo_settle_map(struct pool *pool)
{
	if (pool->undo_resizes)
		pool_undo_sync(pool, true);
}

void pools_undo_commit_all(struct pools *pools)
{
	if (!pools->undo)
		return;
	LOCK_SCOPE(&pools->undo->lock);
	names_commit_all(pools->undo->model);
}

/* ---- Giving back ----------------------------------------------------------------- */

static void take_committed(struct undo *undo, struct undo_notes *notes)
{
	STAILQ_INIT(notes);
	LOCK_SCOPE(&undo->lock);
	STAILQ_CONCAT(notes, &undo->committed);
	atomic_store_explicit(&undo->has_committed, false, memory_order_relaxed);
}

/* The note keeps this file no longer. pools->tree is held. */
static void release_file(const struct undo_note *note, struct pool *pool)
{
	pool_ref(pool, 1);
	if (note->what == UNDO_NAMES)
		atomic_fetch_sub(&pool->undo_names, 1);
	atomic_fetch_sub(&pool->undo_notes, 1);
	if (pool->links == 0 && !pool_destroy_if_unused(pool) && pool->opens == 0 && pool->undo_names == 0)
		/* It will never have a name again, so nobody sees what becomes of its attributes. */
		pool_undo_sync(pool, false);
	if (pool->links)
		/* An outage gave it its name again. */
		pool_undo_count_held(pool);
	pool_unref(pool, 1);
}

static void give_back(struct pools *pools, struct undo_note *note)
{
	struct space *space = &pools->space;

	atomic_fetch_sub(&pools->undo->held, note->held);
	if (note->needs_entry)
		atomic_fetch_sub(&pools->undo->entries, 1);
	if (note->what == UNDO_RESIZE) {
		atomic_fetch_sub(&note->file->undo_resizes, 1);
		pool_space_release_extents(space, &note->resize.removed);
	} else if (note->what == UNDO_XATTRS && note->xattrs.block) {
		pool_space_release(space, note->xattrs.block, XATTR_BLOCKS);
	}
	release_file(note, note->file);
	if (note->other)
		release_file(note, note->other);
	free_note(note);
}

void pools_undo_reap(struct pools *pools)
{
	struct undo_notes notes;
	struct undo_note *note;

	while (pools->undo && atomic_load_explicit(&pools->undo->has_committed, memory_order_relaxed)) {
		take_committed(pools->undo, &notes);
		READ_SCOPE(&pools->tree);
		while ((note = STAILQ_FIRST(&notes))) {
			STAILQ_REMOVE_HEAD(&notes, next);
			give_back(pools, note);
		}
	}
}

bool pools_undo_make_room(struct pools *pools)
{
	bool any;

	if (!pools->undo)
		return false;
	any = atomic_load(&pools->undo->held) != 0 ||
	      atomic_load_explicit(&pools->undo->has_committed, memory_order_relaxed) ||
	      atomic_load(&pools->undo->entries) != 0;
	pools_undo_commit_all(pools);
	pools_undo_reap(pools);
	return any;
}

uint64_t pools_undo_held(const struct pools *pools)
{
	return pools->undo ? atomic_load(&pools->undo->held) : 0;
}
