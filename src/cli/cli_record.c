/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/run_program.h"
#include "common/cleanup.h"
#include "common/size.h"
#include "trace/event.h"
#include "wire/frame.h"
#include "wire/socketpath.h"

struct record_options {
	struct run_program program;
	const char *output, *stack;
	bool stop;
};

static const struct command_option options_table[] = {
	{ .name = "output", .letter = 'o', .value = "FILE", .offset = offsetof(struct record_options, output),
	  .help = "the trace" },
	{ .name = "stack", .value = "N", .offset = offsetof(struct record_options, stack),
	  .help = "frames of call stacks in the trace, 1 to 64 (default 8)" },
	COMMAND_SWITCH(struct record_options, stop, "stop",
		       "end the recording that another softpmem has begun"),
	COMMAND_SWITCH(struct record_options, program.through, "through",
		       "a fence waits until the media has what was flushed"),
	COMMAND_SWITCH(struct record_options, program.allow_unattached, "allow-unattached",
		       "run it even if the daemon refuses to attach it"),
	COMMAND_SWITCH(struct record_options, program.no_inline, "no-inline",
		       "leave flush and fence instructions alone"),
	{ .name = NULL },
};

/* A recording that this process has asked for. */
struct recording {
	struct cli *cli;
	const char *output;
	uint64_t key;	  /* that the processes of the program show; 0: there is none */
	int fd;		  /* of the trace */
	bool created;	  /* the file was not there before */
	sigset_t signals; /* the waiter takes them: they are blocked from its start to the first of them */
	sigset_t before;  /* those that were blocked when the program was started */
	pid_t child;	  /* 0: there is no program to run */
	int go_fd;	  /* the child runs the program when a byte comes */
	bool begun;	  /* the daemon is recording */
	pthread_t waiter; /* if it has begun */
	int child_status; /* the waiter's, until it ends */
	_Atomic bool over; /* the daemon has ended the recording */
};

/* ---- The program ---------------------------------------------------------------------- */

/* Started before the recording has begun, because this process has one thread only until then. */
static int start_child(struct recording *recording)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return cli_fail(recording->cli, strerror(errno));
	recording->child = fork();
	if (recording->child == 0) {
		char byte;

		close(fds[1]);
		if (read(fds[0], &byte, 1) != 1)
			_exit(CLI_FAILED);
		close(recording->fd);
		sigprocmask(SIG_SETMASK, &recording->before, NULL);
		_exit(run_program(recording->cli));
	}
	close(fds[0]);
	recording->go_fd = fds[1];
	return recording->child > 0 ? CLI_OK : cli_fail(recording->cli, strerror(errno));
}

/* As a shell says it. */
static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- Until the end ---------------------------------------------------------------------- */

/* Ask the daemon to end the recording: on a connection of its own, since the other one waits for the end. */
static void ask_stop(const struct recording *recording)
{
	CLEANUP_JSON struct json_object *request = cli_request("record"), *result = NULL;
	const struct client_answer answer = { .item = NULL };
	struct message message;
	struct client *client;

	cli_put_true(request, "stop", true);
	/* If the recording has ended in the meantime, or with the daemon, its own request is answered too. */
	if (!request || client_connect(recording->cli->socket, &client, &message) < 0)
		return;
	client_ask(client, request, &answer, &result, &message);
	client_close(client);
}

/* From here on a signal ends this process, which may wait for a daemon that does not answer. */
static void allow_signals(const struct recording *recording)
{
	const struct timespec at_once = { 0 };
	sigset_t ends = recording->signals;

	sigdelset(&ends, SIGCHLD);
	/* Those that came with the one that has brought us here. */
	while (sigtimedwait(&ends, NULL, &at_once) > 0)
		continue;
	pthread_sigmask(SIG_UNBLOCK, &ends, NULL);
}

