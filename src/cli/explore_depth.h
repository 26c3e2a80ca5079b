/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_DEPTH_H
#define CLI_EXPLORE_DEPTH_H

/*
 * Power failures during recovery (softpmem explore --depth 2). The recovery from a crash state is
 * recorded, and its trace is explored as that of the first run was: a search of its own, with the same
 * checker. The states that are recovered, the *first states*, are those of which the search told a change
 * that no other had.
 */

#include "cli/explore_identity.h"
#include "explore/finding.h"

/* A first state with findings at crashes of its recovery. */
struct explore_second {
	struct explore_findings first; /* one: the state, from which the checker recovers */
	char *trace;	/* the path of the recovery's; it stays as long as the search's directory */
	char *recovery; /* what tells it from others, for names of states */
	struct explore_findings findings; /* their names: explore_recovery_name_for_all() */
};

struct explore_depth {
	uint64_t recovered; /* first states of the search: distinct in what recovery changes */
	uint64_t recorded;  /* of these, recoveries that were recorded */
	uint64_t equal;	    /* of these, did what another one had done, or wrote nothing */
	uint64_t failed;    /* of these, did not pass when they were recorded: they cannot be explored */
	uint64_t left_out;  /* first states that were not recorded, or not explored: a limit came first */
	uint64_t checked, failures, legal; /* states of crashes of recoveries */
	bool complete;			   /* no limit ended anything */
	VECTOR(struct explore_second) seconds; /* those that have findings */
	size_t findings;		       /* of all of them */
	uint64_t unstable, unreduced;	       /* as in explore_findings */
	uint64_t reordered; /* failures not reported: recorded again, the recovery stores in another order */
};

/* Where a search keeps its progress; with --depth 2, that at crashes of recovery N in PATH.N. */
struct explore_progress {
	char *path; /* NULL: nowhere */
	char identity[EXPLORE_RUN_ID_BYTES];
	bool resume; /* go on with what is there */
};
/* The search has told its result: remove the files. */
void explore_depth_forget(const struct explore_progress *progress);

struct explore_depth_task {
	int fd; /* of the trace of the first run */
	const char *trace;
	const struct explore_points *points;
	/* Of the search; but `states` and `seconds` are what is left. */
	const struct explore_options *options;
	const struct explore_failures *recovered;
	const struct explore_progress *progress;
};

/* 0 or a negative errno with a message. What was found before is in `depth`, which is to be cleared. */
int explore_depth_run(const struct explore_depth_task *task, struct explore_depth *depth,
		      struct message *message);
void explore_depth_clear(struct explore_depth *depth);

/*
 * Names of states at depth 2: "FIRST/RECOVERY/SECOND", of which FIRST is the name of a state of the run and
 * SECOND one of the recovery from FIRST, for all recoveries of its shape. For the caller to free; NULL
 * without memory.
 */
char *explore_depth_name(const struct explore_second *second, const struct explore_finding *finding);

/* A state at depth 2 that is opened again, by recording the recovery once more. */
struct explore_depth_state {
	struct explore_recovery *recovery;
	struct explore_options options; /* for the trial */
	struct explore_trial *trial;	/* of the recovery's trace */
	uint64_t *versions;
};
/* Is it the name of a state at depth 2? */
bool explore_depth_is_name(const char *name);
/*
 * Record the recovery from the first state again, and go to the second one. -EAGAIN with a message: the
 * recovery did something else this time. 0 or another negative errno with a message. To be closed in any
 * case.
 */
int explore_depth_open(int fd, const char *trace, const char *name, const struct explore_options *options,
		       struct explore_depth_state *state, struct message *message);
void explore_depth_close(struct explore_depth_state *state);

#endif
