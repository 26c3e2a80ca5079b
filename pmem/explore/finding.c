/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/finding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "explore/operation_text.h"
#include "explore/reduce.h"
#include "explore/weakest.h"

/* Kinds of failures that are reduced; each needs tens of checks. */
#define KINDS_MAX 64u

/* Failures that are alike before they are looked into: the same kind of point, and the same verdict. */
struct kind {
	uint64_t cluster;
	enum explore_result result;
	int code;
	const struct explore_failure *first;
	uint64_t states;
};

static void evidence_free(struct explore_finding *finding)
{
	for (size_t i = 0; i < finding->evidence_count; i++) {
		free(finding->evidence[i].path);
		free(finding->evidence[i].operation);
	}
	free(finding->evidence);
}

static void finding_clear(struct explore_finding *finding)
{
	evidence_free(finding);
	explore_timeline_clear(&finding->timeline);
	free(finding->name);
	free(finding->last_mark);
}

void explore_findings_keep(struct explore_findings *findings, size_t count)
{
	for (size_t i = count; i < findings->count; i++)
		finding_clear(&findings->items[i]);
	findings->count = min_u64(count, findings->count);
}

void explore_findings_clear(struct explore_findings *findings)
{
	explore_findings_keep(findings, 0);
	vector_free(findings);
}

/* ---- Evidence ------------------------------------------------------------------- */

struct evidence_list {
	VECTOR_FIELDS(struct explore_evidence);
};

static int add_store(struct evidence_list *list, const struct explore_place *place, uint64_t event,
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
			    uint64_t failing, uint64_t passing, struct evidence_list *list)
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
	struct evidence_list *list;
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
			 struct evidence_list *list)
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

/* Look the sites and threads of the events up, by reading the trace once more. */
static int find_sites(int fd, const char *name, struct evidence_list *list, struct message *message)
{
	struct trace_reader *reader;
	struct trace_event event;
	uint64_t number = 0;
	size_t at = 0;
	int error = lseek(fd, 0, SEEK_SET) < 0 ? -errno : trace_reader_create(fd, name, &reader, message);

	if (error)
		return error;
	while (at < list->count && trace_reader_next(reader, &event, message) == 1) {
		number++;
		for (; at < list->count && list->items[at].event <= number; at++) {
			if (list->items[at].event != number)
				continue;
			list->items[at].site = event.site;
			list->items[at].thread = event.thread;
		}
	}
	trace_reader_destroy(reader);
	return 0;
}

static int collect_evidence(int fd, const char *name, const struct explore_trial *trial,
			    const uint64_t *failing, const uint64_t *passing, struct explore_finding *finding,
			    struct message *message)
{
	const struct explore_places *places = explore_trial_places(trial);
	const struct explore_walk *walk = explore_trial_walk(trial);
	CLEANUP_FREE uint64_t *one = calloc(places->lines + 1, sizeof(*one));
	CLEANUP_FREE uint64_t *other = calloc(places->lines + 1, sizeof(*other));
	struct evidence_list list = { 0 };
	int error = one && other ? 0 : -ENOMEM;

	if (error)
		return message_fail(message, error, "out of memory");
	explore_places_settle(walk, places, failing, one);
	explore_places_settle(walk, places, passing, other);
	for (size_t i = 0; !error && i < places->lines; i++)
		if (one[i] != other[i])
			error = compare_versions(walk, &places->items[i], one[i], other[i], &list);
	if (!error)
		error = compare_trees(trial, failing, passing, &list);
	if (!error && list.count) {
		qsort(list.items, list.count, sizeof(*list.items), compare_events);
		error = find_sites(fd, name, &list, message);
	}
	finding->evidence = list.items;
	finding->evidence_count = list.count;
	return error;
}

/* ---- Causes --------------------------------------------------------------------- */

static bool same_evidence(const struct explore_evidence *one, const struct explore_evidence *other)
{
	if (one->lost != other->lost || !one->operation != !other->operation)
		return false;
	if (one->operation)
		return one->kind == other->kind && strcmp(one->path, other->path) == 0;
	/* Without sites a place is the next best thing. */
	if (one->site && other->site)
		return one->site == other->site;
	return strcmp(one->path, other->path) == 0 && one->offset == other->offset;
}

