/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/torture_campaign.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/scratch.h"
#include "cli/torture_plan.h"
#include "common/cleanup.h"
#include "common/clock.h"

#define PROGRESS_MS 250

/* A campaign while it runs. */
struct running {
	struct torture_campaign *campaign;
	const struct torture_settings *settings;
	const struct torture_cut *only;
	const char *program, *directory;
	char *image; /* the file of the region that the setup left */
	int signal_fd;
	uint64_t began_ms, until_ms;
	uint64_t most; /* rounds; UINT64_MAX: no limit */
	_Atomic unsigned jobs; /* that have not ended */
	int ended_fd; /* an eventfd: readable once a job has ended */
	pthread_mutex_t lock;
	/* Guarded by lock. */
	struct torture_plan *plan;
	uint64_t started; /* rounds */
	bool stop;
	int error; /* the first one, that ended the campaign */
	struct message message;
};

void torture_campaign_init(struct torture_campaign *campaign)
{
	*campaign = (struct torture_campaign){ 0 };
	torture_findings_init(&campaign->findings);
}

void torture_campaign_destroy(struct torture_campaign *campaign)
{
	torture_findings_destroy(&campaign->findings);
	torture_events_clear(&campaign->events);
	torture_outcome_clear(&campaign->uncut);
}

/* ---- A job ---------------------------------------------------------------------------------- */

static bool next_cut(struct running *running, struct torture_cut *cut)
{
	LOCK_SCOPE(&running->lock);

	if (running->stop || clock_ms() >= running->until_ms || running->started >= running->most)
		return false;
	if (running->only) {
		*cut = *running->only;
		/* A set of what is lost belongs to its seed. */
		cut->seed += cut->lose_only ? 0 : running->started;
	} else if (!torture_plan_next(running->plan, cut)) {
		return false;
	}
	running->started++;
	return true;
}

static void count(struct running *running, const struct torture_outcome *outcome)
{
	struct torture_campaign *campaign = running->campaign;
	LOCK_SCOPE(&running->lock);

	switch (outcome->result) {
	case TORTURE_PASSED:
	case TORTURE_FAILED:
		campaign->runs++;
		break;
	case TORTURE_NOT_REACHED:
		campaign->not_reached++;
		break;
	case TORTURE_WORKLOAD_HUNG:
		campaign->hung++;
		break;
	case TORTURE_WORKLOAD_FAILED:
		campaign->workload_failed++;
		break;
	}
}

static int one_round(struct running *running, struct torture_job *job, const struct torture_cut *cut,
		     struct message *message)
{
	struct torture_outcome outcome = { 0 };
	int error = torture_job_cut(job, cut, &outcome, message);

	if (!error) {
		count(running, &outcome);
		if (outcome.result == TORTURE_FAILED)
			error = torture_findings_add(&running->campaign->findings, job, cut, &outcome,
						     message);
	}
	torture_outcome_clear(&outcome);
	return error;
}

/* The first error ends the campaign; a signal is no error. */
static void stop(struct running *running, int error, const struct message *message)
{
	LOCK_SCOPE(&running->lock);

	running->stop = true;
	if (error && error != -EINTR && !running->error) {
		running->error = error;
		running->message = *message;
	}
}

static int run_job(struct running *running, unsigned number, struct message *message)
{
	CLEANUP_FREE char *directory = NULL;
	struct torture_job job = { 0 };
	struct torture_cut cut;
	int error;

	if (asprintf(&directory, "%s/%u", running->directory, number) < 0) {
		directory = NULL;
		return message_fail(message, -ENOMEM, "out of memory");
	}
	error = torture_job_create(&job, running->settings, running->program, directory, running->image,
				   running->signal_fd, message);
	while (!error && next_cut(running, &cut))
		error = one_round(running, &job, &cut, message);
	torture_job_destroy(&job);
	return error;
}

struct job_argument {
	struct running *running;
	unsigned number;
	pthread_t thread;
	bool started;
};

