/* SPDX-License-Identifier: BSD-3-Clause */

/* Groups of pending operations of which at most a prefix survives. */

#include "model/names.h"

#include <errno.h>

#include "common/cleanup.h"
#include "model/names_table.h"

#define NO_GROUP SIZE_MAX

/* Arrays by the index of a pending operation. */
struct grouping {
	size_t *parent; /* of a forest: operations with the same root are connected by what they need */
	size_t *last;	/* of a root: the newest operation of its tree that was looked at */
	bool *is_chain; /* of a root: each operation of its tree needs the one before */
	size_t *group;	/* of a root of a chain: its group */
};

static size_t root_of(const struct grouping *grouping, size_t index)
{
	while (grouping->parent[index] != index) {
		grouping->parent[index] = grouping->parent[grouping->parent[index]];
		index = grouping->parent[index];
	}
	return index;
}

/* The older root stays one. */
static void connect(const struct grouping *grouping, size_t one, size_t other)
{
	const size_t first = root_of(grouping, one), second = root_of(grouping, other);

	if (first < second)
		grouping->parent[second] = first;
	else
		grouping->parent[first] = second;
}

/* Calls back for each operation that this one needs directly, until that returns true. */
static bool for_each_need(const struct names_pending *pending,
			  bool (*found)(const struct names_pending *needed, void *context), void *context)
{
	for (unsigned i = 0; i < pending->links; i++) {
		const struct names_link *link = &pending->link[i], *before = link->previous;

		if (link->need == NAMES_NEEDS_NONE)
			continue;
		for (; before; before = link->need == NAMES_NEEDS_ALL ? before->previous : NULL)
			if (found(before->pending, context))
				return true;
	}
	return false;
}

struct connection {
	const struct grouping *grouping;
	size_t index;
};

static bool connect_need(const struct names_pending *needed, void *context)
{
	const struct connection *connection = context;

	connect(connection->grouping, connection->index, needed->index);
	return false;
}

static bool is_need(const struct names_pending *needed, void *context)
{
	return needed->index == *(const size_t *)context;
}

/* The log is one group by its order; appends are connected by their file's size. */
static void connect_all(const struct names *names, const struct grouping *grouping)
{
	const bool strict = names->options.mode == METADATA_STRICT;
	size_t log = NO_GROUP;

	for (size_t i = 0; i < names->table.count; i++) {
		struct connection connection = { .grouping = grouping, .index = i };
		const struct names_pending *pending = names->table.items[i];

		if (strict) {
			for_each_need(pending, connect_need, &connection);
			if (pending->append || !names_is_own_ordered(names, pending))
				continue;
			if (log != NO_GROUP)
				connect(grouping, log, i);
			log = log == NO_GROUP ? i : log;
		} else if (!pending->append) {
			if (log != NO_GROUP)
				connect(grouping, log, i);
			log = log == NO_GROUP ? i : log;
		} else {
			const struct names_link *link = pending->link[0].previous;

			while (link && !link->pending->append)
				link = link->previous;
			if (link)
				connect(grouping, link->pending->index, i);
		}
	}
}

/* Does the log of ordered operations say that one needs the other? */
static bool both_ordered(const struct names *names, size_t one, size_t other)
{
	const struct names_pending *first = names->table.items[one], *second = names->table.items[other];

	return !first->append && !second->append && names_is_own_ordered(names, first) &&
	       names_is_own_ordered(names, second);
}

static void find_chains(const struct names *names, const struct grouping *grouping)
{
	for (size_t i = 0; i < names->table.count; i++) {
		const size_t root = root_of(grouping, i);
		size_t last = grouping->last[root];

		/* In the other modes connected operations are a chain by the order of the log. */
		if (i != root && names->options.mode == METADATA_STRICT &&
		    !both_ordered(names, i, last) &&
		    !for_each_need(names->table.items[i], is_need, &last))
			grouping->is_chain[root] = false;
		grouping->last[root] = i;
	}
}

static int visit_all(const struct names *names, const struct grouping *grouping, void *context,
		     int (*visit)(void *context, const struct names_op *op, size_t group))
{
	size_t groups = 0;
	int result = 0;

	for (size_t i = 0; !result && i < names->table.count; i++) {
		const size_t root = root_of(grouping, i);
		size_t group = grouping->is_chain[root] ? grouping->group[root] : NO_GROUP;

		if (group == NO_GROUP)
			group = grouping->group[root] = groups++;
		result = visit(context, &names->table.items[i]->op, group);
	}
	return result;
}

int names_groups(struct names *names, void *context,
		 int (*visit)(void *context, const struct names_op *op, size_t group))
{
	const int error = names_build_table(names);
	const size_t count = names->table.count;
	CLEANUP_FREE size_t *parent = calloc(count + 1, sizeof(*parent));
	CLEANUP_FREE size_t *last = calloc(count + 1, sizeof(*last));
	CLEANUP_FREE size_t *group = calloc(count + 1, sizeof(*group));
	CLEANUP_FREE bool *is_chain = calloc(count + 1, sizeof(*is_chain));
	const struct grouping grouping = { parent, last, is_chain, group };

	names->chosen = false;
	if (error || !parent || !last || !group || !is_chain)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		parent[i] = last[i] = i;
		group[i] = NO_GROUP;
		is_chain[i] = true;
	}
	connect_all(names, &grouping);
	find_chains(names, &grouping);
	return visit_all(names, &grouping, context, visit);
}
