/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Taking operations back after a power failure. Each step is atomic on the media, as the operation was; but
 * if the daemon is killed between the two steps that take back a rename over an existing name, the file that
 * was replaced has the old name of the other.
 */

#include "pool/undo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "domain/domain.h"
#include "pool/lifetime.h"
#include "pool/namespace.h"
#include "pool/placement.h"
#include "pool/pools.h"
#include "pool/view_limits.h"
#include "pool/xattr.h"

/* The place of the choice of names, among those of a region's pools, which are entries. */
#define PLACE_NAMES (UINT64_MAX - 1)

static struct pool *file_at(const struct pools *pools, uint64_t number)
{
	return number - 1 < pools->entries ? pools->files[number - 1] : NULL;
}

static struct name *name_at(struct pools *pools, uint64_t directory, const char *text)
{
	const struct pool *parent = file_at(pools, directory);

	return parent && parent->directory ? pool_names_find(pools, parent, text, strlen(text)) : NULL;
}

/*
 * ---- Names -----------------------------------------------------------------------
 * METADATA_STRICT: a directory that was taken back is gone with all that is below it, also what was moved
 * there by an operation that survives. Names in such directories are gone when it is their operation's turn.
 */

/* Is the directory gone? Nothing of it has to be restored. */
static bool is_gone(const struct pools *pools, uint64_t directory)
{
	const struct pool *pool = file_at(pools, directory);

	return !pool || !pool->directory || (pool->links == 0 && pool != pools->root);
}

static int remove_with_all(struct pools *pools, struct name *name);

static int remove_all(struct pools *pools, struct pool *directory)
{
	int error = 0;

	while (!error && !pool_directory_is_empty(directory)) {
		struct name *name = directory->directory->items[0].name;

		for (size_t i = 1; !name; i++)
			name = directory->directory->items[i].name;
		error = remove_with_all(pools, name);
	}
	return error;
}

static int remove_with_all(struct pools *pools, struct name *name)
{
	int error = name->file->directory ? remove_all(pools, name->file) : 0;

	return error ? error : pool_name_remove(pools, name);
}

static int undo_add(struct pools *pools, const struct names_op *op)
{
	struct name *name = name_at(pools, op->dir, op->name);

	if (!name)
		return is_gone(pools, op->dir) ? 0 : -ENOENT;
	return remove_with_all(pools, name);
}

/* Give a file a name that it has lost. */
static int add_again(struct pools *pools, struct undo_note *note, uint64_t directory, const char *text,
		     struct pool *file)
{
	struct pool *parent = file_at(pools, directory);
	int error;

	if (is_gone(pools, directory))
		return 0;
	if (pool_names_find(pools, parent, text, strlen(text)))
		return -EEXIST;
	/* The entry that was set aside for this. */
	atomic_fetch_sub(&pools->undo->entries, note->needs_entry);
	note->needs_entry = false;
	error = pool_name_add(parent, text, file);
	if (error)
		return error;
	atomic_store(&file->removed, false);
	pool_forget_nameless(file);
	return 0;
}

static int undo_rename(struct pools *pools, const struct names_op *op)
{
	struct undo_note *note = op->note;
	struct name *from, *to = name_at(pools, op->to_dir, op->to_name);
	int error;

	/* What it replaced is gone with the directory. */
	if (!to)
		return is_gone(pools, op->to_dir) ? add_again(pools, note, op->dir, op->name, note->file) :
						    -ENOENT;
	/* It is gone with the directory that it came from. */
	if (is_gone(pools, op->dir)) {
		error = remove_with_all(pools, to);
		if (!error && note->other)
			error = add_again(pools, note, op->to_dir, op->to_name, note->other);
		return error;
	}
	if (!note->other)
		return pool_name_move(pools, to, file_at(pools, op->dir), op->name, NULL);
	error = add_again(pools, note, op->dir, op->name, note->other);
	if (error)
		return error;
	from = name_at(pools, op->dir, op->name);
	return pool_name_exchange(pools, from, to);
}

