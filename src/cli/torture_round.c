/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/torture_round.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "wire/frame.h"

extern char **environ;

/* ---- The job ------------------------------------------------------------------------------ */

/* The environment of the commands. What it adds comes first, and the rest is this program's own. */
static char **make_environment(const struct torture_job *job)
{
	static const char *const names[] = { "SOFTPMEM_MOUNT", "SOFTPMEM_SOCKET", "SOFTPMEM_ACKNOWLEDGED" };
	const char *const values[] = { job->daemon.mount, job->daemon.socket, job->acknowledged };
	const size_t added = sizeof(names) / sizeof(names[0]);
	size_t count = 0, filled = 0;
	char **out;

	while (environ[count])
		count++;
	out = calloc(count + added + 1, sizeof(*out));
	for (; out && filled < added; filled++)
		if (asprintf(&out[filled], "%s=%s", names[filled], values[filled]) < 0) {
			out[filled] = NULL;
			return out;
		}
	for (size_t i = 0; out && i < count; i++) {
		bool replaced = false;

		for (size_t n = 0; n < added; n++) {
			size_t length = strlen(names[n]);

			replaced |= strncmp(environ[i], names[n], length) == 0 && environ[i][length] == '=';
		}
		if (!replaced)
			out[filled++] = environ[i];
	}
	return out;
}

int torture_job_create(struct torture_job *job, const struct torture_settings *settings, const char *program,
		       const char *directory, const char *image, int interrupt_fd, struct message *message)
{
	int error;

	*job = (struct torture_job){ .settings = settings,
				     .keeper = { .fd = -1 },
				     .image = image,
				     .interrupt_fd = interrupt_fd };
	error = torture_daemon_create(&job->daemon, program, torture_mode_most(settings), directory, message);
	job->daemon.mode = settings->mode;
	job->daemon.auto_da_alloc = settings->auto_da_alloc;
	if (error)
		return error;
	if (asprintf(&job->acknowledged, "%s/acknowledged", directory) < 0)
		job->acknowledged = NULL;
	job->environment = job->acknowledged ? make_environment(job) : NULL;
	if (!job->environment || !job->environment[2])
		return message_fail(message, -ENOMEM, "out of memory");
	return 0;
}

void torture_job_destroy(struct torture_job *job)
{
	torture_keeper_end(&job->keeper);
	torture_daemon_destroy(&job->daemon);
	/* The rest of the environment is not the job's. */
	for (size_t i = 0; job->environment && i < 3 && job->environment[i]; i++)
		free(job->environment[i]);
	free(job->environment);
	free(job->acknowledged);
	*job = (struct torture_job){ 0 };
}

/* ---- Commands ----------------------------------------------------------------------------- */

/* A command while it runs, and what is waited for beside it. */
struct running {
	struct torture_job *job;
	struct torture_process process;
	int keep_fd; /* its standard output goes here; -1: into the tail */
	struct torture_tail *tail;
	struct client *client; /* of the power failure that waits for its moment; NULL: none */
	uint64_t until_ms;
};

enum awaited { AWAITED_END, AWAITED_ANSWER, AWAITED_TIMEOUT, AWAITED_INTERRUPT };

static void read_outputs(struct running *running)
{
	torture_output_read(&running->process.output_fd, running->keep_fd, TORTURE_ACKNOWLEDGED_MAX,
			    running->keep_fd < 0 ? running->tail : NULL);
	torture_output_read(&running->process.error_fd, -1, 0, running->tail);
}

