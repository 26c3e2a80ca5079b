/* SPDX-License-Identifier: BSD-3-Clause */

/* The events of the metadata model: what becomes pending, and what is committed. */

#include "model/names.h"

#include <errno.h>
#include <string.h>

#include "model/names_table.h"

static const char *const mode_names[] = {
	[METADATA_DURABLE] = "durable",
	[METADATA_ORDERED] = "ordered",
	[METADATA_STRICT] = "strict",
};
#define MODES (sizeof(mode_names) / sizeof(mode_names[0]))

const char *metadata_mode_name(enum metadata_mode mode)
{
	return (size_t)mode < MODES ? mode_names[mode] : "unknown";
}

const char *names_op_call(const struct names_op *op)
{
	switch (op->kind) {
	case NAMES_CREATE:
		return op->directory ? "mkdir" : "create";
	case NAMES_LINK:
		return "link";
	case NAMES_UNLINK:
		return "unlink";
	case NAMES_RMDIR:
		return "rmdir";
	case NAMES_RENAME:
		return "rename";
	case NAMES_EXCHANGE:
		return "exchange";
	case NAMES_TMPFILE:
	case NAMES_RESIZE:
	case NAMES_APPEND:
	case NAMES_SETATTR:
	case NAMES_BIND:
		break;
	}
	return NULL;
}

int metadata_mode_parse(const char *text, enum metadata_mode *mode)
{
	for (size_t i = 0; i < MODES; i++)
		if (strcmp(text, mode_names[i]) == 0) {
			*mode = (enum metadata_mode)i;
			return 0;
		}
	return -EINVAL;
}

