/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/torture_plan.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

/* About so many fences are cut, if there are more. */
#define FENCES_MOST 500u

struct point {
	uint64_t operation, fence; /* both 0: the end */
	bool after;		   /* the fence */
	uint64_t order;		   /* in the run */
	char *kind;
	bool near; /* a sync or the change of a name is right before or after it */
	bool first; /* of its kind */
};

struct variant {
	const char *policy, *mode;
	bool again; /* `random` once more */
};

struct torture_plan {
	const struct torture_settings *settings;
	VECTOR(struct point) points; /* in the order in which they are tried */
	VECTOR(struct variant) variants;
	size_t firsts; /* points at the beginning that are the first of their kind */
	uint64_t fences; /* that are cut */
	uint64_t stride; /* every so many fences one is cut */
	/* The next cut: the range of points that has its turn, and the place in it. */
	bool rest;
	size_t variant, point;
	uint64_t rounds; /* of new seeds, once every variant was tried */
	uint64_t drawn;	 /* seeds */
};

char *torture_pattern(const char *path)
{
	char *out = strdup(path), *to = out;

	for (const char *from = path; out && *from; from++) {
		if (!isdigit((unsigned char)*from))
			*to++ = *from;
		else if (to == out || to[-1] != '#')
			*to++ = '#';
	}
	if (out)
		*to = '\0';
	return out;
}

static bool changes_name(const struct torture_event *event)
{
	static const char *const calls[] = { "rename", "unlink", "rmdir", "link", "symlink", "mkdir",
					     "mknod",  "create", "open" };

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(event->operation, calls[i]) == 0)
			return true;
	return false;
}

static bool is_near(const struct torture_event *event)
{
	return event && (event->syncs || changes_name(event));
}

static char *kind_of(const struct torture_event *before, const struct torture_event *next)
{
	char *first = torture_pattern(before ? before->path : "");
	char *second = torture_pattern(next ? next->path : "");
	char *kind = NULL;

	if (!first || !second ||
	    asprintf(&kind, "%s %s, %s %s", before ? before->operation : "", first,
		     next ? next->operation : "", second) < 0)
		kind = NULL;
	free(first);
	free(second);
	return kind;
}

static int by_kind(const void *left, const void *right)
{
	const struct point *const *a = left, *const *b = right;
	int order = strcmp((*a)->kind, (*b)->kind);

	return order ? order : (*a)->order < (*b)->order ? -1 : 1;
}

