/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/evidence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "explore/operation_text.h"

void explore_evidence_clear(struct explore_evidence_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].path);
		free(list->items[i].operation);
	}
	vector_free(list);
}

static int add_store(struct explore_evidence_list *list, const struct explore_place *place, uint64_t event,
		     uint64_t bytes, bool lost)
{
	struct explore_evidence one = {
		.lost = lost,
		.event = event,
		.path = strdup(place->file->path),
		.file = place->file,
		.offset = align_down(place->address, LINE_SIZE) - place->file->address,
	};
	int error;

	one.offset += (uint64_t)__builtin_ctzll(bytes);
	one.length = 64 - (uint32_t)__builtin_clzll(bytes) - (uint32_t)__builtin_ctzll(bytes);
	error = one.path ? vector_append(list, one) : -ENOMEM;
	if (error)
		free(one.path);
	return error;
}

/* The stores by which two versions of a line differ. */
static int compare_versions(const struct explore_walk *walk, const struct explore_place *place,
			    uint64_t failing, uint64_t passing, struct explore_evidence_list *list)
{
	const struct lines *lines = explore_walk_lines(walk);
	size_t count = lines_pending(lines, place->address, failing, NULL, 0);
	CLEANUP_FREE struct lines_pending *one = calloc(count + 1, sizeof(*one));
	CLEANUP_FREE struct lines_pending *other = calloc(count + 1, sizeof(*other));
	int error = one && other ? 0 : -ENOMEM;

	if (error)
		return error;
	lines_pending(lines, place->address, failing, one, count);
	lines_pending(lines, place->address, passing, other, count);
	for (size_t i = 0; !error && i < count; i++) {
		uint64_t differ = one[i].kept ^ other[i].kept;

		if (differ)
			error = add_store(list, place, one[i].id, differ, !(one[i].kept & differ));
	}
	return error;
}

struct comparison {
	const struct explore_walk *walk;
	const struct explore_tree *failing;
	bool *passing; /* of each pending operation: has the passing state it? */
	size_t next;
	struct explore_evidence_list *list;
	int error;
};

static void compare_operation(void *context, const struct names_op *op, bool survives)
{
	struct comparison *comparison = context;
	const size_t at = comparison->next++;
	struct explore_evidence one = { .event = op->id, .kind = op->kind };

	/* The choice that is visited was made last, and is any. */
	survives = comparison->failing->operations.items[at].survives;
	if (survives == comparison->passing[at] || op->kind == NAMES_BIND || comparison->error)
		return;
	one.lost = !survives;
	comparison->error = explore_operation_text(comparison->walk, op, &one.operation, &one.path);
	if (!comparison->error)
		comparison->error = vector_append(comparison->list, one);
	if (comparison->error) {
		free(one.operation);
		free(one.path);
	}
}

/* The operations by which the trees of two states differ. */
static int compare_trees(const struct explore_trial *trial, const uint64_t *failing, const uint64_t *passing,
			 struct explore_evidence_list *list)
{
	const struct explore_walk *walk = explore_trial_walk(trial);
	const struct explore_places *places = explore_trial_places(trial);
	CLEANUP_FREE bool *survives = calloc(places->operations.count + 1, sizeof(*survives));
	struct comparison comparison = { .walk = walk, .passing = survives, .list = list };
	const struct explore_tree *tree = NULL;
	int error = survives ? explore_places_tree(walk, places, passing, &tree) : -ENOMEM;

	for (size_t i = 0; !error && i < tree->operations.count; i++)
		survives[i] = tree->operations.items[i].survives;
	if (!error)
		error = explore_places_tree(walk, places, failing, &comparison.failing);
	if (error)
		return error;
	names_visit(explore_walk_names_model(explore_walk_names(walk)), &comparison, compare_operation);
	return comparison.error;
}

static int compare_events(const void *a, const void *b)
{
	const struct explore_evidence *one = a, *other = b;

	if (one->event != other->event)
		return one->event < other->event ? -1 : 1;
	return one->offset < other->offset ? -1 : one->offset > other->offset;
}

int explore_origins_read(int fd, const char *name, uint64_t after, struct explore_origins *origins,
			 struct message *message)
{
	const uint64_t events = after & ~EXPLORE_BEFORE_SYNC;
	struct trace_reader *reader;
	struct trace_event event;
	int error = lseek(fd, 0, SEEK_SET) < 0 ? -errno : trace_reader_create(fd, name, &reader, message);

	if (error)
		return error;
	while (!error && origins->count < events && trace_reader_next(reader, &event, message) == 1) {
		const struct explore_origin one = { .site = event.site,
						    .thread = event.thread,
						    .written = event.kind == TRACE_WRITE };

		error = vector_append(origins, one);
	}
	trace_reader_destroy(reader);
	return error ? message_fail(message, error, "out of memory") : 0;
}

static void attribute(struct explore_evidence_list *list, const struct explore_origins *origins)
{
	for (size_t i = 0; i < list->count; i++) {
		struct explore_evidence *one = &list->items[i];

		if (one->event - 1 >= origins->count)
			continue;
		one->site = origins->items[one->event - 1].site;
		one->thread = origins->items[one->event - 1].thread;
		one->written = origins->items[one->event - 1].written;
	}
}

int explore_evidence_collect(const struct explore_trial *trial, const struct explore_origins *origins,
			     const uint64_t *failing, const uint64_t *passing,
			     struct explore_evidence_list *list, struct message *message)
{
	const struct explore_places *places = explore_trial_places(trial);
	const struct explore_walk *walk = explore_trial_walk(trial);
	CLEANUP_FREE uint64_t *one = calloc(places->lines + 1, sizeof(*one));
	CLEANUP_FREE uint64_t *other = calloc(places->lines + 1, sizeof(*other));
	int error = one && other ? 0 : -ENOMEM;

	if (error)
		return message_fail(message, error, "out of memory");
	explore_places_settle(walk, places, failing, one);
	explore_places_settle(walk, places, passing, other);
	for (size_t i = 0; !error && i < places->lines; i++)
		if (one[i] != other[i])
			error = compare_versions(walk, &places->items[i], one[i], other[i], list);
	if (!error)
		error = compare_trees(trial, failing, passing, list);
	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), compare_events);
	attribute(list, origins);
	return error ? message_fail(message, error, "out of memory") : 0;
}

static bool same_evidence(const struct explore_evidence *one, const struct explore_evidence *other)
{
	if (one->lost != other->lost || !one->operation != !other->operation)
		return false;
	if (one->operation)
		return one->kind == other->kind && strcmp(one->path, other->path) == 0;
	if (one->site && other->site)
		return one->site == other->site;
	/* Without sites a place is the next best thing; of writes, which are synced by file, the file. */
	return strcmp(one->path, other->path) == 0 &&
	       (one->offset == other->offset || (one->written && other->written));
}

bool explore_evidence_covered(const struct explore_evidence_list *one,
			      const struct explore_evidence_list *other)
{
	for (size_t i = 0; i < one->count; i++) {
		bool found = false;

		for (size_t j = 0; j < other->count && !found; j++)
			found = same_evidence(&one->items[i], &other->items[j]);
		if (!found)
			return false;
	}
	return true;
}
