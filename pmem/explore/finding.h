/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_FINDING_H
#define EXPLORE_FINDING_H

/*
 * Findings: failures that replay, reduced to the fewest places that differ from a
 * state on which the checker passes, and grouped by cause. The cause of a failure is the set of
 * sites whose stores were lost, or kept, and how the checker failed.
 */

#include "explore/evidence.h"
#include "explore/timeline.h"
#include "explore/trial.h"

enum explore_neighbour {
	EXPLORE_AGAINST_NEWEST,	    /* the checker passes if all that was stored is durable */
	EXPLORE_AGAINST_GUARANTEED, /* it passes if only what is guaranteed is */
	EXPLORE_AGAINST_NONE	    /* it passes on neither: no state of this kind is known to work */
};

struct explore_finding {
	struct explore_point point;
	enum explore_phase phase;
	struct explore_verdict verdict;
	enum explore_neighbour neighbour;
	enum metadata_mode weakest; /* the strongest promise about names under which this still fails */
	enum lines_mode weakest_lines; /* the strongest promise about lines under which it still fails */
	char *name;			   /* of the reduced state: explore_state_name() */
	struct explore_evidence_list evidence;
	struct explore_timeline timeline;
	uint64_t states; /* failures that have this cause */
	uint64_t marks;	 /* how many were acknowledged before */
	char *last_mark; /* NULL: none */
};

struct explore_findings {
	VECTOR_FIELDS(struct explore_finding);
	uint64_t unstable;  /* failures that did not fail again; not reported */
	uint64_t unreduced; /* failures that were not looked at: too many causes, or no time left */
};

/* 0 or a negative errno with a message. */
int explore_findings_make(int fd, const char *name, const struct explore_points *points,
			  const struct explore_options *options, const struct explore_failures *failures,
			  struct explore_findings *findings, struct message *message);
void explore_findings_clear(struct explore_findings *findings);
/* Drop all but the first `count`. */
void explore_findings_keep(struct explore_findings *findings, size_t count);

/*
 * Append a description of a state from which the checker recovers, in the form of a finding: by what it
 * differs from everything that was stored, or from what is guaranteed alone if that is less; `neighbour`
 * says which. *trial is as for explore_trial_reach(). 0 or a negative errno with a message.
 */
int explore_finding_describe(int fd, const char *name, const struct explore_points *points,
			     const struct explore_options *options, const struct explore_failure *state,
			     struct explore_trial **trial, struct explore_findings *findings,
			     struct message *message);

#endif
