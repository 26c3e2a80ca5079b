/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/explore_checkers.h"
#include "cli/explore_depth.h"
#include "cli/explore_durability.h"
#include "cli/explore_identity.h"
#include "cli/explore_print.h"
#include "cli/explore_replay.h"
#include "cli/explore_workload.h"
#include "cli/output_file.h"
#include "cli/report.h"
#include "cli/scratch.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/processors.h"
#include "explore/checkpoint.h"
#include "explore/finding.h"
#include "explore/input.h"
#include "explore/list.h"
#include "explore/oracle.h"

struct explore_cli_options {
	const char *persistency, *domain, *metadata, *seed, *states, *time, *jobs, *timeout, *exhaustive, *at;
	const char *replay, *save, *workload, *output, *shard, *checker, *oracle, *dump, *depth;
	const char *start, *ready, *ask, *stop;
	bool list_states, json, resume, auto_da_alloc;
};

#define STATES_DEFAULT 100000u
#define TIMEOUT_DEFAULT 10u
#define EXHAUSTIVE_DEFAULT 4096u
#define LIST_MOST 1000000u
#define FAILURES_MOST 10000u

static const struct command_option options_table[] = {
	COMMAND_CHOICE(struct explore_cli_options, persistency, "persistency", "MODE", "line word",
		       "stores in order: of a line (default) or of 8 bytes"),
	COMMAND_CHOICE(struct explore_cli_options, domain, "domain", "DOMAIN", "memory_controller cpu_cache",
		       NULL),
	COMMAND_CHOICE(struct explore_cli_options, metadata, "metadata", "MODE", "durable ordered strict",
		       "which names may be lost; default ordered"),
	COMMAND_VALUE(struct explore_cli_options, states, "states", "N",
		      "check at most N states; default 100000"),
	COMMAND_VALUE(struct explore_cli_options, time, "time", "SECONDS", "start no check after this time"),
	COMMAND_VALUE(struct explore_cli_options, jobs, "jobs", "N",
		      "check N states at once; default: a processor each"),
	COMMAND_VALUE(struct explore_cli_options, timeout, "timeout", "SECONDS", NULL),
	COMMAND_VALUE(struct explore_cli_options, exhaustive, "exhaustive", "N", NULL),
	COMMAND_VALUE(struct explore_cli_options, at, "at", "EVENT", NULL),
	COMMAND_VALUE(struct explore_cli_options, seed, "seed", "N", NULL),
	COMMAND_CHOICE(struct explore_cli_options, depth, "depth", "N", "1 2",
		       "2: let power fail during recovery as well"),
	COMMAND_VALUE(struct explore_cli_options, replay, "replay", "STATE",
		      "check this one state, named by a finding"),
	COMMAND_VALUE(struct explore_cli_options, save, "save", "DIRECTORY", NULL),
	COMMAND_CHOICE(struct explore_cli_options, checker, "checker", "NAME", EXPLORE_CHECKERS,
		       "a checker that is built in; or how -- CHECKER is run"),
	COMMAND_VALUE(struct explore_cli_options, start, "start", "COMMAND",
		      "with --checker engine: a server, which --ask checks"),
	COMMAND_VALUE(struct explore_cli_options, ready, "ready", "COMMAND", NULL),
	COMMAND_VALUE(struct explore_cli_options, ask, "ask", "COMMAND", NULL),
	COMMAND_VALUE(struct explore_cli_options, stop, "stop", "COMMAND", NULL),
	COMMAND_CHOICE(struct explore_cli_options, oracle, "oracle", "KIND", "alive stable prefix equiv",
		       "compare what --dump prints, in place of a checker"),
	COMMAND_VALUE(struct explore_cli_options, dump, "dump", "COMMAND", NULL),
	COMMAND_VALUE(struct explore_cli_options, workload, "workload", "COMMAND",
		      "first record this, into softpmem.trace"),
	COMMAND_SWITCH(struct explore_cli_options, auto_da_alloc, "auto-da-alloc", NULL),
	COMMAND_SWITCH(struct explore_cli_options, list_states, "list-states", NULL),
	COMMAND_VALUE(struct explore_cli_options, shard, "shard", "K/N", NULL),
	COMMAND_VALUE(struct explore_cli_options, output, "output", "FILE",
		      "write the result as JSON there, for report"),
	COMMAND_SWITCH(struct explore_cli_options, resume, "resume",
		       "go on with the interrupted search for --output"),
	COMMAND_SWITCH(struct explore_cli_options, json, "json", "print the result as JSON"),
	{ .name = NULL },
};

