/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/search.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "explore/checkpoint.h"
#include "explore/digests.h"
#include "explore/worker.h"

#define PROGRESS_MS 1000
/* How often the checkpoint is told: so much is checked again after an interruption. */
#define CHECKPOINT_MS 200
/* How often workers are looked at. */
#define TICK_MS 50

struct helper {
	pid_t pid;   /* 0: not running */
	int results; /* the reading end */
	bool killed; /* because its checker hung */
	char *directory;
	struct explore_worker worker;
	struct explore_worker_crash crash;
	VECTOR(unsigned char) received; /* of a failure that has not come whole yet */
};

struct search_run {
	int fd;
	const char *name;
	const struct explore_points *points;
	const struct explore_options *options;
	struct explore_failures *failures;
	struct message *message;
	uint64_t until_ms;
	struct helper *helpers;
	struct explore_worker_state *states; /* shared, one a helper */
	size_t saved, saved_recovered; /* failures and recoveries that the checkpoint has */
	uint64_t saved_ms;
	int error;
};

/* Take whole failures out of what was received. */
static int take_failures(struct search_run *run, struct helper *helper)
{
	size_t at = 0;

	while (helper->received.count - at >= sizeof(struct explore_failure)) {
		struct explore_failure failure;
		size_t size;

		memcpy(&failure, helper->received.items + at, sizeof(failure));
		size = failure.places * sizeof(*failure.versions);
		if (helper->received.count - at - sizeof(failure) < size)
			break;
		failure.versions = malloc(size + 1);
		if (!failure.versions)
			return -ENOMEM;
		memcpy(failure.versions, helper->received.items + at + sizeof(failure), size);
		if (vector_append(failure.verdict.result == EXPLORE_PASSED ? run->options->recovered :
									     run->failures,
				  failure)) {
			free(failure.versions);
			return -ENOMEM;
		}
		at += sizeof(failure) + size;
	}
	memmove(helper->received.items, helper->received.items + at, helper->received.count - at);
	helper->received.count -= at;
	return 0;
}

/* Read what a helper has sent. False: that was its end. */
static bool receive(struct search_run *run, struct helper *helper)
{
	ssize_t got;

	if (vector_reserve(&helper->received, 1 << 16)) {
		run->error = -ENOMEM;
		return false;
	}
	got = read(helper->results, helper->received.items + helper->received.count, 1 << 16);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	helper->received.count += (size_t)got;
	if (!run->error)
		run->error = take_failures(run, helper);
	return got > 0;
}