/* Wait for the end of the program; without one, for a signal, or the end of the recording. */
static void *wait_for_end(void *argument)
{
	struct recording *recording = argument;
	int signal = 0;

	for (;;) {
		if (recording->child && waitpid(recording->child, &recording->child_status, WNOHANG) > 0)
			break;
		sigwait(&recording->signals, &signal);
		if (!recording->child && (signal != SIGCHLD || recording->over))
			break;
		/* A terminal sends SIGINT to the program as well. */
		if (recording->child && (signal == SIGTERM || signal == SIGHUP))
			kill(recording->child, signal);
	}
	allow_signals(recording);
	if (!recording->over)
		ask_stop(recording);
	return NULL;
}

/* The daemon's first message: the recording has begun. */
static void note_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	struct recording *recording = context;

	if (recording->begun)
		return;
	/* Before the thread is started: both have this mask. */
	pthread_sigmask(SIG_BLOCK, &recording->signals, NULL);
	recording->begun = pthread_create(&recording->waiter, NULL, wait_for_end, recording) == 0;
	if (recording->begun && recording->child)
		(void)!write(recording->go_fd, "", 1);
	if (!recording->begun)
		ask_stop(recording);
}

static void join_waiter(struct recording *recording)
{
	recording->over = true;
	if (recording->child && recording->go_fd >= 0)
		close(recording->go_fd);
	if (!recording->begun) {
		if (recording->child)
			waitpid(recording->child, &recording->child_status, 0);
		return;
	}
	if (!recording->child)
		pthread_kill(recording->waiter, SIGCHLD);
	pthread_join(recording->waiter, NULL);
}

/* ---- What was recorded ------------------------------------------------------------------ */

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void print_failed(const struct recording *recording, struct json_object *result)
{
	struct json_object *reasons;

	if (!json_object_object_get_ex(result, "failed", &reasons))
		return;
	for (size_t i = 0; i < json_object_array_length(reasons); i++)
		fprintf(stderr,
			"softpmem: %s: a region has failed, and is not in the trace, or not to its end: "
			"%s\n",
			recording->output, json_object_get_string(json_object_array_get_idx(reasons, i)));
}

static void print_summary(const struct recording *recording, struct json_object *result)
{
	const unsigned long long events = output_u64(result, "events"),
				 processes = output_u64(result, "processes"),
				 threads = output_u64(result, "threads"),
				 gaps = output_u64(result, "gaps");
	/* 126 and 127: it could not be run, which it has said. */
	const bool runs = recording->child && WIFEXITED(recording->child_status) &&
			  WEXITSTATUS(recording->child_status) < 126;
	char size[32];

	size_format(output_u64(result, "bytes"), size, sizeof(size));
	fflush(stdout);
	if (runs && !output_u64(result, "pools"))
		fprintf(stderr,
			"softpmem: %s has mapped no pool with softpmem's libpmem: what it did to files is "
			"recorded, and no stores\n",
			recording->cli->arguments[0]);
	fprintf(stderr, "softpmem: %s: recorded %llu event%s", recording->output, events, plural(events));
	if (processes)
		fprintf(stderr, " of the mount and %llu process%s with %llu thread%s", processes,
			processes == 1 ? "" : "es", threads, plural(threads));
	fprintf(stderr, ", %s%s\n", size, isdigit((unsigned char)size[strlen(size) - 1]) ? " bytes" : "");
	print_failed(recording, result);
	if (gaps)
		fprintf(stderr,
			"softpmem: %s: events were lost, %llu time%s: see 'lost' in softpmem trace dump\n",
			recording->output, gaps, plural(gaps));
}

/* ---- The verb --------------------------------------------------------------------------- */

static int stop(struct cli *cli)
{
	CLEANUP_JSON struct json_object *request = cli_request("record");

	cli_put_true(request, "stop", true);
	return cli_ask_only(cli, request);
}