/* "3/8": shard 3 of 8. False: it is no such thing. */
static bool parse_shard(const char *text, struct explore_options *options)
{
	char *end;
	unsigned long shard, shards;

	if (*text < '0' || *text > '9')
		return false;
	shard = strtoul(text, &end, 10);
	if (*end != '/' || end[1] < '0' || end[1] > '9')
		return false;
	shards = strtoul(end + 1, &end, 10);
	if (*end || !shard || shard > shards || shards > REPORT_SHARDS_MAX)
		return false;
	options->shard = (unsigned)shard - 1;
	options->shards = (unsigned)shards;
	return true;
}

/* ---- The command line ---------------------------------------------------------------------- */

static bool is_without_checker(const struct explore_cli_options *given)
{
	return given->checker && strcmp(given->checker, "none") == 0;
}

static bool crashes_recovery(const struct explore_cli_options *given)
{
	return given->depth && strcmp(given->depth, "2") == 0;
}

static int parse_options(const struct cli *cli, const struct explore_cli_options *given,
			 struct explore_options *options)
{
	uint64_t seconds = 0, timeout = TIMEOUT_DEFAULT, jobs = processors_usable();
	int status;

	*options = (struct explore_options){
		.seed = 1,
		.exhaustive = EXHAUSTIVE_DEFAULT,
		.states = STATES_DEFAULT,
		.most_failures = FAILURES_MOST,
		.at = UINT64_MAX,
	};
	/* The table has checked the words. */
	if (given->persistency)
		lines_mode_parse(given->persistency, &options->walk.mode);
	if (given->domain)
		persistence_domain_parse(given->domain, &options->walk.domain);
	options->walk.metadata = METADATA_ORDERED;
	if (given->metadata)
		metadata_mode_parse(given->metadata, &options->walk.metadata);
	status = cli_whole_number(cli, "seed", given->seed, 0, UINT64_MAX, &options->seed);
	if (!status)
		status = cli_whole_number(cli, "states", given->states, 1, UINT64_MAX, &options->states);
	if (!status)
		status = cli_whole_number(cli, "time", given->time, 1, UINT_MAX, &seconds);
	if (!status)
		status = cli_whole_number(cli, "timeout", given->timeout, 1, 86400, &timeout);
	if (!status)
		status = cli_whole_number(cli, "jobs", given->jobs, 1, 1024, &jobs);
	if (!status)
		status = cli_whole_number(cli, "exhaustive", given->exhaustive, 0, 1u << 30,
					  &options->exhaustive);
	if (!status)
		status = cli_whole_number(cli, "at", given->at, 0, UINT64_MAX - 1, &options->at);
	options->seconds = (unsigned)seconds;
	options->timeout_ms = (unsigned)timeout * 1000;
	options->workers = (unsigned)jobs;
	if (status)
		return status;
	if (given->save && !given->replay)
		return cli_usage(cli, "--save requires --replay");
	if (given->shard && !parse_shard(given->shard, options))
		return cli_usage(cli, "--shard takes K/N, for instance 3/8: share 3 of 8");
	if (given->output && (given->replay || given->list_states))
		return cli_usage(cli, "--output is for what a search finds");
	if (given->json && given->list_states)
		return cli_usage(cli, "--list-states has no form in JSON");
	if (is_without_checker(given) && (given->replay || given->list_states || given->resume))
		return cli_usage(cli, "--checker none checks no states");
	if (given->resume && (!given->output || given->workload))
		return cli_usage(cli, "--resume goes on with a search of a trace that had this --output");
	if (crashes_recovery(given) && (given->replay || given->list_states))
		return cli_usage(cli, "--depth 2 is for a search: it excludes --replay and --list-states");
	if (given->auto_da_alloc && !given->workload)
		return cli_usage(cli, "--auto-da-alloc is for --workload: a trace has it if it was recorded "
				      "with softpmemd --auto-da-alloc");
	if (given->workload && (given->replay || given->list_states))
		return cli_usage(cli, "--workload makes a trace, and --replay and --list-states read one");
	return CLI_OK;
}