static int helper_start(struct search_run *run, struct helper *helper)
{
	char path[64];
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	/* Through /proc, because a descriptor that is inherited shares its file position. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", run->fd);
	fflush(NULL);
	helper->pid = fork();
	if (helper->pid == 0) {
		close(ends[0]);
		/* A worker does not outlive the search, however that ends. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		helper->worker.fd = open(path, O_RDONLY | O_CLOEXEC);
		helper->worker.results = ends[1];
		if (helper->worker.fd < 0)
			_exit(1);
		explore_worker_run(&helper->worker);
	}
	close(ends[1]);
	helper->results = ends[0];
	helper->killed = false;
	if (helper->pid < 0) {
		helper->pid = 0;
		close(ends[0]);
		return -errno;
	}
	return 0;
}

static uint64_t begin_of(const struct search_run *run)
{
	return run->options->checkpoint ? explore_checkpoint_from(run->options->checkpoint) : 0;
}

static int helper_prepare(struct search_run *run, unsigned number)
{
	struct helper *helper = &run->helpers[number];

	helper->worker = (struct explore_worker){
		.name = run->name,
		.points = run->points,
		.options = run->options,
		.number = number,
		.state = &run->states[number],
		.until_ms = run->until_ms,
		.from = begin_of(run),
		.resumed = begin_of(run),
	};
	if (asprintf(&helper->directory, "%s/worker-%u", run->options->directory, number) < 0) {
		helper->directory = NULL;
		return -ENOMEM;
	}
	helper->worker.directory = helper->directory;
	if (mkdir(helper->directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	return helper_start(run, helper);
}

/* A worker ended during a check. Its successor reports that as the result of the state. */
static int helper_restart(struct search_run *run, struct helper *helper, int status, uint64_t running)
{
	struct explore_verdict *verdict = &helper->crash.verdict;

	helper->crash.sequence = running - 1;
	*verdict = (struct explore_verdict){ .result = EXPLORE_TIMED_OUT };
	if (!helper->killed && WIFSIGNALED(status)) {
		verdict->result = EXPLORE_SIGNALED;
		verdict->code = WTERMSIG(status);
	} else if (!helper->killed) {
		verdict->result = EXPLORE_FAILED;
		verdict->code = WEXITSTATUS(status);
	}
	helper->worker.crash = &helper->crash;
	helper->worker.from = max_u64(helper->worker.resumed, running - 1);
	atomic_store(&helper->worker.state->running, 0);
	return helper_start(run, helper);
}

/* Its pipe has ended: so has it. */
static int helper_ended(struct search_run *run, struct helper *helper)
{
	struct explore_worker_state *state = helper->worker.state;
	uint64_t running = atomic_load(&state->running);
	int status = 0;

	while (waitpid(helper->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(helper->results);
	helper->pid = 0;
	helper->received.count = 0;
	if (state->done)
		return state->error ? message_fail(run->message, state->error, "%s", state->message.text) : 0;
	if (running)
		return helper_restart(run, helper, status, running);
	return message_fail(run->message, -ECHILD, "a worker of the search ended unexpectedly (status %#x)",
			    (unsigned)status);
}

/* A shared object that hangs can only be ended with its worker. */
static void kill_hung(const struct search_run *run, struct helper *helper)
{
	const struct explore_worker_state *state = helper->worker.state;
	const uint64_t limit = explore_checker_limit_ms(run->options->how, run->options->timeout_ms);

	if (helper->pid && !helper->killed && atomic_load(&state->running) &&
	    clock_ms() > atomic_load(&state->started_ms) + limit) {
		helper->killed = true;
		kill(-helper->pid, SIGKILL);
	}
}

static void stop_all(struct search_run *run)
{
	for (unsigned i = 0; i < run->options->workers; i++)
		atomic_store(&run->states[i].stop, true);
}

static void tell_progress(const struct search_run *run, uint64_t *told_ms)
{
	uint64_t checked = 0;

	if (!run->options->progress || clock_ms() < *told_ms + PROGRESS_MS)
		return;
	*told_ms = clock_ms();
	for (unsigned i = 0; i < run->options->workers; i++)
		checked += atomic_load(&run->states[i].checked);
	run->options->progress(run->options->context, checked, run->failures->count);
}

/* Take what is in a helper's pipe now. */
static void drain(struct search_run *run, struct helper *helper)
{
	struct pollfd poll_for = { .fd = helper->results, .events = POLLIN };

	/* The end of the pipe is left to attend(). */
	while (helper->pid && !run->error && poll(&poll_for, 1, 0) > 0 && poll_for.revents & POLLIN)
		if (!receive(run, helper))
			break;
}

/* What was found since the last time. */
static int save_found(struct explore_checkpoint *checkpoint, const struct explore_failures *found,
		      size_t *saved)
{
	const size_t count = found->count - *saved;
	/* An empty vector has no items to count from. */
	int error = count ? explore_checkpoint_add(checkpoint, &found->items[*saved], count) : 0;

	*saved = found->count;
	return error;
}

/*
 * Tell the checkpoint how far all workers are. The failures of the states before that are in the pipes when
 * a worker says that it has passed them.
 */
static void save(struct search_run *run, bool now)
{
	struct explore_checkpoint *checkpoint = run->options->checkpoint;
	uint64_t passed = UINT64_MAX;
	int error;

	if (!checkpoint || run->error || (!now && clock_ms() < run->saved_ms + CHECKPOINT_MS))
		return;
	run->saved_ms = clock_ms();
	for (unsigned i = 0; i < run->options->workers; i++)
		passed = min_u64(passed, atomic_load(&run->states[i].passed));
	if (passed <= explore_checkpoint_from(checkpoint))
		return;
	for (unsigned i = 0; i < run->options->workers; i++)
		drain(run, &run->helpers[i]);
	error = run->error ? run->error : save_found(checkpoint, run->failures, &run->saved);
	if (!error && run->options->recovered)
		error = save_found(checkpoint, run->options->recovered, &run->saved_recovered);
	if (!error)
		error = explore_checkpoint_pass(checkpoint, passed);
	if (error && !run->error)
		run->error = message_fail(run->message, error, "cannot keep the progress of the search: %s",
					  strerror(-error));
}

/* Until all helpers have ended. */
static void attend(struct search_run *run)
{
	const unsigned count = run->options->workers;
	uint64_t told_ms = clock_ms();
	unsigned running = count;

	while (running) {
		running = 0;
		for (unsigned i = 0; i < count; i++) {
			struct helper *helper = &run->helpers[i];
			struct pollfd poll_for = { .fd = helper->results, .events = POLLIN };

			if (!helper->pid)
				continue;
			running++;
			kill_hung(run, helper);
			if (poll(&poll_for, 1, TICK_MS / (int)count + 1) > 0 && !receive(run, helper)) {
				int error = helper_ended(run, helper);

				if (error && !run->error)
					run->error = error;
			}
		}
		if (run->error || run->failures->count >= run->options->most_failures)
			stop_all(run);
		tell_progress(run, &told_ms);
		save(run, false);
	}
}

static int compare_failures(const void *a, const void *b)
{
	const struct explore_failure *one = a, *other = b;

	return one->sequence < other->sequence ? -1 : one->sequence > other->sequence;
}

static void sum_up(const struct search_run *run, struct explore_summary *summary)
{
	*summary = (struct explore_summary){ .limit = EXPLORE_LIMIT_NONE };
	for (unsigned i = 0; i < run->options->workers; i++) {
		const struct explore_worker_state *state = &run->states[i];

		summary->checked += atomic_load(&state->checked) + state->resumed;
		/* All workers generate the same states. */
		summary->generated = max_u64(summary->generated, atomic_load(&state->generated));
		summary->points = max_u64(summary->points, state->points);
		summary->exhausted = max_u64(summary->exhausted, state->exhausted);
		summary->equal = max_u64(summary->equal, state->equal);
		summary->legal = max_u64(summary->legal, state->legal);
		if (state->limit > summary->limit)
			summary->limit = state->limit;
	}
	if (run->failures->count)
		qsort(run->failures->items, run->failures->count, sizeof(*run->failures->items),
		      compare_failures);
}

/*
 * Each worker has told the first state of its own for each change. The first of all is among them, whatever
 * the number of workers.
 */
static int sort_recovered(struct explore_failures *recovered)
{
	struct explore_digests seen = { 0 };
	size_t kept = 0;
	bool is_new;
	int error = 0;

	if (recovered->count)
		qsort(recovered->items, recovered->count, sizeof(*recovered->items), compare_failures);
	for (size_t i = 0; i < recovered->count; i++) {
		if (!error)
			error = explore_digests_add(&seen, recovered->items[i].verdict.changes, &is_new);
		if (!error && is_new)
			recovered->items[kept++] = recovered->items[i];
		else
			free(recovered->items[i].versions);
	}
	recovered->count = kept;
	explore_digests_clear(&seen);
	return error;
}

int explore_search(int fd, const char *name, const struct explore_points *points,
		   const struct explore_options *options, struct explore_failures *failures,
		   struct explore_summary *summary, struct message *message)
{
	const size_t size = options->workers * sizeof(struct explore_worker_state);
	struct search_run run = {
		.fd = fd,
		.name = name,
		.points = points,
		.options = options,
		.failures = failures,
		.message = message,
		.until_ms =
			options->seconds ? clock_ms() + (uint64_t)options->seconds * 1000 : UINT64_MAX,
	};

	run.helpers = calloc(options->workers, sizeof(*run.helpers));
	run.states = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!run.helpers || run.states == MAP_FAILED) {
		free(run.helpers);
		return message_fail(message, -ENOMEM, "out of memory");
	}
	for (unsigned i = 0; !run.error && i < options->workers; i++) {
		run.error = helper_prepare(&run, i);
		if (run.error)
			message_fail(message, run.error, "cannot start a worker: %s", strerror(-run.error));
	}
	run.saved = failures->count;
	run.saved_recovered = options->recovered ? options->recovered->count : 0;
	attend(&run);
	save(&run, true);
	if (run.error && !message->text[0])
		message_fail(message, run.error, "%s", strerror(-run.error));
	sum_up(&run, summary);
	if (options->recovered && !run.error) {
		run.error = sort_recovered(options->recovered);
		if (run.error)
			message_fail(message, run.error, "out of memory");
	}
	for (unsigned i = 0; i < options->workers; i++) {
		vector_free(&run.helpers[i].received);
		free(run.helpers[i].directory);
	}
	free(run.helpers);
	munmap(run.states, size);
	return run.error;
}

const char *explore_limit_name(enum explore_limit limit)
{
	static const char *const names[] = {
		[EXPLORE_LIMIT_NONE] = "none",	       [EXPLORE_LIMIT_CHANCE] = "chance",
		[EXPLORE_LIMIT_STATES] = "states",     [EXPLORE_LIMIT_FAILURES] = "failures",
		[EXPLORE_LIMIT_TIME] = "time",
	};

	return names[limit];
}

void explore_failures_clear(struct explore_failures *failures)
{
	for (size_t i = 0; i < failures->count; i++)
		free(failures->items[i].versions);
	vector_free(failures);
}

struct explore_checker_options explore_search_checker(const struct explore_options *options,
						      const char *directory)
{
	return (struct explore_checker_options){
		.argv = options->checker,
		.how = options->how,
		.engine = options->engine,
		.directory = directory,
		.timeout_ms = options->timeout_ms,
		.oracle = options->oracle,
		.first = options->first,
		.compares = options->recovered,
	};
}
