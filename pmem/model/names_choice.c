/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Which pending operations survive. An operation is *forced* if the mode of the
 * choice guarantees it; that can only be if the model's own mode is weaker, else
 * it would have been committed. What a forced operation needs is forced as well.
 */

#include "model/names.h"

#include <errno.h>

#include "model/names_table.h"

int names_build_table(struct names *names)
{
	struct names_pending *log = names->log.first, *append = names->appends.first;

	names->table.count = 0;
	if (vector_reserve(&names->table, names_pending(names)) != 0)
		return -ENOMEM;
	while (log || append) {
		const bool log_first = !append || (log && log->order < append->order);
		struct names_pending **next = log_first ? &log : &append;

		(*next)->index = names->table.count;
		names->table.items[names->table.count++] = *next;
		*next = (*next)->after;
	}
	return 0;
}

/* Force an operation and those before it on its cells; the caller's rule forces what else it needs. */
static void force(struct names_pending *pending)
{
	pending->forced = true;
	for (unsigned i = 0; i < pending->links; i++) {
		struct names_link *link = pending->link[i].previous;

		if (pending->link[i].need != NAMES_NEEDS_PREVIOUS)
			continue;
		for (; link && !link->pending->forced; link = link->previous)
			link->pending->forced = true;
	}
}

/* Start a choice: nothing survives but what is forced. */
static int begin(struct names *names, enum metadata_mode mode)
{
	int error;

	names->chosen = false;
	if (mode > names->options.mode)
		return -EINVAL;
	error = names_build_table(names);
	if (error)
		return error;
	for (size_t i = 0; i < names->table.count; i++)
		names->table.items[i]->forced = false;
	for (size_t i = 0; i < names->table.count; i++) {
		struct names_pending *pending = names->table.items[i];

		if (pending->append || mode == METADATA_STRICT)
			continue;
		if (mode == METADATA_DURABLE || pending->position <= names->committed)
			force(pending);
	}
	for (size_t i = 0; i < names->table.count; i++)
		names->table.items[i]->survives = names->table.items[i]->forced;
	names->chosen = true;
	names->chosen_mode = mode;
	return 0;
}

/* Rules 1 and 2. */
static bool needs_survive(const struct names_pending *pending)
{
	for (unsigned i = 0; i < pending->links; i++) {
		const struct names_link *link = &pending->link[i], *before = link->previous;

		if (link->need == NAMES_NEEDS_NONE)
			continue;
		for (; before; before = link->need == NAMES_NEEDS_ALL ? before->previous : NULL)
			if (!before->pending->survives)
				return false;
	}
	return true;
}

/* Does it survive only with the log before it? */
static bool in_order(const struct names *names, const struct names_pending *pending)
{
	return metadata_mode_stronger(pending->mode, names->chosen_mode) == METADATA_ORDERED;
}

/* A lost operation after which METADATA_ORDERED lets none survive. */
static bool cuts_log(const struct names *names, const struct names_pending *pending)
{
	return !pending->survives && !pending->append && in_order(names, pending);
}

/* The index of the oldest such operation. */
static size_t log_cut(const struct names *names)
{
	if (names->chosen_mode == METADATA_STRICT && !names->ordered.first)
		return SIZE_MAX;
	for (const struct names_pending *pending = names->log.first; pending; pending = pending->after)
		if (cuts_log(names, pending))
			return pending->index;
	return SIZE_MAX;
}

static bool can_survive(const struct names *names, const struct names_pending *pending, size_t cut)
{
	return (pending->index <= cut || !in_order(names, pending)) && needs_survive(pending);
}

/* ---- All choices, one after another -------------------------------------------- */

int names_first(struct names *names, enum metadata_mode mode)
{
	const int error = begin(names, mode);

	names->cut = log_cut(names);
	return error;
}

int names_next(struct names *names, enum metadata_mode mode)
{
	const size_t cut = log_cut(names);

	if (!names->chosen || names->chosen_mode != mode)
		return -EINVAL;
	for (size_t i = names->table.count; i-- > 0;) {
		struct names_pending *pending = names->table.items[i];

		if (pending->survives || !can_survive(names, pending, cut))
			continue;
		pending->survives = true;
		for (size_t later = i + 1; later < names->table.count; later++)
			names->table.items[later]->survives = names->table.items[later]->forced;
		names->cut = log_cut(names);
		return 1;
	}
	return 0;
}

int names_set(struct names *names, enum metadata_mode mode, const uint64_t *ids, size_t count)
{
	size_t next = 0, cut = SIZE_MAX;
	int error = begin(names, mode);

	if (error)
		return error;
	names->chosen = false;
	for (size_t i = 0; i < names->table.count; i++) {
		struct names_pending *pending = names->table.items[i];
		const bool listed = next < count && ids[next] == pending->op.id;
		const bool legal = can_survive(names, pending, cut);

		if (pending->op.kind == NAMES_BIND &&
		    metadata_mode_stronger(pending->mode, mode) == METADATA_STRICT) {
			/* It is not of this mode: it survives where it hinders nothing. */
			pending->survives = legal;
		} else {
			const bool implied = pending->op.kind == NAMES_BIND && pending->forced;

			if (listed ? !legal : pending->forced && !implied)
				return 0;
			pending->survives = listed || implied;
		}
		if (cut == SIZE_MAX && cuts_log(names, pending))
			cut = pending->index;
		/* A NAMES_BIND may have an id of its own, or that of the operation after it. */
		if (listed && (i + 1 == names->table.count || names->table.items[i + 1]->op.id != ids[next]))
			next++;
	}
	if (next != count)
		return 0;
	names->chosen = true;
	names->cut = log_cut(names);
	return 1;
}

