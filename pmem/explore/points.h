/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_POINTS_H
#define EXPLORE_POINTS_H

/*
 * The crash points of a trace: before each event that guarantees something, between a write and its sync if
 * it is synchronous, after each mark, and at the end. Other moments need not be explored: what may be left
 * there may be left at the next of these points as well, since until then nothing more is guaranteed.
 */

#include "common/vector.h"
#include "explore/trace_walk.h"

struct explore_point {
	uint64_t after;	      /* power fails after so many events; may have EXPLORE_BEFORE_SYNC */
	enum trace_kind kind; /* of the event before which power fails; TRACE_MARK and TRACE_END: after it */
	uint32_t op;	      /* of that event */
	uint32_t site;	      /* of that event; 0: not known */
	uint32_t rank;	      /* how many points of the same cluster come before it */
	uint64_t cluster;     /* equal for points with the same sequence of store sites before them */
};

struct explore_points {
	VECTOR_FIELDS(struct explore_point);
	uint64_t events;    /* of the trace */
	struct message cut; /* explore_walk_cut() */
	struct explore_walk *end; /* at the last point; NULL: there is none, or it was left */
};

/*
 * Walk through the whole trace. Unless that has many files, the walk stays at its end for the search; the
 * descriptor must stay open as long. 0 or a negative errno with a message.
 */
int explore_points_find(int fd, const char *name, const struct explore_walk_options *options,
			struct explore_points *points, struct message *message);
/* No search follows: what is kept of the end takes memory for all lines that were stored to. */
void explore_points_leave_end(struct explore_points *points);
void explore_points_clear(struct explore_points *points);

#endif
