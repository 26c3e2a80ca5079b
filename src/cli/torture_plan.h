/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_TORTURE_PLAN_H
#define CLI_TORTURE_PLAN_H

/*
 * The order of the cuts of a campaign. A point is a cut before an operation of the uncut run, before or after
 * a fence of a program, or at the end. Points of one kind are those before like operations after like ones:
 * the same system call on a path of the same pattern, in which digits count as one; and those at like fences
 * between like operations. The first point of each kind is tried with every policy and metadata mode before
 * the other points are. Among equals the points at a fence, and next to a sync or to a change of a name, come
 * first, since that is where something is guaranteed or removed.
 */

#include "cli/torture_round.h"

struct torture_plan;

/* NULL without memory. The settings and modes must outlive it. */
struct torture_plan *torture_plan_create(const struct torture_settings *settings,
					 const struct torture_events *events);
void torture_plan_destroy(struct torture_plan *plan);

/* The next cut. False: every cut was tried, and nothing is random. Not thread safe. */
bool torture_plan_next(struct torture_plan *plan, struct torture_cut *cut);
/* How many cuts there are before only seeds of the policy `random` are new. */
uint64_t torture_plan_cuts(const struct torture_plan *plan);
size_t torture_plan_kinds(const struct torture_plan *plan);
/* How many fences are cut: not all of very many. */
uint64_t torture_plan_fences(const struct torture_plan *plan);

/* "/db/000012.log" becomes "/db/#.log", for the caller to free; NULL without memory. */
char *torture_pattern(const char *path);

#endif
