/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/explore_depth.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/explore_cause.h"
#include "cli/explore_recovery.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/remove_tree.h"
#include "explore/checkpoint.h"
#include "explore/digests.h"

/* First states that are recorded: each takes as long as a hundred checks. */
#define RECORDED_MOST 64u
/* Of the traces of recoveries, which may be in memory: no recovery is recorded when there are so many. */
#define BYTES_MOST ((uint64_t)512 << 20)

/* A recovery that was recorded, and that is to be explored. */
struct kept_recovery {
	const struct explore_failure *first;
	uint64_t number; /* among those that were recorded, from 1 */
	char *directory; /* of its own */
	struct explore_recovery recovery;
};

struct depth_run {
	const struct explore_depth_task *task;
	struct explore_depth *depth;
	struct explore_digests seen; /* recoveries */
	VECTOR(struct kept_recovery) kept;
	uint64_t bytes; /* of their traces */
	struct explore_causes causes;
	struct explore_trial *trial; /* at the first state that was recorded last; NULL: none was */
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

static int record_first(struct depth_run *run, const struct explore_failure *first,
			const char *directory, struct explore_recovery *recovery)
{
	const struct explore_depth_task *task = run->task;
	int error;

	*recovery = (struct explore_recovery){ .fd = -1 };
	error = explore_trial_reach(task->fd, task->trace, task->points->items[first->point].after,
				    task->options, &run->trial, run->message);
	return error ? error :
		       record(run->trial, first->versions, task->options, directory, recovery, run->message);
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

/* The trial of a state of a recovery; `name` is the one for all of its shape. */
static int open_second(const struct explore_recovery *recovery, const char *name,
		       const struct explore_options *options, struct explore_trial **trial,
		       uint64_t **versions, struct message *message)
{
	CLEANUP_FREE char *here = explore_recovery_name_here(&recovery->facts, name);

	*trial = NULL;
	if (!here)
		return message_fail(message, -ENOMEM, "out of memory");
	return open_state(recovery->fd, recovery->name, here, options, trial, versions, message);
}

static bool same_shape(const struct explore_recovery *one, const struct explore_recovery *other)
{
	return one->facts.shape.low == other->facts.shape.low &&
	       one->facts.shape.high == other->facts.shape.high;
}

/* A digest in a name, in which it need only tell that a recovery does something else. */
static char *recovery_text(const struct explore_recovery_facts *facts)
{
	char *text;

	return asprintf(&text, "%08" PRIx32, (uint32_t)facts->shape.low) < 0 ? NULL : text;
}

/* ---- Exploring a recovery ----------------------------------------------------------------------- */

static unsigned seconds_left(const struct depth_run *run)
{
	const uint64_t now = clock_ms();

	if (run->until_ms == UINT64_MAX)
		return 0;
	return now < run->until_ms ? (unsigned)((run->until_ms - now + 999) / 1000) : 1;
}

/*
 * Does the checker fail on the state of this name, which is for all of the shape, in a recovery that was
 * recorded again?
 */
static int fails_again(const struct depth_run *run, const struct explore_recovery *again,
		       const char *directory, const char *name, bool *fails)
{
	struct explore_options options = *run->task->options;
	CLEANUP_FREE uint64_t *versions = NULL;
	struct explore_verdict verdict;
	struct explore_trial *trial;
	int error;

	options.directory = directory;
	options.first = &again->first;
	error = open_second(again, name, &options, &trial, &versions, run->message);
	if (!error)
		error = explore_trial_check(trial, versions, &verdict, run->message);
	explore_trial_close(trial);
	*fails = !error && verdict.result != EXPLORE_PASSED;
	return error;
}

/*
 * Drop the findings that do not happen again when the recovery is recorded again, as a replay does. What
 * is stored may differ, for instance the number of a thread that holds a lock; events and their places may
 * not.
 */
static int drop_unstable(struct depth_run *run, const struct explore_failure *first, const char *directory,
			 const struct explore_recovery *recovery, struct explore_findings *findings)
{
	CLEANUP_FREE char *place = NULL;
	struct explore_recovery again;
	size_t kept = 0;
	bool alike;
	int error;

	if (asprintf(&place, "%s/again", directory) < 0) {
		place = NULL;
		return -ENOMEM;
	}
	error = record_first(run, first, place, &again);
	alike = !error && again.verdict.result == EXPLORE_PASSED && same_shape(&again, recovery);
	for (size_t i = 0; !error && i < findings->count; i++) {
		const struct explore_finding finding = findings->items[i];
		bool fails = false;

		if (alike)
			error = fails_again(run, &again, place, finding.name, &fails);
		if (fails) {
			findings->items[i] = findings->items[kept];
			findings->items[kept++] = finding;
		} else if (alike || again.verdict.result != EXPLORE_PASSED) {
			run->depth->unstable += finding.states;
		} else {
			run->depth->reordered += finding.states;
		}
	}
	explore_findings_keep(findings, kept);
	explore_recovery_clear(&again);
	remove_tree(place);
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
						 &run->trial, &second.first, run->message);
	if (!error)
		error = vector_append(&run->depth->seconds, second);
	if (error)
		second_clear(&second);
	else
		run->depth->findings += second.findings.count;
	return error;
}

/* Give the findings of a recovery the names that are for all of its shape. */
static int name_for_all(const struct explore_recovery *recovery, struct explore_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		char *name = explore_recovery_name_for_all(&recovery->facts, findings->items[i].name);

		if (!name)
			return -ENOMEM;
		free(findings->items[i].name);
		findings->items[i].name = name;
	}
	return 0;
}

