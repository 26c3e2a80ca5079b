/* SPDX-License-Identifier: BSD-3-Clause */
#include "model/names_table.h"

#include <errno.h>

/* ---- Inodes -------------------------------------------------------------------- */

struct names_inode *names_find_inode(const struct names *names, uint64_t inode)
{
	return (struct names_inode *)keys_find(&names->inodes, inode, "");
}

static void make_idle(struct names *names, struct names_inode *inode)
{
	inode->before = NULL;
	inode->after = names->idle;
	if (names->idle)
		names->idle->before = inode;
	names->idle = inode;
}

static void free_inode(struct names *names, struct names_inode *inode)
{
	if (inode->before)
		inode->before->after = inode->after;
	else
		names->idle = inode->after;
	if (inode->after)
		inode->after->before = inode->before;
	keys_remove(&names->inodes, &inode->key);
	slab_give(&names->inode_slab, inode);
}

struct names_inode *names_get_inode(struct names *names, uint64_t number)
{
	struct names_inode *inode = names_find_inode(names, number);

	if (inode)
		return inode;
	if (!keys_reserve(&names->inodes))
		return NULL;
	inode = slab_take(&names->inode_slab);
	if (!inode)
		return NULL;
	memset(inode, 0, sizeof(*inode));
	keys_add(&names->inodes, &inode->key, number, "");
	make_idle(names, inode);
	return inode;
}

void names_ref_inode(struct names *names, struct names_inode *inode)
{
	if (inode->refs++)
		return;
	if (inode->before)
		inode->before->after = inode->after;
	else
		names->idle = inode->after;
	if (inode->after)
		inode->after->before = inode->before;
	inode->before = inode->after = NULL;
}

void names_unref_inode(struct names *names, struct names_inode *inode)
{
	if (--inode->refs)
		return;
	make_idle(names, inode);
	if (inode->last <= names->committed &&
	    (!names->ordered.first || inode->own_last < names->ordered.first->position))
		free_inode(names, inode);
}

void names_free_idle(struct names *names)
{
	while (names->idle)
		free_inode(names, names->idle);
}

/* ---- Names --------------------------------------------------------------------- */

static struct names_cell *get_cell(struct names *names, uint64_t dir, const char *name)
{
	struct names_cell *cell = (struct names_cell *)keys_find(&names->cells, dir, name);
	const size_t size = strlen(name) + 1;

	if (cell) {
		cell->refs++;
		return cell;
	}
	if (!keys_reserve(&names->cells))
		return NULL;
	cell = calloc(1, sizeof(*cell) + size);
	if (!cell)
		return NULL;
	memcpy(cell->name, name, size);
	cell->refs = 1;
	keys_add(&names->cells, &cell->key, dir, cell->name);
	return cell;
}

static void put_cell(struct names *names, struct names_cell *cell)
{
	if (--cell->refs)
		return;
	keys_remove(&names->cells, &cell->key);
	free(cell);
}

/* ---- Lists --------------------------------------------------------------------- */

static void link_add(struct names_pending *pending, struct names_list *list, enum names_need need)
{
	struct names_link *link = &pending->link[pending->links++];

	*link = (struct names_link){
		.previous = list->last,
		.list = list,
		.pending = pending,
		.need = need,
	};
	*(list->last ? &list->last->next : &list->first) = link;
	list->last = link;
	list->count++;
}

static void link_remove(struct names_link *link)
{
	struct names_list *list = link->list;

	*(link->previous ? &link->previous->next : &list->first) = link->next;
	*(link->next ? &link->next->previous : &list->last) = link->previous;
	list->count--;
}

void names_queue_add(struct names_queue *queue, struct names_pending *pending)
{
	pending->before = queue->last;
	pending->after = NULL;
	*(queue->last ? &queue->last->after : &queue->first) = pending;
	queue->last = pending;
	queue->count++;
}

void names_queue_remove(struct names_queue *queue, struct names_pending *pending)
{
	*(pending->before ? &pending->before->after : &queue->first) = pending->after;
	*(pending->after ? &pending->after->before : &queue->last) = pending->before;
	queue->count--;
}

static void ordered_add(struct names_queue *queue, struct names_pending *pending)
{
	pending->ordered_before = queue->last;
	pending->ordered_after = NULL;
	*(queue->last ? &queue->last->ordered_after : &queue->first) = pending;
	queue->last = pending;
	queue->count++;
}

static void ordered_remove(struct names_queue *queue, struct names_pending *pending)
{
	*(pending->ordered_before ? &pending->ordered_before->ordered_after : &queue->first) =
		pending->ordered_after;
	*(pending->ordered_after ? &pending->ordered_after->ordered_before : &queue->last) =
		pending->ordered_before;
	queue->count--;
}

/* ---- Operations ------------------------------------------------------------------ */

static bool has_name(enum names_kind kind)
{
	switch (kind) {
	case NAMES_CREATE:
	case NAMES_LINK:
	case NAMES_UNLINK:
	case NAMES_RMDIR:
	case NAMES_RENAME:
	case NAMES_EXCHANGE:
		return true;
	case NAMES_TMPFILE:
	case NAMES_RESIZE:
	case NAMES_APPEND:
	case NAMES_SETATTR:
	case NAMES_BIND:
		break;
	}
	return false;
}

static bool has_two_names(enum names_kind kind)
{
	return kind == NAMES_RENAME || kind == NAMES_EXCHANGE;
}

static int take_inode(struct names *names, struct names_inode **slot, uint64_t number)
{
	struct names_inode *inode = names_get_inode(names, number);

	if (!inode)
		return -ENOMEM;
	names_ref_inode(names, inode);
	*slot = inode;
	return 0;
}

