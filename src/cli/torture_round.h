/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_TORTURE_ROUND_H
#define CLI_TORTURE_ROUND_H

/*
 * One job of a campaign: it runs the workload on a private daemon, lets the power fail at a given operation,
 * and runs the check. Each round begins with a fresh copy of the tree. Used by one thread.
 */

#include "cli/torture.h"
#include "cli/torture_daemon.h"

struct torture_job {
	const struct torture_settings *settings;
	struct torture_daemon daemon;
	struct torture_keeper keeper; /* of all commands */
	char *acknowledged; /* the path of a file with what the workload printed */
	char **environment;
	const char *image; /* the file of the region with the tree that the setup left */
	int interrupt_fd;  /* readable: end the round at once */
};

/* What the uncut run saw: the operations that changed the mount, in their order. */
struct torture_event {
	char *operation, *path;
	bool syncs;
};
/* Fences of programs between two operations. */
struct torture_fences {
	uint64_t after; /* so many operations */
	uint64_t count;
};
struct torture_events {
	VECTOR_FIELDS(struct torture_event);
	uint64_t omitted; /* later ones, of which the daemon kept no list */
	VECTOR(struct torture_fences) fences;
	uint64_t fence_count; /* of all of these */
	bool fences_omitted;  /* there may be later ones */
};
void torture_events_clear(struct torture_events *events);

/*
 * Makes the directory. `image` and `interrupt_fd` are the caller's; `image` may be NULL for a job that runs
 * the setup. 0 or a negative errno with a message.
 */
int torture_job_create(struct torture_job *job, const struct torture_settings *settings, const char *program,
		       const char *directory, const char *image, int interrupt_fd, struct message *message);
/* After torture_job_create(), whatever that returned. */
void torture_job_destroy(struct torture_job *job);

/*
 * Run the setup on an empty tree, and stop the daemon: job->daemon.image is then the tree that each round
 * begins with, of this job from here on. -EINVAL with a message: the setup failed. -EINTR: interrupted. Other
 * errors with a message.
 */
int torture_job_setup(struct torture_job *job, struct message *message);

/*
 * Run the workload to its end and then the check, without an outage, and list the operations. Results:
 * passed, failed, workload hung or failed.
 */
int torture_job_uncut(struct torture_job *job, struct torture_events *events, struct torture_outcome *outcome,
		      struct message *message);

/*
 * One round. The outcome must be all-zero; free it with torture_outcome_clear(), also after an error.
 * -EINTR: interrupted. Other errors: the round could not be run, with a message.
 */
int torture_job_cut(struct torture_job *job, const struct torture_cut *cut, struct torture_outcome *outcome,
		    struct message *message);

#endif
