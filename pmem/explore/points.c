/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/points.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "trace/idmap.h"

/* Of a trace with more files the end is walked to again. */
#define FILES_AT_END 64u

/* The stores since the last point, as a hash of their sites. */
struct epoch {
	uint64_t hash;
	bool sites_known;
};

static void epoch_add(struct epoch *epoch, const struct trace_event *event)
{
	if (event->kind != TRACE_STORE && event->kind != TRACE_WRITE)
		return;
	epoch->sites_known = epoch->sites_known && event->site;
	epoch->hash = rng_mix(epoch->hash ^ rng_mix(event->site + 1));
}

/* Without sites nothing tells one epoch from another: each is a cluster of its own. */
static uint64_t cluster_of(const struct epoch *epoch, const struct trace_event *event, uint64_t number)
{
	uint64_t point = rng_mix(((uint64_t)event->kind << 32 | event->site) + 1);

	if (!epoch->sites_known || !event->site)
		return rng_mix(number);
	return rng_mix(epoch->hash ^ point);
}

static int add_point(struct explore_points *points, struct idmap *ranks, const struct explore_point *point)
{
	uintptr_t rank = (uintptr_t)idmap_get(ranks, point->cluster);
	struct explore_point ranked = *point;
	int error = idmap_set(ranks, point->cluster, (void *)(rank + 1));

	ranked.rank = (uint32_t)rank;
	return error ? error : vector_append(points, ranked);
}

static int walk_through(struct explore_walk *walk, struct explore_points *points, struct idmap *ranks,
			struct message *message)
{
	struct epoch epoch = { .sites_known = true };
	int more;

	while ((more = explore_walk_next(walk, message)) > 0) {
		const struct trace_event *event = explore_walk_event(walk);
		bool mark = event->kind == TRACE_MARK;
		struct explore_point point = {
			.after = explore_walk_is_sync_step(walk) ?
					 explore_walk_count(walk) | EXPLORE_BEFORE_SYNC :
					 explore_walk_count(walk) - !mark,
			.kind = event->kind,
			.op = event->op,
			.site = event->site,
		};

		if (explore_walk_guaranteed(walk) || mark) {
			point.cluster = cluster_of(&epoch, event, explore_walk_count(walk));
			if (add_point(points, ranks, &point))
				return message_fail(message, -ENOMEM, "out of memory");
			epoch = (struct epoch){ .sites_known = true };
		}
		epoch_add(&epoch, event);
	}
	return more;
}

int explore_points_find(int fd, const char *name, const struct explore_walk_options *options,
			struct explore_points *points, struct message *message)
{
	struct explore_walk *walk;
	struct idmap ranks = { 0 };
	int error = explore_walk_create(fd, name, options, &walk, message);

	if (error)
		return error;
	error = walk_through(walk, points, &ranks, message);
	if (!error) {
		struct explore_point end = {
			.after = explore_walk_count(walk),
			.kind = TRACE_END,
			.cluster = rng_mix(UINT64_MAX),
		};

		points->events = explore_walk_count(walk);
		if (explore_walk_cut(walk))
			message_fail(&points->cut, 0, "%s", explore_walk_cut(walk));
		if (add_point(points, &ranks, &end))
			error = message_fail(message, -ENOMEM, "out of memory");
	}
	idmap_clear(&ranks, NULL);
	/* Each file of a walk has a descriptor, and a worker has another walk beside this one. */
	if (error || explore_walk_files(walk) > FILES_AT_END)
		explore_walk_destroy(walk);
	else
		points->end = walk;
	return error;
}

void explore_points_leave_end(struct explore_points *points)
{
	explore_walk_destroy(points->end);
	points->end = NULL;
}

void explore_points_clear(struct explore_points *points)
{
	explore_points_leave_end(points);
	vector_free(points);
}
