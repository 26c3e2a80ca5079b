/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/explore_depth.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/explore_cause.h"
#include "cli/explore_recovery.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/remove_tree.h"
#include "explore/digests.h"

/* First states that are recorded: each takes as long as a hundred checks. */
#define RECORDED_MOST 64u

struct depth_run {
	const struct explore_depth_task *task;
	struct explore_depth *depth;
	struct explore_digests seen; /* recoveries */
	struct explore_causes causes;
	uint64_t until_ms;
	struct message *message;
};

static void second_clear(struct explore_second *second)
{
	explore_findings_clear(&second->first);
	explore_findings_clear(&second->findings);
	free(second->trace);
	free(second->recovery);
}

void explore_depth_clear(struct explore_depth *depth)
{
	for (size_t i = 0; i < depth->seconds.count; i++)
		second_clear(&depth->seconds.items[i]);
	vector_free(&depth->seconds);
}

/* ---- Recording ------------------------------------------------------------------------------ */

/* Record the recovery from a state of a trial; the directory is made. */
static int record(const struct explore_trial *trial, const uint64_t *versions,
		  const struct explore_options *options, const char *directory,
		  struct explore_recovery *recovery, struct message *message)
{
	const struct explore_state state = { .walk = explore_trial_walk(trial),
					     .places = explore_trial_places(trial),
					     .versions = versions };

	*recovery = (struct explore_recovery){ .fd = -1 };
	if (mkdir(directory, 0700) < 0)
		return message_fail(message, -errno, "%s: %s", directory, strerror(errno));
	return explore_recovery_record(&state, options, directory, recovery, message);
}

static int record_first(const struct depth_run *run, const struct explore_failure *first,
			const char *directory, struct explore_recovery *recovery)
{
	const struct explore_depth_task *task = run->task;
	struct explore_trial *trial;
	int error;

	*recovery = (struct explore_recovery){ .fd = -1 };
	error = explore_trial_open(task->fd, task->trace, task->points->items[first->point].after,
				   task->options, &trial, run->message);
	if (error)
		return error;
	error = record(trial, first->versions, task->options, directory, recovery, run->message);
	explore_trial_close(trial);
	return error;
}

/* A digest in a name, in which it need only tell that a recovery did something else. */
static char *recovery_text(const struct explore_recovery_facts *facts)
{
	char *text;

	return asprintf(&text, "%08" PRIx32, (uint32_t)facts->digest.low) < 0 ? NULL : text;
}

/* ---- Exploring a recovery ----------------------------------------------------------------------- */

static unsigned seconds_left(const struct depth_run *run)
{
	const uint64_t now = clock_ms();

	if (run->until_ms == UINT64_MAX)
		return 0;
	return now < run->until_ms ? (unsigned)((run->until_ms - now + 999) / 1000) : 1;
}

/* What is found of a recovery is told if it happens again when the recovery is recorded again. */
static int repeats(const struct depth_run *run, const struct explore_failure *first, const char *directory,
		   const struct explore_recovery *recovery, bool *same)
{
	CLEANUP_FREE char *again = NULL;
	struct explore_recovery other;
	int error;

	if (asprintf(&again, "%s/again", directory) < 0) {
		again = NULL;
		return -ENOMEM;
	}
	error = record_first(run, first, again, &other);
	*same = !error && other.verdict.result == EXPLORE_PASSED &&
		other.facts.digest.low == recovery->facts.digest.low &&
		other.facts.digest.high == recovery->facts.digest.high;
	explore_recovery_clear(&other);
	remove_tree(again);
	return error;
}

static int add_second(struct depth_run *run, const struct explore_failure *first,
		      struct explore_recovery *recovery, struct explore_findings *findings)
{
	const struct explore_depth_task *task = run->task;
	struct explore_second second = { .findings = *findings, .recovery = recovery_text(&recovery->facts) };
	int error = second.recovery ? 0 : -ENOMEM;

	*findings = (struct explore_findings){ 0 };
	second.trace = steal_pointer(&recovery->name);
	if (!error)
		error = explore_finding_describe(task->fd, task->trace, task->points, task->options, first,
						 &second.first, run->message);
	if (!error)
		error = vector_append(&run->depth->seconds, second);
	if (error)
		second_clear(&second);
	else
		run->depth->findings += second.findings.count;
	return error;
}