/* ---- What it does ------------------------------------------------------------------------------ */

static int fail(struct cli *cli, const struct message *message)
{
	return cli_fail(cli, message->text);
}

static int list_states(struct cli *cli, int fd, const struct explore_options *options)
{
	struct message message = { "" };

	if (explore_list_states(fd, cli->argument, &options->walk, LIST_MOST, stdout, &message) < 0)
		return fail(cli, &message);
	return CLI_OK;
}

static int tell_durability(struct cli *cli, int fd, const struct explore_options *options,
			   const struct explore_cli_options *given, struct output_file *output)
{
	const struct durability_task task = {
		.fd = fd,
		.trace = cli->argument,
		.walk = &options->walk,
		.flushes_matter = options->walk.domain == PERSISTENCE_MEMORY_CONTROLLER,
		.json = given->json,
		.output = output,
	};
	struct message message = { "" };
	bool found;

	if (explore_durability_print(&task, &found, &message) < 0)
		return fail(cli, &message);
	return found ? CLI_FAILED : CLI_OK;
}

static void show_progress(void *context, uint64_t checked, uint64_t failed)
{
	const bool *shown = context;

	if (*shown)
		fprintf(stderr, "\r%" PRIu64 " states checked, %" PRIu64 " failed ", checked, failed);
}

/* Where the progress of a search is kept: beside its result. NULL without memory. */
static char *progress_path(const char *output)
{
	char *path;

	return asprintf(&path, "%s.progress", output) < 0 ? NULL : path;
}

/* A result that goes to a pipe or a device has no place beside it. */
static bool keeps_progress(const char *output)
{
	struct stat st;

	return output && (stat(output, &st) < 0 ? errno == ENOENT : S_ISREG(st.st_mode));
}

/* Begin a search, or go on with one. *path: what to remove once its result is written. */
static int open_checkpoint(const struct explore_outcome *outcome, struct explore_options *options,
			   const struct explore_cli_options *given, struct explore_failures *failures,
			   struct explore_progress *progress, struct message *message)
{
	char **path = &progress->path;
	int error;

	if (!keeps_progress(given->output))
		return !given->resume ?
			       0 :
			       message_fail(message, -EINVAL, "--resume: %s: not a file", given->output);
	explore_run_id(outcome->identity, options, given->oracle, progress->identity);
	progress->resume = given->resume;
	*path = progress_path(given->output);
	if (!*path)
		return message_fail(message, -ENOMEM, "out of memory");
	error = explore_checkpoint_open(*path, progress->identity, given->resume, outcome->points->count,
					failures, options->recovered, &options->checkpoint, message);
	if (error) {
		free(*path);
		*path = NULL;
	}
	return error;
}

/*
 * The states and the time of a search of depth 2: half of them are for the first level, and what that
 * leaves is for the second. Which states the first one checks does not depend on the number of shards.
 */
static void halve_budget(struct explore_options *options)
{
	options->states -= options->states / 2;
	options->seconds -= options->seconds / 2;
}

static int explore_depth(int fd, const struct explore_options *options, uint64_t states, unsigned seconds,
			 const struct explore_progress *progress, struct explore_outcome *outcome,
			 struct message *message)
{
	const struct explore_summary *summary = &outcome->summary;
	struct explore_options left = *options;
	const struct explore_depth_task task = { .fd = fd,
						 .trace = outcome->trace,
						 .points = outcome->points,
						 .options = &left,
						 .recovered = options->recovered,
						 .progress = progress };

