/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A checker that is an engine: a server is started on fresh copies of the files, asked, and stopped.
 *
 * For each state there is a process between the checker and the server, the keeper. It is the subreaper of
 * the server and of the commands that ask it, so it finds all that they start, in whatever session, and ends
 * it: with the verdict, or when the process of the checker ends.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/end_children.h"
#include "explore/checker_private.h"

/* Between two questions, if the server is not ready yet: at first, and at last. */
#define PAUSE_MS 1u
#define PAUSE_MOST_MS 50u
/* Of the output of a verdict, at most so much is of the command that asks; the rest is the server's. */
#define ASK_BYTES 400u

/* What the keeper tells, by one write to a pipe. */
struct report {
	int error;
	struct explore_verdict verdict;
	struct message message;
};
_Static_assert(sizeof(struct report) <= PIPE_BUF, "a report is written at once");

/* The keeper's. */
struct session {
	const struct explore_command *command;
	const struct explore_checker_options *options;
	int checker;	   /* the pipe for the report: it has no reader once the checker has ended */
	int server_output; /* memfds */
	int ask_output;
	pid_t server;	   /* what was started; it may have ended */
	bool running;	   /* it has not */
	bool failed;	   /* it has, and not with 0, as one that leaves a server in the background does */
	int status;	   /* the wait status of the server, or of the last of its processes that has ended */
	uint64_t until_ms; /* for the answer */
};

/* ---- The keeper: processes ------------------------------------------------------------------------ */

/* True: the process of the pidfd has ended (none: -1). False: it is `until`. */
static bool await(const struct session *session, int pidfd, uint64_t until_ms)
{
	struct pollfd fds[] = { { .fd = session->checker }, /* POLLERR */
				{ .fd = pidfd, .events = POLLIN } };

	for (;;) {
		const uint64_t now = clock_ms();
		const int ready = poll(fds, 2, until_ms > now ? (int)(until_ms - now) : 0);

		if (ready > 0 && fds[0].revents) {
			int status;

			end_children(session->server, &status);
			_exit(1);
		}
		if (ready >= 0)
			return ready > 0;
	}
}

static int start(const struct session *session, const char *text, int output, bool own_session, pid_t *pid,
		 struct message *message)
{
	char *const words[] = { (char *)"sh",	  (char *)"-c", (char *)(uintptr_t)text,
				(char *)"engine", (char *)"{}", NULL };

	return explore_command_start(session->command, words, output, output, own_session, pid, message);
}

/* Run a command that asks or stops the server. *in_time: it has ended, with *status; else it was killed. */
static int run_command(const struct session *session, const char *text, uint64_t until_ms, bool *in_time,
		       int *status, struct message *message)
{
	pid_t pid;
	int error;

	/* Only the last answer is told. */
	if (ftruncate(session->ask_output, 0) < 0 || lseek(session->ask_output, 0, SEEK_SET) < 0)
		return message_fail(message, -errno, "checker engine: %s", strerror(errno));
	error = start(session, text, session->ask_output, false, &pid, message);
	if (error)
		return error;
	CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0)
		error = message_fail(message, -errno, "checker engine: cannot wait for '%s': %s", text,
				     strerror(errno));
	*in_time = !error && await(session, pidfd, until_ms);
	kill(-pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	/* What it left in its group is ours now, and must not be taken for a process of the server. */
	while (waitpid(-pid, NULL, 0) > 0 || errno == EINTR)
		;
	return error;
}

/* Reap what has ended. True: no process is left. */
static bool reap(struct session *session)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (!session->failed)
			session->status = status;
		if (pid != session->server)
			continue;
		session->running = false;
		session->failed = status != 0;
	}
	return pid < 0 && errno == ECHILD;
}

static bool server_ended(struct session *session)
{
	const bool none_left = reap(session);

	return none_left || session->failed;
}

/* ---- The keeper: a state ----------------------------------------------------------------------------- */

static void tell_ended(const struct session *session, struct explore_verdict *verdict)
{
	const bool signaled = WIFSIGNALED(session->status);

	verdict->result = signaled ? EXPLORE_SERVER_SIGNALED : EXPLORE_SERVER_ENDED;
	verdict->code = signaled ? WTERMSIG(session->status) : WEXITSTATUS(session->status);
}

static bool is_not_ready(int status)
{
	return status != 0;
}

static bool is_put_off(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == EX_TEMPFAIL;
}

/*
 * Repeat a command while its status means "not yet". `late`: the verdict if it hangs. The verdict stays
 * EXPLORE_PASSED if *status is something else.
 */
static int repeat(struct session *session, const char *text, bool (*not_yet)(int status),
		  enum explore_result late, int *status, struct explore_verdict *verdict,
		  struct message *message)
{
	unsigned pause = PAUSE_MS;
	bool answered = false;

	for (;;) {
		bool in_time = false;
		int error;

		if (server_ended(session)) {
			tell_ended(session, verdict);
			return 0;
		}
		if (clock_ms() >= session->until_ms) {
			verdict->result = EXPLORE_SERVER_NOT_READY;
			return 0;
		}
		error = run_command(session, text, session->until_ms, &in_time, status, message);
		if (error)
			return error;
		/* One that has said "not yet" before does not hang: the time ended while it ran once more. */
		if (!in_time && !server_ended(session)) {
			verdict->result = answered ? EXPLORE_SERVER_NOT_READY : late;
			return 0;
		}
		if (in_time && !not_yet(*status))
			return 0;
		answered |= in_time;
		await(session, -1, clock_ms() + pause);
		pause = pause * 2 < PAUSE_MOST_MS ? pause * 2 : PAUSE_MOST_MS;
	}
}