static int by_turn(const void *left, const void *right)
{
	const struct point *a = left, *b = right;

	if (a->first != b->first)
		return a->first ? -1 : 1;
	if (a->near != b->near)
		return a->near ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

static bool find_firsts(struct torture_plan *plan)
{
	struct point **sorted = calloc(plan->points.count, sizeof(struct point *));

	if (!sorted)
		return false;
	for (size_t i = 0; i < plan->points.count; i++)
		sorted[i] = &plan->points.items[i];
	qsort(sorted, plan->points.count, sizeof(struct point *), by_kind);
	for (size_t i = 0; i < plan->points.count; i++) {
		sorted[i]->first = i == 0 || strcmp(sorted[i - 1]->kind, sorted[i]->kind) != 0;
		plan->firsts += sorted[i]->first;
	}
	free(sorted);
	return true;
}

/* Takes over the kind, which may be NULL without memory. */
static bool add_point(struct torture_plan *plan, struct point point)
{
	point.order = plan->points.count;
	if (point.kind && vector_append(&plan->points, point) == 0)
		return true;
	free(point.kind);
	return false;
}

static const struct torture_event *event_at(const struct torture_events *events, uint64_t index)
{
	return index < events->count ? &events->items[index] : NULL;
}

/*
 * A cut before a fence and one after it. The first and the last fence between two operations are of kinds of
 * their own: what a program does there is often not what it does in the middle.
 */
static bool add_fence(struct torture_plan *plan, const struct torture_events *events,
		      const struct torture_fences *run, uint64_t number, uint64_t index)
{
	const char *place = index == 0 ? "first" : index + 1 == run->count ? "last" : "middle";
	CLEANUP_FREE char *around = kind_of(run->after ? event_at(events, run->after - 1) : NULL,
					    event_at(events, run->after));

	for (int after = 0; around && after <= 1; after++) {
		struct point point = { .fence = number, .after = after, .near = true };

		if (asprintf(&point.kind, "%s fence, %s of %s", after ? "after" : "before", place,
			     around) < 0)
			point.kind = NULL;
		if (!add_point(plan, point))
			return false;
	}
	return around;
}

/* Of each run the first and the last are chosen, and of all others so many, evenly. */
static bool is_chosen(const struct torture_plan *plan, const struct torture_fences *run, uint64_t number,
		      uint64_t index)
{
	return index == 0 || index + 1 == run->count || number % plan->stride == 0;
}

static bool add_fences(struct torture_plan *plan, const struct torture_events *events,
		       const struct torture_fences *run, uint64_t before)
{
	for (uint64_t i = 0; i < run->count; i++) {
		if (!is_chosen(plan, run, before + i + 1, i))
			continue;
		if (!add_fence(plan, events, run, before + i + 1, i))
			return false;
		plan->fences++;
	}
	return true;
}

static bool add_points(struct torture_plan *plan, const struct torture_events *events)
{
	uint64_t fences = 0;
	size_t run = 0;

	plan->stride = events->fence_count / FENCES_MOST + 1;
	for (size_t i = 0; i <= events->count; i++) {
		const struct torture_event *before = i ? &events->items[i - 1] : NULL;
		const struct torture_event *next = event_at(events, i);
		const struct point point = { .operation = next ? i + 1 : 0,
					     .kind = kind_of(before, next),
					     .near = is_near(before) || is_near(next) };

		/* After the last operation that is listed come all further ones. */
		for (; run < events->fences.count && (!next || events->fences.items[run].after <= i); run++) {
			if (!add_fences(plan, events, &events->fences.items[run], fences)) {
				free(point.kind);
				return false;
			}
			fences += events->fences.items[run].count;
		}
		if (!add_point(plan, point))
			return false;
	}
	if (!find_firsts(plan))
		return false;
	qsort(plan->points.items, plan->points.count, sizeof(struct point), by_turn);
	return true;
}

static bool wants(const char *only, const char *word)
{
	return !only || strcmp(only, word) == 0;
}

static int add_modes(struct torture_plan *plan, const char *policy, bool again)
{
	const struct torture_settings *settings = plan->settings;
	int error = 0;

	if (!wants(settings->policy, policy))
		return 0;
	for (const char *const *mode = torture_modes; *mode && !error; mode++) {
		const bool is_last = *mode == torture_mode_most(settings);

		if (settings->metadata ? strcmp(settings->metadata, *mode) == 0 :
					 strcmp(*mode, TORTURE_MODE_LEAST) != 0)
			error = vector_append(&plan->variants, (struct variant){ policy, *mode, again });
		else if (!is_last)
			continue;
		/* What keeps everything is the same in each mode, and the daemons know no later ones. */
		if (is_last || strcmp(policy, "keep") == 0)
			break;
	}
	return error;
}

static bool add_variants(struct torture_plan *plan)
{
	int error = add_modes(plan, "lose", false);

	if (!error)
		error = add_modes(plan, "keep", false);
	if (!error)
		error = add_modes(plan, "random", false);
	if (!error)
		error = add_modes(plan, "random", true);
	return error == 0;
}

struct torture_plan *torture_plan_create(const struct torture_settings *settings,
					 const struct torture_events *events)
{
	struct torture_plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return NULL;
	plan->settings = settings;
	if (add_points(plan, events) && add_variants(plan))
		return plan;
	torture_plan_destroy(plan);
	return NULL;
}

void torture_plan_destroy(struct torture_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->points.count; i++)
		free(plan->points.items[i].kind);
	vector_free(&plan->points);
	vector_free(&plan->variants);
	free(plan);
}

uint64_t torture_plan_cuts(const struct torture_plan *plan)
{
	return (uint64_t)plan->points.count * plan->variants.count;
}

size_t torture_plan_kinds(const struct torture_plan *plan)
{
	return plan->firsts;
}

uint64_t torture_plan_fences(const struct torture_plan *plan)
{
	return plan->fences;
}

/* Once every variant was tried, only new seeds are new: they are tried in the place of the first one. */
static bool is_old(const struct torture_plan *plan, const struct variant *variant)
{
	return plan->rounds && (strcmp(variant->policy, "random") != 0 || variant->again);
}

/* Move on to a cut that was not tried. There is at least one point, the end. */
static bool settle(struct torture_plan *plan)
{
	for (;;) {
		const size_t end = plan->rest ? plan->points.count : plan->firsts;

		if (plan->variant < plan->variants.count && plan->point < end &&
		    !is_old(plan, &plan->variants.items[plan->variant]))
			return true;
		if (plan->variant < plan->variants.count) {
			plan->variant++;
		} else {
			if (plan->rest && !wants(plan->settings->policy, "random"))
				return false;
			plan->rounds += plan->rest;
			plan->rest = !plan->rest;
			plan->variant = 0;
		}
		plan->point = plan->rest ? plan->firsts : 0;
	}
}

bool torture_plan_next(struct torture_plan *plan, struct torture_cut *cut)
{
	const struct variant *variant;
	const struct point *point;

	if (!settle(plan))
		return false;
	variant = &plan->variants.items[plan->variant];
	point = &plan->points.items[plan->point++];
	*cut = (struct torture_cut){
		.operation = point->operation,
		.fence = point->fence,
		.after = point->after,
		.policy = variant->policy,
		.mode = variant->mode,
		/* One seed decides alike about the same write or name of two cuts: each gets its own. */
		.seed = plan->settings->seed + plan->drawn,
	};
	plan->drawn += strcmp(variant->policy, "random") == 0;
	return true;
}