/* Wait for the end of the command, or for a frame from the daemon, and read what is printed meanwhile. */
static enum awaited await(struct running *running)
{
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = running->process.output_fd, .events = POLLIN },
			{ .fd = running->process.error_fd, .events = POLLIN },
			{ .fd = torture_process_status_fd(&running->process), .events = POLLIN },
			{ .fd = running->client ? client_fd(running->client) : -1, .events = POLLIN },
			{ .fd = running->job->interrupt_fd, .events = POLLIN },
		};
		const uint64_t now = clock_ms();

		if (running->client && client_has_bytes(running->client))
			return AWAITED_ANSWER;
		if (now >= running->until_ms)
			return AWAITED_TIMEOUT;
		if (poll(fds, sizeof(fds) / sizeof(fds[0]), (int)(running->until_ms - now)) <= 0)
			continue;
		if (fds[4].revents)
			return AWAITED_INTERRUPT;
		read_outputs(running);
		if (fds[3].revents)
			return AWAITED_ANSWER;
		if (fds[2].revents)
			return AWAITED_END;
	}
}

static int start(struct running *running, const char *command, struct message *message)
{
	struct torture_job *job = running->job;

	running->until_ms = clock_ms() + job->settings->timeout_ms;
	return torture_process_start(&job->keeper, command, job->daemon.mount, job->environment,
				     &running->process, message);
}

/* Longer than a process can need to end that was killed, unless it waits for the mount. */
#define END_MS 10000
#define DRAIN_MS 1000

/* Wait until its processes are gone, and read the rest of what they printed. */
static void finish(struct running *running, struct torture_verdict *verdict)
{
	uint64_t until = clock_ms() + END_MS;

	running->client = NULL;
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = torture_process_status_fd(&running->process), .events = POLLIN },
			{ .fd = running->process.output_fd, .events = POLLIN },
			{ .fd = running->process.error_fd, .events = POLLIN },
		};

		if (poll(fds, 3, END_MS) > 0)
			read_outputs(running);
		if (fds[0].revents)
			break;
		/* It waits for a mount that does not answer: without the mount it ends. */
		if (clock_ms() >= until)
			torture_daemon_stop(&running->job->daemon);
	}
	/* Another job's process that is just being started has the pipes open for a moment. */
	until = clock_ms() + DRAIN_MS;
	while ((running->process.output_fd >= 0 || running->process.error_fd >= 0) && clock_ms() < until) {
		struct pollfd fds[] = { { .fd = running->process.output_fd, .events = POLLIN },
					{ .fd = running->process.error_fd, .events = POLLIN } };

		poll(fds, 2, DRAIN_MS);
		read_outputs(running);
	}
	verdict->status = torture_process_wait(&running->process);
}

/* Run a command to its end. 0, -EINTR, or another negative errno with a message. */
static int run_to_end(struct torture_job *job, const char *command, int keep_fd,
		      struct torture_verdict *verdict, struct message *message)
{
	struct running running = { .job = job, .keep_fd = keep_fd, .tail = &verdict->output };
	int error = start(&running, command, message);
	enum awaited awaited;

	if (error)
		return error;
	awaited = await(&running);
	if (awaited != AWAITED_END)
		torture_process_stop(&running.process);
	finish(&running, verdict);
	verdict->timed_out = awaited == AWAITED_TIMEOUT;
	return awaited == AWAITED_INTERRUPT ? -EINTR : 0;
}

static bool has_passed(const struct torture_verdict *verdict)
{
	return !verdict->timed_out && verdict->status >= 0 && WIFEXITED(verdict->status) &&
	       WEXITSTATUS(verdict->status) == 0;
}

/* Of a workload that has not passed. */
static enum torture_result result_without_cut(const struct torture_verdict *verdict)
{
	return verdict->timed_out ? TORTURE_WORKLOAD_HUNG : TORTURE_WORKLOAD_FAILED;
}

/* ---- Acknowledgements ------------------------------------------------------------------------ */