/* One of the two names is gone with its directory: the other one is its old file's. */
static int undo_half(struct pools *pools, const struct names_op *op, struct name *name, struct pool *file)
{
	const bool first = name == name_at(pools, op->dir, op->name);
	int error = remove_with_all(pools, name);

	if (error)
		return error;
	return add_again(pools, op->note, first ? op->dir : op->to_dir, first ? op->name : op->to_name, file);
}

static int undo_exchange(struct pools *pools, const struct names_op *op)
{
	struct name *a = name_at(pools, op->dir, op->name), *b = name_at(pools, op->to_dir, op->to_name);
	const struct undo_note *note = op->note;

	if (a && b)
		return pool_name_exchange(pools, a, b);
	if (a && is_gone(pools, op->to_dir))
		return undo_half(pools, op, a, note->file);
	if (b && is_gone(pools, op->dir))
		return undo_half(pools, op, b, note->other);
	return is_gone(pools, op->dir) && is_gone(pools, op->to_dir) ? 0 : -ENOENT;
}

/* ---- Attributes and sizes -------------------------------------------------------- */

static int undo_attributes(struct pool *pool, const struct undo_attributes *before)
{
	WRITE_SCOPE(&pool->lock);
	pool->mode = before->mode;
	pool->uid = before->uid;
	pool->gid = before->gid;
	pool->pool_mode = before->pool_mode;
	pool->atime = before->atime;
	pool->mtime = pool->durable_mtime = before->mtime;
	pool->ctime = pool->durable_ctime = before->ctime;
	return pool_inode_commit(pool);
}

/* The pages' extents are those of `before` again. Blocks that came in between are free. */
static int restore_map(struct pool *pool, const struct undo_resize *before)
{
	struct extmap now = { 0 };
	int error = pool_extmap_reserve(&pool->map, before->before.count + 1);

	if (!error)
		error = pool_extmap_remove(&pool->map, before->page, before->pages, &now);
	if (error)
		return error;
	pool->map_changed = true;
	pool_space_release_new(&pool->pools->space, &now, &before->before);
	pool_extmap_free(&now);
	for (uint32_t i = 0; i < before->before.count; i++) {
		const struct extent *extent = &before->before.items[i];

		pool_extmap_insert(&pool->map, extent->page, extent_pages(extent), extent->block,
				   extent_unwritten(extent));
	}
	return 0;
}

/* What a reader sees is the media's: the view has bytes of after the change. */
static void drop_view(struct pool *pool)
{
	const uint64_t all = POOL_PAGES_MAX;

	if (!pool->view)
		return;
	pool_discard_pages(pool, 0, all, pool_promised_pages(pool, 0, all));
	pool_drop_clean_view(pool);
}

static void restore_tail(struct pool *pool, const struct undo_resize *before)
{
	struct placement place = pool_find_pages(pool, before->tail_offset / PAGE_BYTES, 1);

	if (!before->tail || !place.placed)
		return;
	/* It lies past the end so far. Where the media do not take it, no read succeeds either. */
	(void)!media_write(pool->pools->region, place.media_offset + before->tail_offset % PAGE_BYTES,
			   before->tail, before->tail_length);
	media_fence(pool->pools->region);
}

static int undo_resize(struct pool *pool, struct undo_resize *before)
{
	int error;

	WRITE_SCOPE(&pool->lock);
	drop_view(pool);
	error = restore_map(pool, before);
	if (error)
		return error;
	/* Those of `removed` belong to the map again. */
	pool_extmap_free(&before->removed);
	restore_tail(pool, before);
	pool->size = pool->durable_size = before->size;
	pool->mtime = pool->durable_mtime = before->mtime;
	pool->ctime = pool->durable_ctime = before->ctime;
	return pool_inode_commit(pool);
}

/* Take back the one operation. 0 or a negative errno. */
static int apply(struct pools *pools, const struct names_op *op)
{
	struct undo_note *note = op->note;

	switch (op->kind) {
	case NAMES_CREATE:
	case NAMES_LINK:
		return undo_add(pools, op);
	case NAMES_UNLINK:
	case NAMES_RMDIR:
		return add_again(pools, note, op->dir, op->name, note->file);
	case NAMES_RENAME:
		return undo_rename(pools, op);
	case NAMES_EXCHANGE:
		return undo_exchange(pools, op);
	case NAMES_RESIZE:
		return undo_resize(note->file, &note->resize);
	case NAMES_SETATTR:
		return note->what == UNDO_XATTRS ? pool_xattrs_restore(note->file, &note->xattrs) :
						   undo_attributes(note->file, &note->attributes);
	case NAMES_TMPFILE:
	case NAMES_APPEND:
	case NAMES_BIND:
		break;
	}
	return 0;
}