/* Keep those findings whose cause no recovery before had. */
static int judge(struct depth_run *run, const struct explore_failure *first, const char *directory,
		 struct explore_recovery *recovery, struct explore_findings *findings)
{
	struct explore_depth *depth = run->depth;
	bool same = true;
	int error = explore_causes_keep_new(&run->causes, recovery->fd, recovery->name, findings,
					    run->message);

	depth->unstable += findings->unstable;
	depth->unreduced += findings->unreduced;
	if (!error && findings->count)
		error = repeats(run, first, directory, recovery, &same);
	if (error || !findings->count)
		return error;
	if (same)
		return add_second(run, first, recovery, findings);
	for (size_t i = 0; i < findings->count; i++)
		depth->unstable += findings->items[i].states;
	return 0;
}

static int explore_recovery(struct depth_run *run, const struct explore_failure *first, uint64_t states,
			    const char *directory, struct explore_recovery *recovery)
{
	struct explore_options options = *run->task->options;
	struct explore_failures failures = { 0 };
	struct explore_findings findings = { 0 };
	struct explore_points points = { 0 };
	struct explore_summary summary = { 0 };
	int error = explore_points_find(recovery->fd, recovery->name, &options.walk, &points, run->message);

	options.states = states;
	options.seconds = seconds_left(run);
	options.directory = directory;
	options.first = &recovery->first;
	options.recovered = NULL;
	options.at = UINT64_MAX;
	/* A first state belongs to one shard, with all that follows from it. */
	options.shard = options.shards = 0;
	options.progress = NULL;
	if (!error)
		error = explore_search(recovery->fd, recovery->name, &points, &options, &failures, &summary,
				       run->message);
	run->depth->checked += summary.checked;
	run->depth->failures += failures.count;
	run->depth->complete = run->depth->complete && summary.limit == EXPLORE_LIMIT_NONE;
	if (!error)
		error = explore_findings_make(recovery->fd, recovery->name, &points, &options, &failures,
					      &findings, run->message);
	if (!error)
		error = judge(run, first, directory, recovery, &findings);
	explore_findings_clear(&findings);
	explore_failures_clear(&failures);
	explore_points_clear(&points);
	return error;
}

/* ---- All of them ------------------------------------------------------------------------------------ */

static int try_first(struct depth_run *run, const struct explore_failure *first, uint64_t states,
		     const char *directory)
{
	struct explore_depth *depth = run->depth;
	struct explore_recovery recovery;
	bool is_new = false;
	int error = record_first(run, first, directory, &recovery);

	depth->recorded += !error;
	if (!error && recovery.verdict.result != EXPLORE_PASSED)
		depth->failed++;
	else if (!error)
		error = explore_digests_add(&run->seen, recovery.facts.digest, &is_new);
	if (!error && recovery.verdict.result == EXPLORE_PASSED && !(is_new && recovery.facts.writes))
		depth->equal++;
	else if (!error && is_new)
		error = explore_recovery(run, first, states, directory, &recovery);
	/* The trace of findings is needed until they are printed; its name is taken then. */
	if (recovery.name)
		remove_tree(directory);
	explore_recovery_clear(&recovery);
	return error;
}

int explore_depth_run(const struct explore_depth_task *task, struct explore_depth *depth,
		      struct message *message)
{
	const struct explore_options *options = task->options;
	const size_t count = (size_t)min_u64(task->recovered->count, RECORDED_MOST);
	struct depth_run run = {
		.task = task,
		.depth = depth,
		.until_ms =
			options->seconds ? clock_ms() + (uint64_t)options->seconds * 1000 : UINT64_MAX,
		.message = message,
	};
	size_t tried = 0;
	int error = 0;