/* Keep those findings whose cause no recovery before had, and that happen again. */
static int judge(struct depth_run *run, const struct kept_recovery *kept, struct explore_recovery *recovery,
		 struct explore_findings *findings)
{
	const struct explore_failure *first = kept->first;
	int error;

	run->depth->unstable += findings->unstable;
	run->depth->unreduced += findings->unreduced;
	error = explore_causes_keep_new(&run->causes, recovery->fd, recovery->name, findings, run->message);
	if (!error)
		error = name_for_all(recovery, findings);
	if (!error && findings->count)
		error = drop_unstable(run, first, kept->directory, recovery, findings);
	return error || !findings->count ? error : add_second(run, first, recovery, findings);
}

static char *progress_path(const struct explore_progress *progress, uint64_t number)
{
	char *path;

	return asprintf(&path, "%s.%" PRIu64, progress->path, number) < 0 ? NULL : path;
}

void explore_depth_forget(const struct explore_progress *progress)
{
	if (!progress->path)
		return;
	unlink(progress->path);
	for (uint64_t number = 1; number <= RECORDED_MOST; number++) {
		CLEANUP_FREE char *path = progress_path(progress, number);

		if (path)
			unlink(path);
	}
}

/*
 * Go on with the search at crashes of this recovery, if it was begun before and the recovery has stored the
 * same then. Else the search begins anew: what was found does not depend on it.
 */
static int open_progress(struct depth_run *run, const struct kept_recovery *kept, size_t points,
			 struct explore_failures *failures, struct explore_checkpoint **out)
{
	const struct explore_progress *progress = run->task->progress;
	const struct explore_digest contents = kept->recovery.facts.contents;
	CLEANUP_FREE char *path = progress->path ? progress_path(progress, kept->number) : NULL;
	char identity[EXPLORE_IDENTITY_MAX + 1];
	int error = -EINVAL;

	if (!progress->path)
		return 0;
	if (!path)
		return -ENOMEM;
	snprintf(identity, sizeof(identity), "%.28s-%016" PRIx64 "%016" PRIx64, progress->identity,
		 contents.low, contents.high);
	if (progress->resume)
		error = explore_checkpoint_open(path, identity, true, points, failures, NULL, out,
						run->message);
	if (error != -EINVAL)
		return error;
	run->message->text[0] = '\0';
	return explore_checkpoint_open(path, identity, false, points, failures, NULL, out, run->message);
}

static int explore_recovery(struct depth_run *run, struct kept_recovery *kept, uint64_t states)
{
	struct explore_recovery *recovery = &kept->recovery;
	struct explore_options options = *run->task->options;
	struct explore_failures failures = { 0 };
	struct explore_findings findings = { 0 };
	struct explore_points points = { 0 };
	struct explore_summary summary = { 0 };
	int error = explore_points_find(recovery->fd, recovery->name, &options.walk, &points, run->message);

	options.states = states;
	options.seconds = seconds_left(run);
	options.directory = kept->directory;
	options.first = &recovery->first;
	options.recovered = NULL;
	options.at = UINT64_MAX;
	/* A first state belongs to one shard, with all that follows from it. */
	options.shard = options.shards = 0;
	options.progress = NULL;
	if (!error)
		error = open_progress(run, kept, points.count, &failures, &options.checkpoint);
	if (!error)
		error = explore_search(recovery->fd, recovery->name, &points, &options, &failures, &summary,
				       run->message);
	explore_points_leave_end(&points);
	explore_checkpoint_close(options.checkpoint);
	run->depth->checked += summary.checked;
	run->depth->failures += failures.count;
	run->depth->complete = run->depth->complete && summary.limit == EXPLORE_LIMIT_NONE;
	if (!error)
		error = explore_findings_make(recovery->fd, recovery->name, &points, &options, &failures,
					      &findings, run->message);
	if (!error)
		error = judge(run, kept, recovery, &findings);
	explore_findings_clear(&findings);
	explore_failures_clear(&failures);
	explore_points_clear(&points);
	return error;
}