/* ---- The choice ------------------------------------------------------------------ */

struct decision {
	struct pools *pools;
	const struct pools_outage *outage;
	int error;
};

/* "the directory's path/name"; "" if it has none or is too long. */
static void path_of(struct pools *pools, uint64_t directory, const char *name, char *path, size_t size)
{
	const struct pool *parent = file_at(pools, directory);
	size_t length;

	path[0] = '\0';
	if (!parent || pool_path_locked(parent, path, size) < 0)
		return;
	length = strcmp(path, "/") == 0 ? 0 : strlen(path);
	if (length + strlen(name) + 2 > size)
		path[0] = '\0';
	else
		snprintf(path + length, size - length, "/%s", name);
}

static const char *operation_name(const struct names_op *op)
{
	const char *call = names_op_call(op);

	if (call)
		return call;
	switch (op->kind) {
	case NAMES_RESIZE:
		return "resize";
	case NAMES_SETATTR:
		return "attributes";
	default:
		return "";
	}
}

/* Before it is taken back, when its names are those of the tree. */
static void report(const struct decision *decision, const struct names_op *op)
{
	const struct undo_note *note = op->note;
	struct pools *pools = decision->pools;
	struct pool_lost_operation *lost;

	if (!decision->outage->lost)
		return;
	lost = calloc(1, sizeof(*lost));
	if (!lost) {
		decision->outage->lost(decision->outage->context, NULL);
		return;
	}
	lost->operation = operation_name(op);
	if (op->name) {
		path_of(pools, op->dir, op->name, lost->path, sizeof(lost->path));
		lost->directory = file_at(pools, op->dir);
		lost->name = op->name;
	} else if (pool_path_locked(note->file, lost->path, sizeof(lost->path)) < 0) {
		lost->path[0] = '\0';
	}
	if (op->to_name) {
		path_of(pools, op->to_dir, op->to_name, lost->to_path, sizeof(lost->to_path));
		lost->to_directory = file_at(pools, op->to_dir);
		lost->to_name = op->to_name;
	}
	decision->outage->lost(decision->outage->context, lost);
	free(lost);
}

static void take_back(void *context, const struct names_op *op)
{
	struct decision *decision = context;
	struct undo_note *note = op->note;
	int error;

	if (!note)
		return;
	report(decision, op);
	error = apply(decision->pools, op);
	if (!error)
		return;
	decision->error = error;
	log_sink_print(&decision->pools->options.log,
		       "power failure: %s of file entry %u is not taken back: %s", operation_name(op),
		       note->file->index, strerror(-error));
}

/* Whether it survives or was taken back: it is pending no more. */
static void collect(void *context, const struct names_op *op, bool survives)
{
	(void)survives;
	pool_undo_note_settled(context, op);
}

/* The sizes that appends gave files and that cannot survive, since operations before them are lost. */
static void settle_appends(struct pools *pools)
{
	struct pool *pool;

	TAILQ_FOREACH(pool, &pools->active, active)
	pool->undo_size = names_size(pools->undo->model, (uint64_t)pool->index + 1);
}

int pools_undo_decide(struct pools *pools, enum metadata_mode mode, const struct chooser *chooser,
		      const struct pools_outage *outage)
{
	const struct chooser own = chooser_derive(chooser, PLACE_NAMES);
	struct decision decision = { .pools = pools, .outage = outage };
	struct undo *undo = pools->undo;
	int error;

	if (!undo)
		return 0;
	error = names_choose(undo->model, mode, &own);
	if (error)
		return error;
	settle_appends(pools);
	names_undo(undo->model, &decision, take_back);
	names_visit(undo->model, undo, collect);
	names_clear(undo->model);
	return decision.error;
}