/* The evidence of one is in the other, whatever the order and how often. */
static bool is_covered(const struct explore_finding *one, const struct explore_finding *other)
{
	for (size_t i = 0; i < one->evidence_count; i++) {
		bool found = false;

		for (size_t j = 0; j < other->evidence_count && !found; j++)
			found = same_evidence(&one->evidence[i], &other->evidence[j]);
		if (!found)
			return false;
	}
	return true;
}

static bool same_cause(const struct explore_finding *one, const struct explore_finding *other)
{
	if (one->neighbour != other->neighbour || one->verdict.result != other->verdict.result ||
	    one->verdict.code != other->verdict.code)
		return false;
	if (one->neighbour == EXPLORE_AGAINST_NONE)
		return one->point.kind == other->point.kind && one->point.site == other->point.site;
	return is_covered(one, other) && is_covered(other, one);
}

static int add_finding(struct explore_findings *findings, struct explore_finding *finding)
{
	int error;

	for (size_t i = 0; i < findings->count; i++) {
		if (same_cause(&findings->items[i], finding)) {
			findings->items[i].states += finding->states;
			finding_clear(finding);
			return 0;
		}
	}
	error = vector_append(findings, *finding);
	if (error)
		finding_clear(finding);
	return error;
}

static int note_marks(const struct explore_walk *walk, struct explore_finding *finding)
{
	finding->marks = explore_walk_marks(walk);
	if (!finding->marks)
		return 0;
	finding->last_mark = strdup(explore_walk_mark(walk, (size_t)finding->marks - 1)->text);
	return finding->last_mark ? 0 : -ENOMEM;
}

/* A row for each line and operation of the evidence, and what happened to it. */
static int make_timeline(int fd, const char *name, const struct explore_trial *trial, const uint64_t *failing,
			 struct explore_finding *finding, struct message *message)
{
	int error = 0;

	for (size_t i = 0; !error && i < finding->evidence_count; i++) {
		struct explore_evidence *one = &finding->evidence[i];

		error = one->operation ?
				explore_timeline_add_operation(&finding->timeline, one->operation, one->path,
							       one->event) :
				explore_timeline_add_line(&finding->timeline, one->file, one->offset);
		one->file = NULL;
	}
	return error ? error :
		       explore_timeline_fill(&finding->timeline, fd, name, trial, finding->point.after,
					     failing, message);
}

/* A failure that an interrupted search has left is hostile until it is checked. */
static bool is_state_of(const struct explore_failure *failure, const struct explore_places *places)
{
	if (failure->places != places->count)
		return false;
	for (size_t i = 0; i < places->count; i++)
		if (failure->versions[i] >= places->items[i].versions)
			return false;
	return true;
}

static int investigate(int fd, const char *name, const struct explore_points *points,
		       const struct explore_options *options, uint64_t until_ms, const struct kind *kind,
		       struct explore_trial **reached, struct explore_findings *findings,
		       struct message *message)
{
	const struct explore_failure *failure = kind->first;
	struct explore_finding finding = {
		.point = points->items[failure->point],
		.phase = failure->phase,
		.states = kind->states,
	};
	int error = explore_trial_reach(fd, name, finding.point.after, options, reached, message);
	struct explore_trial *trial = *reached;

	if (error)
		return error;
	CLEANUP_FREE uint64_t *failing = calloc(failure->places + 1, sizeof(*failing));
	CLEANUP_FREE uint64_t *passing = calloc(failure->places + 1, sizeof(*passing));

	error = failing && passing ? 0 : -ENOMEM;
	if (!error && !is_state_of(failure, explore_trial_places(trial)))
		error = message_fail(message, -EINVAL, "the progress of the search is of another trace");
	if (!error) {
		memcpy(failing, failure->versions, failure->places * sizeof(*failing));
		error = explore_reduce(trial, until_ms, failing, passing, &finding.neighbour,
				       &finding.verdict, message);
	}
	if (!error)
		error = explore_find_weakest(fd, name, options, trial, failing, failure->versions,
					     &finding.weakest, message);
	if (!error)
		error = explore_find_weakest_lines(fd, name, finding.point.after, options, trial, failing,
						   failure->versions, &finding.weakest_lines, message);
	if (!error && finding.neighbour != EXPLORE_AGAINST_NONE)
		error = collect_evidence(fd, name, trial, failing, passing, &finding, message);
	if (!error)
		error = make_timeline(fd, name, trial, failing, &finding, message);
	if (!error)
		error = note_marks(explore_trial_walk(trial), &finding);
	if (!error) {
		finding.name = explore_state_name(trial, finding.point.after, failing);
		error = finding.name ? add_finding(findings, &finding) : -ENOMEM;
	} else {
		finding_clear(&finding);
	}
	if (error != -EAGAIN)
		return error;
	findings->unstable += kind->states;
	return 0;
}

