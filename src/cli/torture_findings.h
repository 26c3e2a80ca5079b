/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_TORTURE_FINDINGS_H
#define CLI_TORTURE_FINDINGS_H

/*
 * Failures of the check, grouped by the operation at which power failed and by the files that lost
 * something, with digits in paths counted as one. The first failure of a group is investigated: it must fail
 * again, and is reduced. Thread safe: the jobs of a campaign share it.
 */

#include <pthread.h>

#include "cli/torture_round.h"

struct torture_finding {
	struct torture_cut cut; /* reduced */
	struct torture_outcome outcome;
	char *group;
	uint64_t failures; /* rounds that failed like this */
};

/* Failures that looked alike before they were reduced. */
struct torture_group {
	char *name;
	uint64_t failures;
	size_t finding; /* index; SIZE_MAX: it did not fail again, or was not investigated */
	bool investigated;
};

struct torture_findings {
	pthread_mutex_t lock;
	/* Guarded by lock. */
	VECTOR(struct torture_finding) items;
	VECTOR(struct torture_group) groups;
	uint64_t failures;	/* rounds on which the check failed */
	uint64_t unreproduced; /* of these, in groups that did not fail again */
	uint64_t unexamined;   /* of these, in groups beyond the most that are investigated, or interrupted */
};

void torture_findings_init(struct torture_findings *findings);
void torture_findings_destroy(struct torture_findings *findings);

/*
 * A round of the job has failed like this. If it is the first of its group, it is repeated and reduced, on
 * the same job. The outcome may be taken over. 0, -EINTR, or another negative errno with a message.
 */
int torture_findings_add(struct torture_findings *findings, struct torture_job *job,
			 const struct torture_cut *cut, struct torture_outcome *outcome,
			 struct message *message);

/* After the last round: fill in the numbers. */
void torture_findings_finish(struct torture_findings *findings);

#endif