/* The file keeps what is in it until the daemon has accepted it. */
static int open_output(struct recording *recording)
{
	CLEANUP_FREE char *text = NULL;

	recording->fd = open(recording->output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	recording->created = recording->fd >= 0;
	if (recording->fd < 0 && errno == EEXIST)
		recording->fd = open(recording->output, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	if (recording->fd >= 0)
		return CLI_OK;
	if (asprintf(&text, "record: %s: %s", recording->output, strerror(errno)) < 0)
		text = NULL;
	return cli_fail(recording->cli, text ? text : "out of memory");
}

static int ask(struct recording *recording)
{
	CLEANUP_JSON struct json_object *request = cli_request("record"), *result = NULL;
	const struct client_answer answer = { .progress = note_progress, .context = recording };
	struct message message = { "" };
	struct client *client;
	int error;

	if (!request)
		return cli_fail(recording->cli, "out of memory");
	cli_put(request, "file", recording->output);
	if (recording->key)
		control_put_u64(request, "key", recording->key);
	error = client_connect(recording->cli->socket, &client, &message);
	if (!error) {
		client_give_fd(client, recording->fd);
		error = client_ask(client, request, &answer, &result, &message);
		client_close(client);
	}
	if (error)
		cli_fail(recording->cli, message.text);
	join_waiter(recording);
	if (!error)
		print_summary(recording, result);
	return error ? CLI_FAILED : CLI_OK;
}

static int record(struct recording *recording)
{
	const bool runs = recording->cli->argument;
	int status = open_output(recording), program;
	sigset_t child;

	if (status != CLI_OK)
		return status;
	sigemptyset(&recording->signals);
	for (int i = 0; i < 4; i++)
		sigaddset(&recording->signals, (const int[]){ SIGINT, SIGTERM, SIGHUP, SIGCHLD }[i]);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &recording->before);
	if (runs)
		status = start_child(recording);
	if (status == CLI_OK)
		status = ask(recording);
	if (!recording->begun && recording->created)
		unlink(recording->output);
	close(recording->fd);
	program = recording->begun ? exit_status(recording->child_status) : CLI_OK;
	/* The program's, unless that hides that the trace is not whole. */
	return program ? program : status;
}

static int run(struct cli *cli, const void *values)
{
	const struct record_options *options = values;
	struct recording recording = { .cli = cli, .output = options->output, .fd = -1, .go_fd = -1 };
	struct run_program program = options->program;
	struct message message = { "" };
	uint64_t depth = 0;
	int status = cli_whole_number(cli, "stack", options->stack, 1, TRACE_FRAMES_MAX, &depth);

	if (status != CLI_OK)
		return status;
	if (options->stop && (options->output || cli->argument))
		return cli_usage(cli, "--stop ends a recording: it takes neither --output nor a program");
	if (options->stop)
		return stop(cli);
	if (!options->output)
		return cli_usage(cli, "name the trace: softpmem record --output FILE");
	if (!cli->argument && (program.through || program.allow_unattached || program.no_inline || depth))
		return cli_usage(cli, "--through, --allow-unattached, --no-inline and --stack are for a "
				      "program");
	if (!cli->socket && socketpath_default(&cli->socket, &message) < 0)
		return cli_fail(cli, message.text);
	/* Numbers of JSON have 63 bits. */
	if (cli->argument && getrandom(&recording.key, sizeof(recording.key), 0) != sizeof(recording.key))
		return cli_fail(cli, strerror(errno));
	recording.key = cli->argument ? recording.key >> 1 | 1 : 0;
	program.record_key = recording.key;
	program.stack_depth = (unsigned)depth;
	status = cli->argument ? run_program_prepare(cli, &program) : CLI_OK;
	return status == CLI_OK ? record(&recording) : status;
}

const struct cli_verb cli_record = {
	.name = "record",
	.summary = "Record a program, or all that happens on the mount, in a trace",
	.arguments = "[[--] PROGRAM [ARGUMENT]...]",
	.details = "The exit status is the program's. Without a program, everything on the mount is\n"
		   "recorded until SIGINT (Ctrl-C), SIGTERM or 'softpmem record --stop'.\n",
	.least = 0,
	.most = INT_MAX,
	.options = options_table,
	.options_bytes = sizeof(struct record_options),
	.run = run,
};