static void choose_neighbour(const struct explore_places *places, const uint64_t *versions,
			     struct explore_finding *finding, uint64_t *neighbour)
{
	size_t old = 0, new = 0;

	for (size_t i = 0; i < places->count; i++) {
		old += versions[i] == 0;
		new += versions[i] == places->items[i].versions - 1;
	}
	finding->neighbour = old > new ? EXPLORE_AGAINST_GUARANTEED : EXPLORE_AGAINST_NEWEST;
	for (size_t i = 0; i < places->count; i++)
		neighbour[i] = old > new ? 0 : places->items[i].versions - 1;
}

int explore_finding_describe(int fd, const char *name, const struct explore_points *points,
			     const struct explore_options *options, const struct explore_failure *state,
			     struct explore_trial **reached, struct explore_findings *findings,
			     struct message *message)
{
	struct explore_finding finding = {
		.point = points->items[state->point],
		.phase = state->phase,
		.verdict = state->verdict,
		.states = 1,
	};
	CLEANUP_FREE uint64_t *neighbour = calloc(state->places + 1, sizeof(*neighbour));
	int error = explore_trial_reach(fd, name, finding.point.after, options, reached, message);
	struct explore_trial *trial = *reached;

	if (error)
		return error;
	error = neighbour ? 0 : -ENOMEM;
	if (!error) {
		choose_neighbour(explore_trial_places(trial), state->versions, &finding, neighbour);
		error = collect_evidence(fd, name, trial, state->versions, neighbour, &finding, message);
	}
	if (!error)
		error = make_timeline(fd, name, trial, state->versions, &finding, message);
	if (!error)
		error = note_marks(explore_trial_walk(trial), &finding);
	if (!error) {
		finding.name = explore_state_name(trial, finding.point.after, state->versions);
		error = finding.name ? vector_append(findings, finding) : -ENOMEM;
	}
	if (error)
		finding_clear(&finding);
	return error;
}

struct kinds {
	VECTOR_FIELDS(struct kind);
};

static int sort_out(const struct explore_points *points, const struct explore_failures *failures,
		    struct explore_findings *findings, struct kinds *kinds)
{
	for (size_t i = 0; i < failures->count; i++) {
		const struct explore_failure *failure = &failures->items[i];
		struct kind one = { .cluster = points->items[failure->point].cluster,
				    .result = failure->verdict.result,
				    .code = failure->verdict.code,
				    .first = failure,
				    .states = 1 };
		size_t at = 0;

		while (at < kinds->count &&
		       (kinds->items[at].cluster != one.cluster || kinds->items[at].result != one.result ||
			kinds->items[at].code != one.code))
			at++;
		if (at < kinds->count)
			kinds->items[at].states++;
		else if (kinds->count == KINDS_MAX)
			findings->unreduced++;
		else if (vector_append(kinds, one))
			return -ENOMEM;
	}
	return 0;
}

int explore_findings_make(int fd, const char *name, const struct explore_points *points,
			  const struct explore_options *options, const struct explore_failures *failures,
			  struct explore_findings *findings, struct message *message)
{
	const uint64_t until_ms =
		options->seconds ? clock_ms() + (uint64_t)options->seconds * 500 : UINT64_MAX;
	struct kinds kinds = { 0 };
	struct explore_trial *trial = NULL;
	int error = sort_out(points, failures, findings, &kinds);

	if (error)
		message_fail(message, error, "out of memory");
	for (size_t i = 0; !error && i < kinds.count; i++) {
		if (i && clock_ms() >= until_ms)
			findings->unreduced += kinds.items[i].states;
		else
			error = investigate(fd, name, points, options, until_ms, &kinds.items[i], &trial,
					    findings, message);
	}
	explore_trial_close(trial);
	vector_free(&kinds);
	return error;
}