int names_create(const struct names_options *options, struct names **out)
{
	struct names *names;

	if ((size_t)options->mode >= MODES)
		return -EINVAL;
	names = calloc(1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	names->options = *options;
	names->cells.seed = names->inodes.seed = options->hash_seed;
	slab_init(&names->pending_slab, sizeof(struct names_pending) +
		  sizeof(struct names_link) * (options->mode == METADATA_STRICT ? NAMES_LINKS_STRICT :
										   NAMES_LINKS_LOG));
	slab_init(&names->inode_slab, sizeof(struct names_inode));
	*out = names;
	return 0;
}

void names_destroy(struct names *names)
{
	if (!names)
		return;
	names_clear(names);
	vector_free(&names->table);
	keys_free(&names->cells);
	keys_free(&names->inodes);
	slab_destroy(&names->pending_slab);
	slab_destroy(&names->inode_slab);
	free(names);
}

/* ---- Commits ------------------------------------------------------------------- */

/* An operation that must be committed before this one; NULL if there is none. */
static struct names_pending *needed_first(const struct names *names, const struct names_pending *pending)
{
	struct names_pending *ordered = names->ordered.first;

	for (unsigned i = 0; i < pending->links; i++) {
		const struct names_link *link = &pending->link[i];

		if (link->need == NAMES_NEEDS_PREVIOUS && link->previous)
			return link->previous->pending;
		if (link->need == NAMES_NEEDS_ALL && link->list->first != link)
			return link->list->first->pending;
	}
	if (ordered && ordered != pending && names_is_own_ordered(names, pending) &&
	    ordered->position <= pending->position)
		return ordered;
	return NULL;
}

static void finish(struct names *names, struct names_pending *pending)
{
	if (names->options.commit)
		names->options.commit(names->options.context, &pending->op);
	names_drop(names, pending);
	names->chosen = false;
	if (names->log.count + names->appends.count)
		return;
	names->committed = names->log_end;
	names_free_idle(names);
}

/* Commit an operation and what rules 1 and 2, and the log of ordered operations, demand with it. */
static void commit_one(struct names *names, struct names_pending *pending)
{
	struct names_pending *top = pending;

	top->stack = NULL;
	while (top) {
		struct names_pending *first = needed_first(names, top);

		if (first) {
			first->stack = top;
			top = first;
		} else {
			first = top->stack;
			/* METADATA_ORDERED would have committed the log up to it. */
			if (top->mode != METADATA_DURABLE && top->position > names->committed)
				names->committed = top->position;
			finish(names, top);
			top = first;
		}
	}
}

/* METADATA_ORDERED guarantees the log up to a position. */
static void commit_log(struct names *names, uint64_t position)
{
	if (position > names->committed)
		names->committed = position;
	if (names->options.mode == METADATA_STRICT)
		return;
	while (names->log.first && names->log.first->position <= position)
		commit_one(names, names->log.first);
}

/* METADATA_STRICT: the log of ordered operations is guaranteed up to a position. */
static void commit_ordered(struct names *names, uint64_t position)
{
	while (names->ordered.first && names->ordered.first->position <= position)
		commit_one(names, names->ordered.first);
}

static void commit_list(struct names *names, struct names_list *list)
{
	while (list->first)
		commit_one(names, list->first->pending);
}

/* The operations on names in the directory; a removal of the directory itself is no such. */
static void commit_entries(struct names *names, struct names_inode *directory)
{
	struct names_link *link = directory->entries.first;

	while (link && link->need != NAMES_NEEDS_ALL) {
		commit_one(names, link->pending);
		link = directory->entries.first;
	}
}

static void sync_inode(struct names *names, uint64_t number, bool data_only, bool directory)
{
	struct names_inode *inode = names_find_inode(names, number);
	const bool data = data_only && !directory;

	if (!inode)
		return;
	names_ref_inode(names, inode);
	commit_log(names, data ? inode->last_data : inode->last);
	commit_ordered(names, data ? inode->own_last_data : inode->own_last);
	commit_list(names, &inode->size);
	if (names->options.mode == METADATA_STRICT) {
		commit_entries(names, inode);
		if (!data_only)
			commit_list(names, &inode->attributes);
	}
	names_unref_inode(names, inode);
}

void names_fsync(struct names *names, uint64_t inode)
{
	sync_inode(names, inode, false, false);
}

void names_fdatasync(struct names *names, uint64_t inode, bool directory)
{
	sync_inode(names, inode, true, directory);
}

static struct names_pending *find_id(const struct names_queue *queue, uint64_t id)
{
	struct names_pending *pending = queue->last;

	while (pending && pending->op.id > id)
		pending = pending->before;
	return pending && pending->op.id == id ? pending : NULL;
}

void names_commit(struct names *names, uint64_t id)
{
	struct names_pending *in_log = find_id(&names->log, id), *append = find_id(&names->appends, id);
	struct names_pending *pending = in_log ? in_log : append;

	if (!pending)
		return;
	/* An operation in the log is committed by the first step, unless the mode is METADATA_STRICT. */
	if (names->options.mode != METADATA_STRICT)
		commit_log(names, pending->position);
	if (append || names->options.mode == METADATA_STRICT)
		commit_one(names, pending);
}

void names_commit_through(struct names *names, uint64_t id)
{
	while (names->log.first && names->log.first->op.id <= id) {
		const uint64_t position = names->log.first->position;

		if (names->options.mode == METADATA_STRICT)
			commit_one(names, names->log.first);
		commit_log(names, position);
	}
}

void names_commit_all(struct names *names)
{
	commit_log(names, names->log_end);
	while (names->log.first)
		commit_one(names, names->log.first);
	while (names->appends.first)
		commit_one(names, names->appends.first);
}

void names_clear(struct names *names)
{
	struct keys_node *node;
	size_t bucket = 0;

	while (names->log.first)
		names_drop(names, names->log.first);
	while (names->appends.first)
		names_drop(names, names->appends.first);
	names->committed = names->log_end;
	names->chosen = false;
	names_free_idle(names);
	/* What is left are truncated files, which nobody has open any more. */
	while ((node = keys_take_any(&names->inodes, &bucket)))
		slab_give(&names->inode_slab, node);
}

size_t names_pending(const struct names *names)
{
	return names->log.count + names->appends.count;
}

/* ---- Operations ------------------------------------------------------------------ */

static bool name_valid(uint64_t dir, const char *name)
{
	return dir && name && *name;
}

static bool op_valid(const struct names *names, const struct names_op *op)
{
	if (!op->inode || op->id <= names->newest_id)
		return false;
	if (op->has_mode && ((size_t)op->mode >= MODES || names->options.mode != METADATA_STRICT))
		return false;
	switch (op->kind) {
	case NAMES_CREATE:
	case NAMES_LINK:
	case NAMES_UNLINK:
		return name_valid(op->dir, op->name);
	case NAMES_RMDIR:
		return name_valid(op->dir, op->name) && op->inode != op->dir;
	case NAMES_EXCHANGE:
		return name_valid(op->dir, op->name) && name_valid(op->to_dir, op->to_name) && op->other;
	case NAMES_RENAME:
		return name_valid(op->dir, op->name) && name_valid(op->to_dir, op->to_name) &&
		       op->other != op->dir && op->other != op->to_dir;
	case NAMES_TMPFILE:
	case NAMES_RESIZE:
	case NAMES_APPEND:
	case NAMES_SETATTR:
		return true;
	case NAMES_BIND:
		break;
	}
	return false;
}

/* It is in the log now: is it committed at once? */
static void enter_log(struct names *names, struct names_pending *pending)
{
	names_enter(names, pending);
	names->chosen = false;
	if (names->options.mode == METADATA_DURABLE && !pending->append)
		commit_log(names, pending->position);
	else if (names->options.mode == METADATA_STRICT && !pending->links)
		/* It touched no cell, so that nothing of it can be lost. */
		finish(names, pending);
	else if (pending->mode == METADATA_DURABLE && !pending->append)
		commit_one(names, pending);
}

/* Of the appends since the last operation on the file's size, the newest one stands for all. */
static bool replace_append(struct names *names, const struct names_op *op)
{
	struct names_inode *inode = names_find_inode(names, op->inode);
	struct names_pending *pending;

	if (!inode || !inode->size.last || !inode->size.last->pending->append)
		return false;
	pending = inode->size.last->pending;
	pending->op = *op;
	pending->mode = names->options.mode;
	if (op->has_mode)
		pending->mode = metadata_mode_stronger(op->mode, names->options.mode);
	pending->order = ++names->order;
	pending->position = names->log_end;
	names_note_inodes(names, pending);
	names_queue_remove(&names->appends, pending);
	names_queue_add(&names->appends, pending);
	names->newest_id = op->id;
	names->chosen = false;
	return true;
}

/* auto_da_alloc: are there appends that have to be bound? */
static bool has_free_appends(const struct names *names, uint64_t number)
{
	const struct names_inode *inode = names_find_inode(names, number);

	return names->options.auto_da_alloc && inode && inode->size.last && inode->size.last->pending->append;
}

/* The operation after a NAMES_BIND that has its id. */
static int add_bound(struct names *names, const struct names_op *op)
{
	const struct names_op bind = { .kind = NAMES_BIND, .id = op->id, .inode = op->inode,
				       .has_mode = op->has_mode, .mode = op->mode };
	struct names_pending *first = names_prepare(names, &bind);
	struct names_pending *second = names_prepare(names, op);

	if (first && second) {
		enter_log(names, first);
		enter_log(names, second);
		return 0;
	}
	if (first)
		names_release(names, first);
	if (second)
		names_release(names, second);
	return -ENOMEM;
}

/* ext4_truncate(): remembered until the close, also if the truncation is committed in the meantime. */
static void note_truncated(struct names *names, struct names_inode *inode)
{
	if (inode->truncated)
		return;
	inode->truncated = true;
	names_ref_inode(names, inode);
}

int names_add(struct names *names, const struct names_op *op)
{
	struct names_pending *pending;

	if (!op_valid(names, op))
		return -EINVAL;
	if (op->kind == NAMES_APPEND && names->options.newest_size_only && replace_append(names, op))
		return 0;
	if (op->kind == NAMES_RENAME && op->other && has_free_appends(names, op->inode))
		return add_bound(names, op);
	pending = names_prepare(names, op);
	if (!pending)
		return -ENOMEM;
	if (names->options.auto_da_alloc && op->kind == NAMES_RESIZE && !op->size)
		note_truncated(names, pending->inodes[0]);
	enter_log(names, pending);
	return 0;
}

int names_close(struct names *names, uint64_t number, uint64_t id, enum metadata_mode mode, bool last)
{
	const struct names_op bind = { .kind = NAMES_BIND, .id = id, .inode = number,
				       .has_mode = names->options.mode == METADATA_STRICT, .mode = mode };
	struct names_inode *inode = names_find_inode(names, number);

	if (id <= names->newest_id)
		return -EINVAL;
	if (!inode || !inode->truncated)
		return 0;
	if (has_free_appends(names, number)) {
		struct names_pending *pending = names_prepare(names, &bind);

		if (!pending)
			return -ENOMEM;
		enter_log(names, pending);
	}
	if (!last)
		return 0;
	inode->truncated = false;
	names_unref_inode(names, inode);
	return 0;
}

int names_overwrite(struct names *names, uint64_t number, enum metadata_mode mode)
{
	const bool own = names->options.mode == METADATA_STRICT && mode == METADATA_ORDERED;
	struct names_inode *inode;

	if (names->options.mode == METADATA_STRICT && mode == METADATA_DURABLE)
		return 0;
	/* There is nothing that its sync would commit. */
	if (names->log_end <= names->committed && (!own || !names->ordered.first))
		return 0;
	inode = names_get_inode(names, number);
	if (!inode)
		return -ENOMEM;
	inode->last = names->log_end;
	if (own)
		inode->own_last = names->log_end;
	return 0;
}