	*depth = (struct explore_depth){ .recovered = task->recovered->count, .complete = true };
	for (; !error && tried < count && clock_ms() < run.until_ms; tried++) {
		const uint64_t left = options->states - min_u64(options->states, depth->checked);
		/* The same share for each of those that are left, whatever there is to find. */
		const uint64_t share = left / (count - tried);
		CLEANUP_FREE char *directory = NULL;

		if (!share)
			break;
		if (asprintf(&directory, "%s/recovery-%zu", options->directory, tried + 1) < 0)
			directory = NULL;
		error = directory ? try_first(&run, &task->recovered->items[tried], share, directory) :
				    -ENOMEM;
	}
	depth->left_out = task->recovered->count - tried;
	depth->complete = depth->complete && !depth->left_out && !depth->failed;
	if (error && !message->text[0])
		message_fail(message, error, "%s", strerror(-error));
	explore_causes_clear(&run.causes);
	explore_digests_clear(&run.seen);
	return error;
}

/* ---- Names of states -------------------------------------------------------------------------------- */

char *explore_depth_name(const struct explore_second *second, const struct explore_finding *finding)
{
	char *name;

	return asprintf(&name, "%s/%s/%s", second->first.items[0].name, second->recovery, finding->name) < 0 ?
		       NULL :
		       name;
}

bool explore_depth_is_name(const char *name)
{
	return strchr(name, '/');
}

/* The trial of a state that `name` names, and its versions. */
static int open_state(int fd, const char *trace, const char *name, const struct explore_options *options,
		      struct explore_trial **trial, uint64_t **versions, struct message *message)
{
	uint64_t after;
	int error;

	*trial = NULL;
	if (explore_state_name_event(name, &after) < 0)
		return message_fail(message, -EINVAL,
				    "'%s' is not the name of a state: copy it from a finding", name);
	error = explore_trial_open(fd, trace, after, options, trial, message);
	return error ? error : explore_state_name_parse(*trial, name, versions, message);
}

static int record_again(int fd, const char *trace, const char *first, const char *expected,
			const struct explore_options *options, const char *directory,
			struct explore_recovery *recovery, struct message *message)
{
	CLEANUP_FREE uint64_t *versions = NULL;
	CLEANUP_FREE char *text = NULL;
	struct explore_trial *trial;
	int error = open_state(fd, trace, first, options, &trial, &versions, message);

	if (!error)
		error = record(trial, versions, options, directory, recovery, message);
	explore_trial_close(trial);
	if (error)
		return error;
	if (recovery->verdict.result != EXPLORE_PASSED)
		return message_fail(message, -EAGAIN, "the checker does not recover from the state %s: %s",
				    first, recovery->verdict.output);
	text = recovery_text(&recovery->facts);
	if (text && strcmp(text, expected) != 0)
		return message_fail(message, -EAGAIN,
				    "the recovery from the state %s does something else than when it was "
				    "explored (%s, not %s): give the same checker; is it deterministic?",
				    first, text, expected);
	return text ? 0 : message_fail(message, -ENOMEM, "out of memory");
}

int explore_depth_open(int fd, const char *trace, const char *name, const struct explore_options *options,
		       struct explore_depth_state *state, struct message *message)
{
	CLEANUP_FREE char *first = strdup(name), *directory = NULL;
	char *expected = first ? strchr(first, '/') : NULL;
	char *second = expected ? strchr(expected + 1, '/') : NULL;
	int error;

	*state = (struct explore_depth_state){ .options = *options,
					       .recovery = calloc(1, sizeof(*state->recovery)) };
	if (state->recovery)
		state->recovery->fd = -1;
	if (asprintf(&directory, "%s/recovery", options->directory) < 0)
		directory = NULL;
	if (!state->recovery || !first || !directory)
		return message_fail(message, -ENOMEM, "out of memory");
	if (!second)
		return message_fail(message, -EINVAL,
				    "'%s' is not the name of a state: copy it from a finding", name);
	*expected++ = '\0';
	*second++ = '\0';
	error = record_again(fd, trace, first, expected, options, directory, state->recovery, message);
	if (error)
		return error;
	state->options.first = &state->recovery->first;
	return open_state(state->recovery->fd, state->recovery->name, second, &state->options, &state->trial,
			  &state->versions, message);
}

void explore_depth_close(struct explore_depth_state *state)
{
	explore_trial_close(state->trial);
	free(state->versions);
	if (state->recovery)
		explore_recovery_clear(state->recovery);
	free(state->recovery);
}