/* ---- All of them ------------------------------------------------------------------------------------ */

/* Remove what was recorded, unless a finding needs the trace until it is printed: then its name is taken. */
static void kept_clear(struct kept_recovery *kept)
{
	if (kept->recovery.name && kept->directory)
		remove_tree(kept->directory);
	explore_recovery_clear(&kept->recovery);
	free(kept->directory);
}

static uint64_t trace_bytes(const struct explore_recovery *recovery)
{
	struct stat st;

	return fstat(recovery->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* Record the recovery from a state, and keep it if there was none like it. */
static int record_one(struct depth_run *run, const struct explore_failure *first)
{
	const char *directory = run->task->options->directory;
	struct explore_depth *depth = run->depth;
	struct kept_recovery kept = {
		.first = first, .number = depth->recorded + 1, .recovery = { .fd = -1 }
	};
	bool is_new = false;
	int error;

	if (asprintf(&kept.directory, "%s/recovery-%" PRIu64, directory, kept.number) < 0) {
		kept.directory = NULL;
		return -ENOMEM;
	}
	error = record_first(run, first, kept.directory, &kept.recovery);
	depth->recorded += !error;
	if (!error && kept.recovery.verdict.result != EXPLORE_PASSED)
		depth->failed++;
	else if (!error && kept.recovery.facts.writes)
		error = explore_digests_add(&run->seen, kept.recovery.facts.contents, &is_new);
	if (!error && is_new)
		error = vector_append(&run->kept, kept);
	if (!error && is_new) {
		run->bytes += trace_bytes(&kept.recovery);
		return 0;
	}
	depth->equal += !error && kept.recovery.verdict.result == EXPLORE_PASSED;
	kept_clear(&kept);
	return error;
}

/* Half of the time at most is for recording. */
static int record_all(struct depth_run *run)
{
	const struct explore_failures *recovered = run->task->recovered;
	const uint64_t now = clock_ms();
	const uint64_t until_ms =
		run->until_ms == UINT64_MAX ? UINT64_MAX : now + (run->until_ms - now) / 2;
	int error = 0;

	for (size_t i = 0; !error && i < recovered->count && i < RECORDED_MOST && clock_ms() < until_ms &&
			   run->bytes < BYTES_MOST && run->task->options->states;
	     i++)
		error = record_one(run, &recovered->items[i]);
	run->depth->left_out = recovered->count - run->depth->recorded;
	return error;
}

static int explore_all(struct depth_run *run)
{
	int error = 0;

	for (size_t i = 0; !error && i < run->kept.count; i++) {
		const uint64_t states = run->task->options->states;
		const uint64_t left = states - min_u64(states, run->depth->checked);
		/* The same share for each of those that are left. */
		const uint64_t share = left / (run->kept.count - i);

		if (share && clock_ms() < run->until_ms)
			error = explore_recovery(run, &run->kept.items[i], share);
		else
			run->depth->left_out++;
	}
	return error;
}

int explore_depth_run(const struct explore_depth_task *task, struct explore_depth *depth,
		      struct message *message)
{
	const unsigned seconds = task->options->seconds;
	struct depth_run run = {
		.task = task,
		.depth = depth,
		.until_ms = seconds ? clock_ms() + (uint64_t)seconds * 1000 : UINT64_MAX,
		.message = message,
	};
	int error;

	*depth = (struct explore_depth){ .recovered = task->recovered->count, .complete = true };
	error = record_all(&run);
	if (!error)
		error = explore_all(&run);
	depth->complete = depth->complete && !depth->left_out && !depth->failed;
	if (error && !message->text[0])
		message_fail(message, error, "%s", strerror(-error));
	for (size_t i = 0; i < run.kept.count; i++)
		kept_clear(&run.kept.items[i]);
	explore_trial_close(run.trial);
	vector_free(&run.kept);
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
	return open_second(state->recovery, second, &state->options, &state->trial, &state->versions,
			   message);
}

void explore_depth_close(struct explore_depth_state *state)
{
	explore_trial_close(state->trial);
	free(state->versions);
	if (state->recovery)
		explore_recovery_clear(state->recovery);
	free(state->recovery);
}