	left.checkpoint = NULL;
	left.states = (states - min_u64(states, summary->generated - summary->equal)) /
		      (options->shards ? options->shards : 1);
	if (seconds)
		left.seconds = (unsigned)max_u64(1, seconds - min_u64(seconds, outcome->milliseconds / 1000));
	return explore_depth_run(&task, &outcome->depth, message);
}

static int check_point(const struct explore_points *points, uint64_t at, struct message *message)
{
	for (size_t i = 0; i < points->count; i++)
		if ((points->items[i].after & ~EXPLORE_BEFORE_SYNC) == at)
			return 0;
	return message_fail(message, -ENOENT,
			    "--at %" PRIu64 ": no crash point is after so many events of the trace: they are "
			    "right before what guarantees something, and after marks",
			    at);
}

static int explore(struct cli *cli, int fd, struct explore_options *options,
		   const struct explore_cli_options *given, struct output_file *output)
{
	struct message message = { "" };
	struct explore_points points = { 0 };
	struct explore_failures failures = { 0 };
	struct explore_outcome outcome = {
		.trace = cli->argument, .options = options, .points = &points, .builtin = given->checker,
		.oracle = given->oracle, .dump = given->dump, .levels = crashes_recovery(given) ? 2 : 1,
	};
	struct explore_failures recovered = { 0 };
	const uint64_t states = options->states;
	const unsigned seconds = options->seconds;
	bool progress = isatty(STDERR_FILENO), has_subject = true;
	uint64_t began = clock_ms();
	struct explore_progress unfinished = { .path = NULL };
	int error = explore_points_find(fd, cli->argument, &options->walk, &points, &message);

	/* "No finding" would be no news. */
	if (!error && !points.events && points.cut.text[0])
		error = message_fail(&message, -EBADMSG, "%s: nothing can be explored", points.cut.text);
	if (!error && given->at)
		error = check_point(&points, options->at, &message);
	if (outcome.levels > 1) {
		halve_budget(options);
		options->recovered = &recovered;
	}
	if (!error && explore_search_id(fd, options, outcome.identity) < 0)
		error = message_fail(&message, -EIO, "%s: cannot be read", cli->argument);
	if (!error)
		error = open_checkpoint(&outcome, options, given, &failures, &unfinished, &message);
	options->progress = show_progress;
	options->context = &progress;
	if (!error)
		error = explore_search(fd, cli->argument, &points, options, &failures, &outcome.summary,
				       &message);
	explore_points_leave_end(&points);
	if (!error)
		error = explore_builtin_has_subject(fd, cli->argument, points.events, options, &has_subject,
						    &message);
	if (!has_subject)
		fprintf(stderr, "softpmem: %s: no file is a database of SQLite when the trace ends\n",
			cli->argument);
	outcome.milliseconds = clock_ms() - began;
	if (progress)
		fputs("\r\033[K", stderr);
	if (!error)
		error = explore_findings_make(fd, cli->argument, &points, options, &failures,
					      &outcome.findings, &message);
	outcome.failures = failures.count;
	if (!error && outcome.levels > 1) {
		error = explore_depth(fd, options, states, seconds, &unfinished, &outcome, &message);
		outcome.milliseconds = clock_ms() - began;
	}
	if (!error)
		error = explore_print(&outcome, fd, given->json, output, &message);
	if (!error)
		explore_depth_forget(&unfinished);
	explore_checkpoint_close(options->checkpoint);
	free(unfinished.path);
	const bool found = outcome.findings.count || outcome.depth.findings;
	const int status = error ? fail(cli, &message) : found ? CLI_FAILED : CLI_OK;

	explore_depth_clear(&outcome.depth);
	explore_failures_clear(&recovered);
	explore_findings_clear(&outcome.findings);
	explore_failures_clear(&failures);
	explore_points_clear(&points);
	return status;
}

