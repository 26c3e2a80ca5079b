/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/finding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "explore/reduce.h"
#include "explore/weakest.h"

/* Kinds of failures of which one is reduced, each by tens of checks. */
#define KINDS_MAX 64u
/* Failures that are reduced in addition, because no finding explains them. */
#define FURTHER_MAX 64u
/* Those of one kind are left alone when so many, one after the other, had a cause that was known. */
#define KNOWN_MAX 3u
/* Failures of a kind that are compared with the findings. The kind's first finding has the others. */
#define COMPARED_MAX 256u

/* Failures that are alike before they are looked into: the same kind of point, and the same verdict. */
struct kind {
	uint64_t cluster;
	const struct explore_failure *first;
	size_t finding; /* of the first; NONE: it did not fail again */
	VECTOR(const struct explore_failure *) rest; /* failures that no finding explains so far */
};
#define NONE SIZE_MAX

struct work {
	int fd;
	const char *name;
	const struct explore_points *points;
	const struct explore_options *options;
	uint64_t until_ms;
	struct explore_origins origins;
	struct explore_trial *trial;
	struct explore_findings *findings;
	unsigned further; /* failures that were reduced because no finding explains them */
	struct message *message;
};

static void finding_clear(struct explore_finding *finding)
{
	explore_evidence_clear(&finding->evidence);
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

/* ---- Causes --------------------------------------------------------------------- */

/*
 * `further`: a failure that was looked into because no finding explains it has nothing new if its evidence is
 * a part of a finding's: the next round of a loop may fail by one of two stores of which the first one needs
 * both.
 */
static bool same_cause(const struct explore_finding *one, const struct explore_finding *other,
		       bool further)
{
	if (one->neighbour != other->neighbour || !explore_verdict_alike(&one->verdict, &other->verdict))
		return false;
	if (one->neighbour == EXPLORE_AGAINST_NONE)
		return one->point.kind == other->point.kind && one->point.site == other->point.site;
	return explore_evidence_covered(&other->evidence, &one->evidence) &&
	       (further || explore_evidence_covered(&one->evidence, &other->evidence));
}

/* *at: where it is now, alone or with others of the same cause. */
static int add_finding(struct explore_findings *findings, struct explore_finding *finding, bool further,
		       size_t *at)
{
	int error;

	for (*at = 0; *at < findings->count; (*at)++) {
		if (same_cause(&findings->items[*at], finding, further)) {
			findings->items[*at].states += finding->states;
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

	for (size_t i = 0; !error && i < finding->evidence.count; i++) {
		struct explore_evidence *one = &finding->evidence.items[i];

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

/* Go to the failure's moment. */
static int reach(struct work *work, const struct explore_failure *failure)
{
	const uint64_t after = work->points->items[failure->point].after;
	int error = explore_trial_reach(work->fd, work->name, after, work->options, &work->trial,
					work->message);

	if (!error && !is_state_of(failure, explore_trial_places(work->trial)))
		error = message_fail(work->message, -EINVAL,
				     "the progress of the search is of another trace");
	return error;
}

/*
 * Reduce a failure to its cause. `further`: see same_cause(). *at: its finding, or NONE if it does not fail
 * again.
 */
static int investigate(struct work *work, const struct explore_failure *failure, bool further,
		       size_t *at)
{
	struct explore_finding finding = {
		.point = work->points->items[failure->point],
		.phase = failure->phase,
		.states = 1,
	};
	CLEANUP_FREE uint64_t *failing = calloc(failure->places + 1, sizeof(*failing));
	CLEANUP_FREE uint64_t *passing = calloc(failure->places + 1, sizeof(*passing));
	const struct explore_options *options = work->options;
	struct message *message = work->message;
	int error = failing && passing ? reach(work, failure) : -ENOMEM;
	struct explore_trial *trial = work->trial;

	*at = NONE;
	if (!error) {
		memcpy(failing, failure->versions, failure->places * sizeof(*failing));
		error = explore_reduce(trial, work->until_ms, failing, passing, &finding.neighbour,
				       &finding.verdict, message);
	}
	if (!error)
		error = explore_find_weakest(work->fd, work->name, options, trial, failing,
					     &finding.verdict, &finding.weakest, message);
	if (!error)
		error = explore_find_weakest_lines(work->fd, work->name, finding.point.after, options, trial,
						   failing, &finding.verdict, &finding.weakest_lines,
						   message);
	if (!error && finding.neighbour != EXPLORE_AGAINST_NONE)
		error = explore_evidence_collect(trial, &work->origins, failing, passing, &finding.evidence,
						 message);
	if (!error)
		error = make_timeline(work->fd, work->name, trial, failing, &finding, message);
	if (!error)
		error = note_marks(explore_trial_walk(trial), &finding);
	if (!error) {
		finding.name = explore_state_name(trial, finding.point.after, failing);
		error = finding.name ? add_finding(work->findings, &finding, further, at) : -ENOMEM;
	} else {
		finding_clear(&finding);
	}
	return error == -EAGAIN ? 0 : error;
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
	explore_neighbour_versions(places, finding->neighbour, neighbour);
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
	struct explore_origins origins = { 0 };

	if (error)
		return error;
	error = neighbour ? explore_origins_read(fd, name, finding.point.after, &origins, message) : -ENOMEM;
	if (!error) {
		choose_neighbour(explore_trial_places(trial), state->versions, &finding, neighbour);
		error = explore_evidence_collect(trial, &origins, state->versions, neighbour,
						 &finding.evidence, message);
	}
	if (!error)
		error = make_timeline(fd, name, trial, state->versions, &finding, message);
	if (!error)
		error = note_marks(explore_trial_walk(trial), &finding);
	if (!error) {
		finding.name = explore_state_name(trial, finding.point.after, state->versions);
		error = finding.name ? vector_append(findings, finding) : -ENOMEM;
	}
	vector_free(&origins);
	if (error)
		finding_clear(&finding);
	return error;
}

/* ---- All failures ---------------------------------------------------------------------- */

struct kinds {
	VECTOR_FIELDS(struct kind);
};

static int sort_out(const struct explore_points *points, const struct explore_failures *failures,
		    struct explore_findings *findings, struct kinds *kinds)
{
	for (size_t i = 0; i < failures->count; i++) {
		const struct explore_failure *failure = &failures->items[i];
		const uint64_t cluster = points->items[failure->point].cluster;
		struct kind one = { .cluster = cluster, .first = failure, .finding = NONE };
		size_t at = 0;
		int error = 0;

		while (at < kinds->count &&
		       (kinds->items[at].cluster != cluster ||
			!explore_verdict_alike(&kinds->items[at].first->verdict, &failure->verdict)))
			at++;
		if (at < kinds->count)
			error = vector_append(&kinds->items[at].rest, failure);
		else if (kinds->count == KINDS_MAX)
			findings->unreduced++;
		else
			error = vector_append(kinds, one);
		if (error)
			return error;
	}
	return 0;
}

static int by_point(const void *a, const void *b)
{
	const struct explore_failure *one = *(const struct explore_failure *const *)a;
	const struct explore_failure *other = *(const struct explore_failure *const *)b;

	if (one->point != other->point)
		return one->point < other->point ? -1 : 1;
	return one->sequence < other->sequence ? -1 : one->sequence > other->sequence;
}

/* By what the failure differs from this neighbour of its moment, where the trial is. */
static int compare(const struct work *work, const struct explore_failure *failure,
		   enum explore_neighbour neighbour, struct explore_evidence_list *list)
{
	const struct explore_places *places = explore_trial_places(work->trial);
	CLEANUP_FREE uint64_t *passing = calloc(places->count + 1, sizeof(*passing));

	if (!passing)
		return message_fail(work->message, -ENOMEM, "out of memory");
	explore_neighbour_versions(places, neighbour, passing);
	return explore_evidence_collect(work->trial, &work->origins, failure->versions, passing, list,
					work->message);
}

/*
 * The finding, from `from` on, whose evidence is part of what the failure, too, has lost or kept: the failure
 * has nothing to tell that is not known. NONE: there is none.
 */
static int find_explanation(const struct work *work, const struct explore_failure *failure, size_t from,
			    size_t *at)
{
	struct explore_evidence_list against[EXPLORE_AGAINST_NONE] = { 0 };
	int error = 0;

	*at = NONE;
	for (enum explore_neighbour i = 0; !error && i < EXPLORE_AGAINST_NONE; i++)
		error = compare(work, failure, i, &against[i]);
	for (size_t i = from; !error && *at == NONE && i < work->findings->count; i++) {
		const struct explore_finding *finding = &work->findings->items[i];

		if (finding->neighbour != EXPLORE_AGAINST_NONE &&
		    explore_verdict_alike(&finding->verdict, &failure->verdict) &&
		    explore_evidence_covered(&finding->evidence, &against[finding->neighbour]))
			*at = i;
	}
	for (enum explore_neighbour i = 0; i < EXPLORE_AGAINST_NONE; i++)
		explore_evidence_clear(&against[i]);
	return error;
}

/* The rest of the kind is counted to the finding, or to the failures that do not fail again. */
static void count_rest(struct work *work, struct kind *kind, size_t finding)
{
	if (finding == NONE)
		work->findings->unstable += kind->rest.count;
	else
		work->findings->items[finding].states += kind->rest.count;
	kind->rest.count = 0;
}

/* Leave those failures of a kind that no finding from `from` on explains. */
static int explain(struct work *work, struct kind *kind, size_t from)
{
	size_t left = 0;

	for (size_t i = 0; i < kind->rest.count; i++) {
		const struct explore_failure *failure = kind->rest.items[i];
		size_t at;
		int error = reach(work, failure);

		if (!error)
			error = find_explanation(work, failure, from, &at);
		if (error)
			return error;
		if (at == NONE)
			kind->rest.items[left++] = failure;
		else
			work->findings->items[at].states++;
	}
	kind->rest.count = left;
	return 0;
}

/* Choose the failures that are compared, in the order of their moments: one walk reaches all of them. */
static void choose_rest(struct work *work, struct kind *kind)
{
	if (kind->finding == NONE ||
	    work->findings->items[kind->finding].neighbour == EXPLORE_AGAINST_NONE) {
		count_rest(work, kind, kind->finding);
		return;
	}
	if (kind->rest.count > COMPARED_MAX) {
		work->findings->items[kind->finding].states += kind->rest.count - COMPARED_MAX;
		kind->rest.count = COMPARED_MAX;
	}
	if (kind->rest.count)
		qsort(kind->rest.items, kind->rest.count, sizeof(*kind->rest.items), by_point);
}

/* Reduce failures of a kind that no finding explains. */
static int look_further(struct work *work, struct kind *kind)
{
	unsigned known = 0;
	int error;

	choose_rest(work, kind);
	error = explain(work, kind, 0);
	while (!error && kind->rest.count && known < KNOWN_MAX && work->further < FURTHER_MAX &&
	       clock_ms() < work->until_ms) {
		const size_t before = work->findings->count;
		const struct explore_failure *failure = kind->rest.items[0];
		size_t at;

		work->further++;
		kind->rest.count--;
		memmove(kind->rest.items, kind->rest.items + 1,
			kind->rest.count * sizeof(*kind->rest.items));
		error = investigate(work, failure, true, &at);
		if (!error && at == NONE)
			work->findings->unstable++;
		known++;
		if (!error && work->findings->count > before) {
			known = 0;
			error = explain(work, kind, before);
		}
	}
	if (!error)
		count_rest(work, kind, kind->finding);
	return error;
}

int explore_findings_make(int fd, const char *name, const struct explore_points *points,
			  const struct explore_options *options, const struct explore_failures *failures,
			  struct explore_findings *findings, struct message *message)
{
	struct work work = {
		.fd = fd,
		.name = name,
		.points = points,
		.options = options,
		.until_ms = options->seconds ? clock_ms() + (uint64_t)options->seconds * 500 : UINT64_MAX,
		.findings = findings,
		.message = message,
	};
	struct kinds kinds = { 0 };
	size_t reduced = 0;
	uint64_t last = 0;
	int error = sort_out(points, failures, findings, &kinds);

	if (error)
		message_fail(message, error, "out of memory");
	for (size_t i = 0; i < failures->count; i++)
		last = max_u64(last, points->items[failures->items[i].point].after & ~EXPLORE_BEFORE_SYNC);
	if (!error)
		error = explore_origins_read(fd, name, last, &work.origins, message);
	for (; !error && reduced < kinds.count && (!reduced || clock_ms() < work.until_ms); reduced++) {
		struct kind *kind = &kinds.items[reduced];

		error = investigate(&work, kind->first, false, &kind->finding);
		if (!error && kind->finding == NONE)
			findings->unstable++;
	}
	for (size_t i = 0; !error && i < reduced; i++)
		error = look_further(&work, &kinds.items[i]);
	for (size_t i = reduced; i < kinds.count; i++)
		findings->unreduced += 1 + kinds.items[i].rest.count;
	explore_trial_close(work.trial);
	vector_free(&work.origins);
	for (size_t i = 0; i < kinds.count; i++)
		vector_free(&kinds.items[i].rest);
	vector_free(&kinds);
	return error;
}