int names_choose_wanted(struct names *names, enum metadata_mode mode, void *context,
			bool (*wanted)(void *context, const struct names_op *op))
{
	const int error = begin(names, mode);
	size_t cut = SIZE_MAX;

	if (error)
		return error;
	for (size_t i = 0; i < names->table.count; i++) {
		struct names_pending *pending = names->table.items[i];
		const bool is_wanted = wanted(context, &pending->op);

		pending->survives = pending->forced || (is_wanted && can_survive(names, pending, cut));
		if (cut == SIZE_MAX && cuts_log(names, pending))
			cut = i;
	}
	names->cut = log_cut(names);
	return 0;
}

/* ---- As a chooser says ------------------------------------------------------------ */

/*
 * How many operations on the pending one's cells there are from it on, for the
 * cell with the most. Called once for each operation of the table, in order: lists
 * count how far that has come.
 */
static size_t count_remaining(struct names_pending *pending)
{
	size_t most = 1;

	for (unsigned i = 0; i < pending->links; i++) {
		struct names_list *list = pending->link[i].list;
		const size_t remaining = list->count - list->visited++;

		if (pending->link[i].need == NAMES_NEEDS_PREVIOUS && remaining > most)
			most = remaining;
		if (list->visited == list->count)
			list->visited = 0;
	}
	return most;
}

/*
 * Where an operation can survive it does with a probability of n/(n+1), n of them
 * being left on its cell. So each prefix of the operations on one cell is as
 * likely as any other.
 */
static void choose_each(struct names *names, const struct chooser *chooser, bool log_is_chosen)
{
	size_t cut = SIZE_MAX;

	for (size_t i = 0; i < names->table.count; i++) {
		struct names_pending *pending = names->table.items[i];
		const size_t remaining = count_remaining(pending);

		if (!pending->forced && (pending->append || !log_is_chosen || !in_order(names, pending)))
			pending->survives = can_survive(names, pending, cut) &&
					    chooser_pick(chooser, pending->op.id, 0, remaining) != 0;
		if (cut == SIZE_MAX && cuts_log(names, pending))
			cut = i;
	}
}

/* The place at which the length of the log is chosen; no operation has this id. */
#define PLACE_OF_CUT 0

/* Force what forced operations need. All of that is older. */
static void force_needs(struct names *names)
{
	for (size_t i = names->table.count; i-- > 0;) {
		struct names_pending *pending = names->table.items[i];

		for (unsigned at = 0; pending->forced && at < pending->links; at++) {
			const struct names_link *link = &pending->link[at], *before = link->previous;

			if (link->need == NAMES_NEEDS_NONE)
				continue;
			for (; before; before = link->need == NAMES_NEEDS_ALL ? before->previous : NULL)
				before->pending->forced = true;
		}
	}
}

/* A prefix of the log, and what its operations need. */
static void choose_prefix(struct names *names, const struct chooser *chooser)
{
	struct names_pending *pending = names->log.first;
	uint64_t left, count = 0;

	for (; pending; pending = pending->after)
		count += !pending->forced && in_order(names, pending);
	left = chooser_pick(chooser, PLACE_OF_CUT, 0, count);
	for (pending = names->log.first; pending; pending = pending->after) {
		if (pending->forced || !in_order(names, pending))
			continue;
		if (!left--)
			break;
		force(pending);
	}
	/* Here the log is not all that they can need. */
	if (names->chosen_mode == METADATA_STRICT)
		force_needs(names);
	for (size_t i = 0; i < names->table.count; i++)
		names->table.items[i]->survives = names->table.items[i]->forced;
}

int names_choose(struct names *names, enum metadata_mode mode, const struct chooser *chooser)
{
	const int error = begin(names, mode);

	if (error)
		return error;
	switch (chooser->policy) {
	case CHOOSER_LOSE:
		if (chooser->limit)
			choose_each(names, chooser, false);
		break;
	case CHOOSER_KEEP:
		for (size_t i = 0; i < names->table.count; i++)
			names->table.items[i]->survives = true;
		break;
	case CHOOSER_RANDOM:
		if (mode != METADATA_STRICT || names->ordered.first)
			choose_prefix(names, chooser);
		choose_each(names, chooser, true);
		break;
	}
	names->cut = log_cut(names);
	return 0;
}

/* ---- The choice ------------------------------------------------------------------- */

void names_visit(const struct names *names, void *context,
		 void (*visit)(void *context, const struct names_op *op, bool survives))
{
	for (size_t i = 0; names->chosen && i < names->table.count; i++)
		visit(context, &names->table.items[i]->op, names->table.items[i]->survives);
}

void names_undo(const struct names *names, void *context,
		void (*undo)(void *context, const struct names_op *op))
{
	for (size_t i = names->chosen ? names->table.count : 0; i-- > 0;) {
		const struct names_pending *pending = names->table.items[i];

		if (!pending->survives && !pending->append && pending->op.kind != NAMES_BIND)
			undo(context, &pending->op);
	}
}

enum names_size names_size(const struct names *names, uint64_t number)
{
	const struct names_inode *inode = names_find_inode(names, number);
	const struct names_pending *last = inode && inode->size.last ? inode->size.last->pending : NULL;
	const struct names_link *link;

	if (!names->chosen || !last || last->forced)
		return NAMES_SIZE_NEWEST;
	if (!last->append)
		return last->survives ? NAMES_SIZE_NEWEST : NAMES_SIZE_OLDEST;
	/* Has what all of the file's appends since its last resize need survived? */
	for (link = inode->size.last; link && link->pending->append; link = link->previous)
		;
	if ((last->index > names->cut && in_order(names, last)) || (link && !link->pending->survives))
		return NAMES_SIZE_OLDEST;
	return NAMES_SIZE_ANY;
}