#define WORKLOAD_TRACE "softpmem.trace"

/* With --workload all arguments are the checker's. */
static int record_workload(struct cli *cli, const struct explore_cli_options *given, const char *directory)
{
	const struct explore_workload workload = { given->workload, given->auto_da_alloc };
	struct message message = { "" };

	if (explore_workload_record(&workload, WORKLOAD_TRACE, directory, &message) < 0)
		return fail(cli, &message);
	cli->argument = WORKLOAD_TRACE;
	return CLI_OK;
}

/* Is what judges the states a command that recovers, so that its recovery can be recorded? */
static int check_recordable(const struct cli *cli, const struct explore_cli_options *given,
			    const struct explore_options *options)
{
	static const char way_out[] = "--depth 2 records the recovery of a checker that is a command";

	if (is_without_checker(given) || (given->checker && strcmp(given->checker, "pmempool") == 0))
		return cli_usage(cli, "--checker %s does not recover: %s", given->checker, way_out);
	if (options->how == EXPLORE_CHECKER_ENGINE)
		return cli_usage(cli, "a server does not end when it has recovered: %s", way_out);
	if (options->how == EXPLORE_CHECKER_FORK_SERVER)
		return cli_usage(cli, "a fork server recovers in memory of its own: %s", way_out);
	if (options->checker && explore_checker_is_object(options->checker[0]) &&
	    options->how == EXPLORE_CHECKER_BY_NAME)
		return cli_usage(cli, "%s is a shared object: %s", options->checker[0], way_out);
	return CLI_OK;
}

/* The server of --checker engine, if that is given. */
static int choose_engine(const struct cli *cli, const struct explore_cli_options *given, char *const *words,
			 struct explore_engine_words *engine, struct explore_options *options)
{
	const struct explore_engine commands = {
		.start = given->start, .ready = given->ready, .ask = given->ask, .stop = given->stop
	};

	if (!given->checker || strcmp(given->checker, "engine") != 0)
		return !given->start && !given->ready && !given->ask && !given->stop ?
			       CLI_OK :
			       cli_usage(cli, "--start, --ready, --ask and --stop are for --checker engine");
	if (!given->start || !given->ask || *words)
		return cli_usage(cli, "--checker engine takes --start and --ask, and no checker after --");
	explore_engine_words_set(engine, &commands);
	options->engine = &engine->engine;
	return CLI_OK;
}

/* What judges the states: the user's checker, one that is built in, or the command of an oracle. */
static int choose_judge(const struct cli *cli, const struct explore_cli_options *given, char *const *words,
			char *const *dump, struct explore_options *options)
{
	options->checker = *words ? words : NULL;
	if (!given->dump != !given->oracle)
		return cli_usage(cli, "--oracle and --dump belong together");
	if (given->checker && given->oracle)
		return cli_usage(cli, "--checker and --oracle exclude each other");
	if (given->checker)
		options->how = explore_checker_how(given->checker);
	if (options->how != EXPLORE_CHECKER_BY_NAME && !*words)
		return cli_usage(cli, "--checker %s takes a checker after --", given->checker);
	if (options->how == EXPLORE_CHECKER_BY_NAME && (given->checker || given->oracle) && *words)
		return cli_usage(cli, "a checker after -- excludes --checker and --oracle");
	if (given->checker && options->how == EXPLORE_CHECKER_BY_NAME)
		options->checker = explore_builtin_checker(given->checker);
	if (given->oracle)
		options->checker = dump;
	return crashes_recovery(given) || (given->replay && explore_depth_is_name(given->replay)) ?
		       check_recordable(cli, given, options) :
		       CLI_OK;
}

/* The oracle's own runs of the command come before the search. */
static int open_oracle(int fd, const char *trace, const struct explore_cli_options *given,
		       struct explore_options *options, struct explore_oracle **oracle,
		       struct message *message)
{
	enum explore_oracle_kind kind = EXPLORE_ORACLE_ALIVE;
	int error;