/* The model's copy of the name; NULL without memory. */
static const char *keep_name(struct names *names, struct names_pending *pending, unsigned which, uint64_t dir,
			     const char *name)
{
	if (names->options.mode != METADATA_STRICT)
		return pending->names[which] = strdup(name);
	pending->cells[which] = get_cell(names, dir, name);
	return pending->cells[which] ? pending->cells[which]->name : NULL;
}

static int take_name(struct names *names, struct names_pending *pending, unsigned which, uint64_t dir,
		     const char *name)
{
	const char *kept = keep_name(names, pending, which, dir, name);

	if (!kept)
		return -ENOMEM;
	*(which ? &pending->op.to_name : &pending->op.name) = kept;
	return take_inode(names, &pending->inodes[1 + which], dir);
}

struct names_pending *names_prepare(struct names *names, const struct names_op *op)
{
	struct names_pending *pending = slab_take(&names->pending_slab);
	int error;

	if (!pending)
		return NULL;
	*pending = (struct names_pending){ .op = *op, .mode = names->options.mode };
	if (op->has_mode)
		pending->mode = metadata_mode_stronger(op->mode, names->options.mode);
	pending->op.name = pending->op.to_name = NULL;
	error = take_inode(names, &pending->inodes[0], op->inode);
	if (!error && has_name(op->kind))
		error = take_name(names, pending, 0, op->dir, op->name);
	if (!error && has_two_names(op->kind))
		error = take_name(names, pending, 1, op->to_dir, op->to_name);
	if (!error && has_two_names(op->kind) && op->other)
		error = take_inode(names, &pending->inodes[3], op->other);
	if (!error)
		return pending;
	names_release(names, pending);
	return NULL;
}

void names_release(struct names *names, struct names_pending *pending)
{
	for (unsigned i = 0; i < 2; i++)
		if (names->options.mode != METADATA_STRICT)
			free(pending->names[i]);
		else if (pending->cells[i])
			put_cell(names, pending->cells[i]);
	for (unsigned i = 0; i < NAMES_MOST_INODES; i++)
		if (pending->inodes[i])
			names_unref_inode(names, pending->inodes[i]);
	slab_give(&names->pending_slab, pending);
}

static void link_cells(struct names_pending *pending)
{
	struct names_inode *dir = pending->inodes[1], *to_dir = pending->inodes[2];
	struct names_inode *emptied = NULL;

	if (pending->op.kind == NAMES_SETATTR)
		link_add(pending, &pending->inodes[0]->attributes, NAMES_NEEDS_PREVIOUS);
	if (!dir)
		return;
	link_add(pending, &pending->cells[0]->list, NAMES_NEEDS_PREVIOUS);
	link_add(pending, &dir->entries, NAMES_NEEDS_NONE);
	if (to_dir && pending->cells[1] != pending->cells[0])
		link_add(pending, &pending->cells[1]->list, NAMES_NEEDS_PREVIOUS);
	if (to_dir && to_dir != dir)
		link_add(pending, &to_dir->entries, NAMES_NEEDS_NONE);
	if (pending->op.kind == NAMES_RMDIR)
		emptied = pending->inodes[0];
	if (pending->op.kind == NAMES_RENAME)
		emptied = pending->inodes[3];
	if (emptied)
		link_add(pending, &emptied->entries, NAMES_NEEDS_ALL);
}

/* What an fdatasync of a regular file waits for; see names.h. */
static bool concerns_data(enum names_kind kind)
{
	switch (kind) {
	case NAMES_CREATE:
	case NAMES_TMPFILE:
	case NAMES_RESIZE:
	case NAMES_APPEND:
	case NAMES_BIND:
		return true;
	case NAMES_LINK:
	case NAMES_UNLINK:
	case NAMES_RMDIR:
	case NAMES_RENAME:
	case NAMES_EXCHANGE:
	case NAMES_SETATTR:
		break;
	}
	return false;
}

void names_note_inodes(const struct names *names, const struct names_pending *pending)
{
	const bool own = names_is_own_ordered(names, pending);

	/* Among others an operation that is durable at once is in no log. */
	if (names->options.mode == METADATA_STRICT && pending->mode == METADATA_DURABLE)
		return;
	for (unsigned i = 0; i < NAMES_MOST_INODES; i++) {
		if (!pending->inodes[i])
			continue;
		pending->inodes[i]->last = pending->position;
		if (own)
			pending->inodes[i]->own_last = pending->position;
	}
	if (!concerns_data(pending->op.kind))
		return;
	pending->inodes[0]->last_data = pending->position;
	if (own)
		pending->inodes[0]->own_last_data = pending->position;
}

void names_enter(struct names *names, struct names_pending *pending)
{
	const enum names_kind kind = pending->op.kind;

	pending->append = kind == NAMES_APPEND;
	pending->order = ++names->order;
	pending->position = pending->append ? names->log_end : ++names->log_end;
	names->newest_id = pending->op.id;
	names_note_inodes(names, pending);
	if (kind == NAMES_RESIZE || kind == NAMES_APPEND || kind == NAMES_BIND)
		link_add(pending, &pending->inodes[0]->size, NAMES_NEEDS_PREVIOUS);
	else if (names->options.mode == METADATA_STRICT)
		link_cells(pending);
	names_queue_add(pending->append ? &names->appends : &names->log, pending);
	if (!pending->append && names_is_own_ordered(names, pending))
		ordered_add(&names->ordered, pending);
}

void names_drop(struct names *names, struct names_pending *pending)
{
	for (unsigned i = 0; i < pending->links; i++)
		link_remove(&pending->link[i]);
	names_queue_remove(pending->append ? &names->appends : &names->log, pending);
	if (!pending->append && names_is_own_ordered(names, pending))
		ordered_remove(&names->ordered, pending);
	names_release(names, pending);
}