static int open_acknowledged(struct torture_job *job, struct message *message)
{
	int fd = open(job->acknowledged, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd < 0 ? message_fail(message, -errno, "%s: %s", job->acknowledged, strerror(errno)) : fd;
}

static void note_acknowledged(int fd, struct torture_outcome *outcome)
{
	char text[sizeof(outcome->last_acknowledged)];
	off_t end = lseek(fd, 0, SEEK_END);
	off_t from = end > (off_t)sizeof(text) - 1 ? end - ((off_t)sizeof(text) - 1) : 0;
	ssize_t got = pread(fd, text, sizeof(text) - 1, from);
	char *last;

	outcome->acknowledged = end > 0 ? (uint64_t)end : 0;
	text[got > 0 ? got : 0] = '\0';
	last = strrchr(text, '\n');
	if (!last)
		return;
	*last = '\0';
	last = strrchr(text, '\n');
	strcpy(outcome->last_acknowledged, last ? last + 1 : text);
}

/*
 * The end of a round. The daemon goes on only if nothing can be left in it: no request for a power failure
 * that did not come, and no process of a command whose keeper was killed.
 */
static void end_round(struct torture_job *job, int error, const struct torture_outcome *outcome)
{
	const bool checked = outcome->result == TORTURE_PASSED || outcome->result == TORTURE_FAILED;

	if (error || !checked || outcome->verdict.status < 0)
		torture_daemon_stop(&job->daemon);
}

/* ---- Setup, and the run without an outage ------------------------------------------------------- */

int torture_job_setup(struct torture_job *job, struct message *message)
{
	struct torture_verdict verdict = { 0 };
	int error = torture_daemon_start(&job->daemon, job->settings->size, NULL, message);

	if (!error && job->settings->setup)
		error = run_to_end(job, job->settings->setup, -1, &verdict, message);
	torture_daemon_stop(&job->daemon);
	if (!error && !has_passed(&verdict)) {
		char text[64];

		torture_verdict_text(&verdict, job->settings->timeout_ms, text, sizeof(text));
		error = message_fail(message, -EINVAL, "the setup %s%s%s", text,
				     *verdict.output.text ? ": " : "", verdict.output.text);
	}
	job->image = job->daemon.image;
	return error;
}

/*
 * A round begins with the tree of the setup. A daemon that runs goes back to it, which takes a fraction of
 * the time of a new daemon and mount.
 */
static int begin(struct torture_job *job, struct message *message)
{
	if (job->daemon.pidfd >= 0 && torture_daemon_reset(&job->daemon, message) == 0)
		return 0;
	torture_daemon_stop(&job->daemon);
	return torture_daemon_start(&job->daemon, 0, job->image, message);
}

static int check(struct torture_job *job, struct torture_outcome *outcome, struct message *message)
{
	int error;

	outcome->verdict = (struct torture_verdict){ 0 };
	error = run_to_end(job, job->settings->check, -1, &outcome->verdict, message);
	outcome->result = has_passed(&outcome->verdict) ? TORTURE_PASSED : TORTURE_FAILED;
	return error;
}

void torture_events_clear(struct torture_events *events)
{
	for (size_t i = 0; i < events->count; i++) {
		free(events->items[i].operation);
		free(events->items[i].path);
	}
	vector_free(&events->fences);
	vector_free(events);
}

static void add_event(void *context, struct json_object *item)
{
	struct torture_events *events = context;
	const struct torture_fences fences = { .after = output_u64(item, "after"),
					       .count = output_u64(item, "fences") };
	struct torture_event *event;

	if (fences.count) {
		if (vector_append(&events->fences, fences) == 0)
			events->fence_count += fences.count;
		return;
	}
	event = vector_append_zero(events);
	if (!event)
		return;
	event->operation = strdup(output_string(item, "operation"));
	event->path = strdup(output_string(item, "path"));
	control_get_bool(item, "syncs", &event->syncs);
}

static int list_events(struct torture_job *job, bool begins, struct torture_events *events,
		       struct message *message)
{
	CLEANUP_JSON struct json_object *request = cli_request("events");
	CLEANUP_JSON struct json_object *result = NULL;
	int error;

	if (!request)
		return message_fail(message, -ENOMEM, "out of memory");
	cli_put_true(request, "start", begins);
	error = torture_daemon_ask(&job->daemon, request, add_event, events, &result, message);
	if (!error && result) {
		events->omitted = output_u64(result, "omitted");
		control_get_bool(result, "fences_omitted", &events->fences_omitted);
	}
	return error;
}

static int run_uncut(struct torture_job *job, struct torture_events *events, struct torture_outcome *outcome,
		     struct message *message)
{
	CLEANUP_FD int acknowledged = open_acknowledged(job, message);
	int error = acknowledged < 0 ? acknowledged : list_events(job, true, events, message);

	if (!error)
		error = run_to_end(job, job->settings->workload, acknowledged, &outcome->verdict, message);
	if (!error)
		error = list_events(job, false, events, message);
	if (error)
		return error;
	note_acknowledged(acknowledged, outcome);
	if (!has_passed(&outcome->verdict)) {
		outcome->result = result_without_cut(&outcome->verdict);
		return 0;
	}
	return check(job, outcome, message);
}

int torture_job_uncut(struct torture_job *job, struct torture_events *events, struct torture_outcome *outcome,
		      struct message *message)
{
	int error = begin(job, message);

	if (!error)
		error = run_uncut(job, events, outcome, message);
	end_round(job, error, outcome);
	return error;
}

/* ---- A cut --------------------------------------------------------------------------------- */

static void add_lost(void *context, struct json_object *item)
{
	struct torture_outcome *outcome = context;
	const uint64_t lines = output_u64(item, "lines_lost");
	const uint64_t before = output_u64(item, "size_before"), after = output_u64(item, "size_after");
	const char *operation = output_string(item, "operation"), *to_path = output_string(item, "to_path");
	struct torture_lost *lost;

	if (!lines && before == after && !*operation)
		return;
	lost = vector_append_zero(&outcome->lost);
	if (!lost)
		return;
	*lost = (struct torture_lost){
		.operation = *operation ? strdup(operation) : NULL,
		.path = strdup(output_string(item, "path")),
		.to_path = *to_path ? strdup(to_path) : NULL,
		.lines = lines,
		.size_before = before,
		.size_after = after
	};
}

static struct json_object *powerfail_request(const struct torture_job *job, const struct torture_cut *cut)
{
	struct json_object *request = cli_request("powerfail");

	if (!request)
		return NULL;
	cli_put(request, "policy", cut->policy);
	if (strcmp(cut->policy, "random") == 0 || cut->lose_only)
		control_put_u64(request, "seed", cut->seed);
	if (cut->operation || cut->fence) {
		if (cut->operation)
			control_put_u64(request, "before_op", cut->operation);
		else
			control_put_u64(request, cut->after ? "after_fence" : "before_fence", cut->fence);
		/* This program ends the waiting; if it ends itself, so does the daemon's. */
		control_put_u64(request, "wait", 2 * (uint64_t)job->settings->timeout_ms / 1000 + 60);
	}
	cli_put(request, "metadata", cut->mode);
	cli_put(request, "lose_only", cut->lose_only);
	cli_put_true(request, "kill_own", true);
	return request;
}

/* Receive frames until none is left that has arrived; 1: the answer has not ended. */
static int receive(struct client *client, const struct client_answer *answer, struct json_object **result,
		   struct message *message)
{
	int status;

	do
		status = client_next(client, answer, result, message);
	while (status == 1 && client_has_bytes(client));
	return status;
}

static void note_moment(struct json_object *result, struct torture_outcome *outcome)
{
	struct json_object *moment;

	if (result && json_object_object_get_ex(result, "moment", &moment)) {
		const char *operation = output_string(moment, "operation");

		/* A fence has no operation. */
		outcome->operation = strdup(*operation ? operation : output_string(moment, "event"));
		outcome->path = strdup(output_string(moment, "path"));
	}
}

/* Has the moment come that was waited for? */
static bool moment_has_come(const struct torture_job *job)
{
	CLEANUP_JSON struct json_object *request = cli_request("status");
	CLEANUP_JSON struct json_object *result = NULL;
	struct message ignored;
	bool awaits = true;

	if (!request || torture_daemon_ask(&job->daemon, request, NULL, NULL, &result, &ignored) < 0 ||
	    !result)
		return false;
	control_get_bool(result, "awaits_event", &awaits);
	return !awaits;
}

/* The power failure is armed: run the workload into it. 1: it did not come. */
static int run_into_cut(struct running *running, const struct client_answer *answer,
			struct torture_outcome *outcome, struct message *message)
{
	CLEANUP_JSON struct json_object *result = NULL;
	struct torture_job *job = running->job;
	enum awaited awaited;
	int status = start(running, job->settings->workload, message);

	if (status)
		return status;
	status = 1;
	do {
		awaited = await(running);
		if (awaited == AWAITED_ANSWER)
			status = receive(running->client, answer, &result, message);
	} while (awaited == AWAITED_ANSWER && status == 1);
	/* If it was killed at the moment, the answer is on its way. */
	if (awaited == AWAITED_END && moment_has_come(job))
		while (status == 1)
			status = receive(running->client, answer, &result, message);
	torture_process_stop(&running->process);
	finish(running, &outcome->verdict);
	if (awaited == AWAITED_INTERRUPT)
		return -EINTR;
	if (status == 0)
		note_moment(result, outcome);
	outcome->result = awaited == AWAITED_TIMEOUT ? TORTURE_WORKLOAD_HUNG : TORTURE_NOT_REACHED;
	return status;
}

static int cut_at_event(struct running *running, const struct torture_cut *cut,
			    struct torture_outcome *outcome, struct message *message)
{
	const struct client_answer answer = { .item = add_lost, .context = outcome };
	CLEANUP_JSON struct json_object *request = powerfail_request(running->job, cut);
	CLEANUP_JSON struct json_object *result = NULL;
	int error = client_connect(running->job->daemon.socket, &running->client, message);
	struct client *client = running->client;

	if (error)
		return error;
	error = request ? client_send(client, request, message) : -ENOMEM;
	/* The first frame says that it waits. */
	if (!error)
		error = client_next(client, &answer, &result, message);
	if (error == 1)
		error = run_into_cut(running, &answer, outcome, message);
	client_close(client);
	return error;
}

/* The workload runs to its end, and then power fails. */
static int cut_at_end(struct running *running, const struct torture_cut *cut,
		      struct torture_outcome *outcome, struct message *message)
{
	struct torture_job *job = running->job;
	CLEANUP_JSON struct json_object *request = powerfail_request(job, cut);
	CLEANUP_JSON struct json_object *result = NULL;
	int error = run_to_end(job, job->settings->workload, running->keep_fd, &outcome->verdict, message);

	if (error)
		return error;
	if (!has_passed(&outcome->verdict)) {
		outcome->result = result_without_cut(&outcome->verdict);
		return 1;
	}
	return torture_daemon_ask(&job->daemon, request, add_lost, outcome, &result, message);
}

static int cut_and_check(struct torture_job *job, const struct torture_cut *cut,
			 struct torture_outcome *outcome, struct message *message)
{
	CLEANUP_FD int acknowledged = open_acknowledged(job, message);
	struct running running = { .job = job, .keep_fd = acknowledged, .tail = &outcome->verdict.output };
	int error = acknowledged < 0 ? acknowledged : 0;

	if (!error)
		error = cut->operation || cut->fence ? cut_at_event(&running, cut, outcome, message) :
						       cut_at_end(&running, cut, outcome, message);
	if (error)
		return error == 1 ? 0 : error;
	note_acknowledged(acknowledged, outcome);
	return check(job, outcome, message);
}

int torture_job_cut(struct torture_job *job, const struct torture_cut *cut, struct torture_outcome *outcome,
		    struct message *message)
{
	int error = begin(job, message);

	if (!error)
		error = cut_and_check(job, cut, outcome, message);
	end_round(job, error, outcome);
	return error;
}