	if (!given->oracle)
		return 0;
	explore_oracle_parse(given->oracle, &kind);
	error = explore_oracle_open(fd, trace, kind, options, oracle, message);
	options->oracle = *oracle;
	return error;
}

/* The checker's words, which are all arguments or those after the trace. */
static int find_checker(const struct cli *cli, const struct explore_cli_options *given, char ***checker)
{
	char **word = cli->arguments;

	/* Options end at the first argument; a "--" before it is not among the arguments. */
	if (given->workload && *word && strcmp(word[-1], "--") != 0) {
		while (*word && strcmp(*word, "--") != 0)
			word++;
		if (*word)
			return cli_usage(cli, "--workload makes the trace: leave '%s' out", cli->argument);
	}
	if (given->workload)
		return CLI_OK;
	if (!*word++)
		return cli_usage(cli, "name a trace, or make one with --workload");
	if (*word && strcmp(*word, "--") == 0)
		word++;
	else if (*word && **word == '-')
		return cli_usage(cli, "%s: options come before the trace", *word);
	*checker = word;
	return CLI_OK;
}

static int run(struct cli *cli, const void *values)
{
	const struct explore_cli_options *given = values;
	__attribute__((cleanup(scratch_remove))) char *directory = NULL;
	struct message message = { "" };
	struct explore_oracle *oracle = NULL;
	struct explore_engine_words engine;
	struct explore_options options;
	CLEANUP_FD int fd = -1;
	CLEANUP_OUTPUT_FILE struct output_file file = OUTPUT_FILE_CLOSED;
	char *const dump[] = { (char *)"sh",   (char *)"-c", (char *)(uintptr_t)given->dump,
			       (char *)"dump", (char *)"{}", NULL };
	char *trace[] = { NULL, NULL };
	const struct explore_replay replay = { given->replay, given->save, given->json };
	char **checker = cli->arguments;
	int status = parse_options(cli, given, &options);

	if (status)
		return status;
	status = find_checker(cli, given, &checker);
	if (status)
		return status;
	status = choose_engine(cli, given, checker, &engine, &options);
	if (!status)
		status = choose_judge(cli, given, options.engine ? engine.words : checker, dump, &options);
	if (status)
		return status;
	if (!options.checker && !given->list_states && !is_without_checker(given) &&
	    !(given->replay && given->save))
		return cli_usage(cli, "name the checker after the trace: softpmem explore TRACE -- CHECKER");
	directory = scratch_make("explore", &message);
	if (!directory)
		return fail(cli, &message);
	options.directory = directory;
	status = given->workload ? record_workload(cli, given, directory) : CLI_OK;
	if (status)
		return status;
	if (explore_input_open(cli->argument, &fd, &message) < 0)
		return fail(cli, &message);
	trace[0] = (char *)(uintptr_t)cli->argument;
	if (given->output && output_file_open(&file, given->output, trace, &message) < 0)
		return fail(cli, &message);
	if (is_without_checker(given))
		return tell_durability(cli, fd, &options, given, given->output ? &file : NULL);
	if (given->list_states)
		return list_states(cli, fd, &options);
	if (open_oracle(fd, cli->argument, given, &options, &oracle, &message) < 0)
		return fail(cli, &message);
	if (given->replay)
		status = explore_replay(cli, fd, &options, &replay);
	else
		status = explore(cli, fd, &options, given, given->output ? &file : NULL);
	explore_oracle_close(oracle);
	return status;
}

const struct cli_verb cli_explore = {
	.name = "explore",
	.summary = "Find the crash states of a recorded run on which a checker fails",
	.arguments = "[TRACE] -- CHECKER [ARGUMENT]...",
	.details = "  CHECKER               a command ({} is the state's file) or an .so\n",
	.least = 0,
	.most = INT_MAX,
	.options = options_table,
	.options_bytes = sizeof(struct explore_cli_options),
	.run = run,
};