static int ask(struct session *session, struct explore_verdict *verdict, struct message *message)
{
	const struct explore_engine *engine = session->options->engine;
	int status = 0, error = 0;

	if (engine->ready)
		error = repeat(session, engine->ready, is_not_ready, EXPLORE_SERVER_NOT_READY, &status,
			       verdict, message);
	if (error || verdict->result != EXPLORE_PASSED)
		return error;
	error = repeat(session, engine->ask, is_put_off, EXPLORE_TIMED_OUT, &status, verdict, message);
	/* A server that fails while it is asked is told by the one who asks: its own end may come later. */
	if (!error && verdict->result == EXPLORE_PASSED)
		explore_command_judge(status, verdict);
	return error;
}

static void read_output(const struct session *session, struct explore_verdict *verdict)
{
	static const char title[] = "the server printed: ";
	char server[sizeof(verdict->output) - ASK_BYTES - sizeof(title)];
	size_t length;

	explore_output_read(session->ask_output, verdict->output, ASK_BYTES);
	explore_output_read(session->server_output, server, sizeof(server));
	length = strlen(verdict->output);
	if (!*server)
		return;
	if (length && verdict->output[length - 1] != '\n')
		verdict->output[length++] = '\n';
	strcpy(verdict->output + length, title);
	strcat(verdict->output, server);
}

/* Ask the server to stop, and wait. What is left then is killed by the caller. */
static void stop(struct session *session)
{
	const char *command = session->options->engine->stop;
	const uint64_t until_ms = clock_ms() + EXPLORE_STOP_MS;
	unsigned pause = PAUSE_MS;
	bool in_time;
	int status;

	if (reap(session))
		return;
	/* If the command cannot be started, the server is killed when the time is over. */
	if (command)
		run_command(session, command, until_ms, &in_time, &status, NULL);
	else if (session->running)
		kill(-session->server, SIGTERM);
	else
		signal_children(SIGTERM);
	while (!reap(session) && clock_ms() < until_ms) {
		await(session, -1, clock_ms() + pause);
		pause = pause * 2 < PAUSE_MOST_MS ? pause * 2 : PAUSE_MOST_MS;
	}
}

static int serve(struct session *session, struct explore_verdict *verdict, struct message *message)
{
	int error, status;

	session->server_output = memfd_create("softpmem-server-output", MFD_CLOEXEC);
	session->ask_output = memfd_create("softpmem-ask-output", MFD_CLOEXEC);
	if (session->server_output < 0 || session->ask_output < 0)
		return message_fail(message, -errno, "checker engine: no place for its output: %s",
				    strerror(errno));
	session->until_ms = clock_ms() + session->options->timeout_ms;
	error = start(session, session->options->engine->start, session->server_output, true,
		      &session->server, message);
	if (error)
		return error;
	session->running = true;
	error = ask(session, verdict, message);
	read_output(session, verdict);
	stop(session);
	end_children(session->server, &status);
	return error;
}

_Noreturn static void keep(const struct explore_command_checker *checker, int pipe)
{
	struct session session = { .command = checker->command,
				   .options = &checker->base.options,
				   .checker = pipe };
	struct report report = { .error = 0 };

	setsid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	report.error = serve(&session, &report.verdict, &report.message);
	(void)!write(pipe, &report, sizeof(report));
	_exit(0);
}

/* ---- As a checker ---------------------------------------------------------------------------------- */

/* Run the keeper. */
static int keeper_run(const struct explore_command_checker *checker, struct report *report,
		      struct message *message)
{
	int ends[2], status;
	ssize_t got;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return message_fail(message, -errno, "checker engine: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		keep(checker, ends[1]);
	}
	close(ends[1]);
	CLEANUP_FD int pipe = ends[0];

	if (pid < 0)
		return message_fail(message, -errno, "checker engine: cannot start it: %s", strerror(errno));
	while ((got = read(pipe, report, sizeof(*report))) < 0 && errno == EINTR)
		;
	/* A keeper that was killed, with what it kept. */
	end_children(pid, &status);
	return got == (ssize_t)sizeof(*report) ?
		       0 :
		       message_fail(message, -ECHILD,
				    "checker engine: the process that keeps the server was killed: does the "
				    "server signal its parent?");
}

static int engine_run(struct explore_checker *base, const struct explore_state *state,
		      struct explore_verdict *verdict, struct message *message)
{
	const struct explore_command_checker *checker = (const struct explore_command_checker *)base;
	struct report report = { .error = 0 };
	int error = explore_command_prepare(checker->command, state, message);

	if (!error)
		error = keeper_run(checker, &report, message);
	if (error)
		return error;
	*verdict = report.verdict;
	return report.error ? message_fail(message, report.error, "%s", report.message.text) : 0;
}

/* Nothing is kept from one state to the next. */
static void engine_new_walk(struct explore_checker *checker)
{
}

static const struct explore_checker_kind engine_kind = {
	.run = engine_run,
	.new_walk = engine_new_walk,
	.destroy = explore_command_checker_destroy,
};

int explore_engine_create(const struct explore_checker_options *options, struct explore_checker **out,
			  struct message *message)
{
	/* For a keeper that is killed. The process of a checker has no other children. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return explore_command_checker_create(&engine_kind, options, out, message);
}