static void *job_main(void *context)
{
	struct job_argument *argument = context;
	struct message message = { "" };
	int error = run_job(argument->running, argument->number, &message);

	if (error)
		stop(argument->running, error, &message);
	atomic_fetch_sub(&argument->running->jobs, 1);
	(void)!write(argument->running->ended_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	return NULL;
}

/* ---- All jobs ------------------------------------------------------------------------------- */

static void show_progress(struct running *running)
{
	const struct torture_settings *settings = running->settings;
	const double seconds = (double)(clock_ms() - running->began_ms) / 1000;
	double left = settings->seconds ? (double)settings->seconds - seconds : -1, rate;
	uint64_t done, findings;

	{
		LOCK_SCOPE(&running->lock);
		done = running->campaign->runs;
	}
	{
		LOCK_SCOPE(&running->campaign->findings.lock);
		findings = running->campaign->findings.items.count;
	}
	rate = seconds > 0 ? (double)done / seconds : 0;
	if (running->most != UINT64_MAX && rate > 0) {
		double rounds_left = (double)(running->most > done ? running->most - done : 0) / rate;

		left = left < 0 || rounds_left < left ? rounds_left : left;
	}
	fprintf(stderr, "\rsoftpmem: %" PRIu64, done);
	if (running->most != UINT64_MAX)
		fprintf(stderr, " of %" PRIu64, running->most);
	fprintf(stderr, " power failures, %.1f/s", rate);
	if (left >= 0)
		fprintf(stderr, ", %.0f s left", left);
	fprintf(stderr, ", findings: %" PRIu64 "\033[K", findings);
}

/* Wait for a signal, the end of a job, or so long. True: a signal came. */
static bool signal_came(const struct running *running, int milliseconds)
{
	struct pollfd fds[] = { { .fd = running->signal_fd, .events = POLLIN },
				{ .fd = running->ended_fd, .events = POLLIN } };
	uint64_t ended;

	if (poll(fds, 2, milliseconds) <= 0)
		return false;
	if (fds[1].revents)
		(void)!read(running->ended_fd, &ended, sizeof(ended));
	return fds[0].revents;
}

static void await_jobs(struct running *running)
{
	const bool shows = isatty(STDERR_FILENO);
	const struct message none = { "" };

	while (atomic_load(&running->jobs)) {
		if (signal_came(running, PROGRESS_MS)) {
			/* The jobs see it too: it stays unread. */
			running->campaign->interrupted = true;
			stop(running, 0, &none);
			break;
		}
		if (shows)
			show_progress(running);
	}
	if (shows)
		fputs("\r\033[K", stderr);
}

static int run_jobs(struct running *running, struct message *message)
{
	const unsigned count = running->settings->jobs;
	CLEANUP_FREE struct job_argument *arguments = calloc(count, sizeof(*arguments));

	if (!arguments)
		return message_fail(message, -ENOMEM, "out of memory");
	running->began_ms = clock_ms();
	running->until_ms = running->settings->seconds ?
				    running->began_ms + (uint64_t)running->settings->seconds * 1000 :
				    UINT64_MAX;
	atomic_store(&running->jobs, count);
	for (unsigned i = 0; i < count; i++) {
		arguments[i] = (struct job_argument){ .running = running, .number = i + 1 };
		arguments[i].started =
			pthread_create(&arguments[i].thread, NULL, job_main, &arguments[i]) == 0;
		/* Fewer jobs do the same work. */
		if (!arguments[i].started && i == 0)
			return message_fail(message, -EAGAIN, "cannot start a thread");
		if (!arguments[i].started)
			atomic_fetch_sub(&running->jobs, 1);
	}
	await_jobs(running);
	for (unsigned i = 0; i < count; i++)
		if (arguments[i].started)
			pthread_join(arguments[i].thread, NULL);
	running->campaign->milliseconds = clock_ms() - running->began_ms;
	torture_findings_finish(&running->campaign->findings);
	if (running->error)
		return message_fail(message, running->error, "%s", running->message.text);
	return 0;
}

/* ---- From start to end ------------------------------------------------------------------------ */

/* The setup and the run without an outage. */
static int prepare(struct running *running, struct message *message)
{
	struct torture_campaign *campaign = running->campaign;
	CLEANUP_FREE char *directory = NULL;
	struct torture_job job = { 0 };
	int error;

	if (asprintf(&directory, "%s/0", running->directory) < 0) {
		directory = NULL;
		return message_fail(message, -ENOMEM, "out of memory");
	}
	error = torture_job_create(&job, running->settings, running->program, directory, NULL,
				   running->signal_fd, message);
	if (!error)
		error = torture_job_setup(&job, message);
	if (!error) {
		running->image = strdup(job.image);
		if (!running->image)
			error = message_fail(message, -ENOMEM, "out of memory");
	}
	if (!error)
		error = torture_job_uncut(&job, &campaign->events, &campaign->uncut, message);
	torture_job_destroy(&job);
	return error;
}

static int plan_rounds(struct running *running, struct message *message)
{
	const struct torture_settings *settings = running->settings;
	struct torture_campaign *campaign = running->campaign;

	running->plan = torture_plan_create(settings, &campaign->events);
	if (!running->plan)
		return message_fail(message, -ENOMEM, "out of memory");
	campaign->kinds = torture_plan_kinds(running->plan);
	campaign->cuts = torture_plan_cuts(running->plan);
	campaign->fences = torture_plan_fences(running->plan);
	running->most = settings->runs	? settings->runs :
			settings->seconds ? UINT64_MAX :
			running->only	? 1 :
					    campaign->cuts;
	return 0;
}

static int run(struct running *running, struct message *message)
{
	int error = prepare(running, message);

	if (error == -EINTR)
		running->campaign->interrupted = true;
	if (!error && running->campaign->uncut.result == TORTURE_PASSED) {
		error = plan_rounds(running, message);
		if (!error)
			error = run_jobs(running, message);
	}
	torture_plan_destroy(running->plan);
	free(running->image);
	return error;
}

/* Ctrl-C and the like come to this descriptor only, here and in the jobs. */
static int open_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC);
}

int torture_campaign_run(struct torture_campaign *campaign, const struct torture_settings *settings,
			 const struct torture_cut *only, struct message *message)
{
	__attribute__((cleanup(scratch_remove))) char *directory = NULL;
	CLEANUP_FREE char *program = torture_daemon_program();
	struct running running = {
		.campaign = campaign,
		.settings = settings,
		.only = only,
		.program = program,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	CLEANUP_FD int signal_fd = -1, ended_fd = -1;
	int error;

	if (!program)
		return message_fail(message, -ENOENT,
				    "softpmemd is not beside this program: install softpmem whole");
	directory = scratch_make("torture", message);
	if (!directory)
		return -EIO;
	running.directory = directory;
	signal_fd = running.signal_fd = open_signals();
	ended_fd = running.ended_fd = eventfd(0, EFD_CLOEXEC);
	if (signal_fd < 0 || ended_fd < 0)
		return message_fail(message, -errno, "cannot watch for signals: %s", strerror(errno));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	error = run(&running, message);
	/* The signals stay blocked: what was found is still to be printed. */
	torture_process_end_strays();
	return error;
}
