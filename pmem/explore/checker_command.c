/* SPDX-License-Identifier: BSD-3-Clause */

/* A checker that is a command: each state is a fresh copy of the files, and the command is started on it. */

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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/remove_tree.h"
#include "explore/changes.h"
#include "explore/checker_private.h"
#include "explore/spawn.h"
#include "trace/event.h"

struct explore_command {
	const struct explore_checker_options *options;
	char image[2 * TRACE_PATH_MAX]; /* what {} stands for in the present state */
	char *state;	       /* the directory of the copies */
	char *marks;	       /* a file beside it: what was acknowledged, a mark a line */
	char *standard_output; /* another: what the program had printed */
	char *run;	       /* a directory beside it for what a server makes; NULL: there is none */
	char worker[16];       /* the number of the checker, as text */
	int output;	       /* a memfd that the command prints to */
};

/* ---- The end of this process --------------------------------------------------------------- */

/* The process group of the command that runs; 0: none. A process runs one at a time. */
static volatile pid_t running;

/* The command has a group of its own, to which a terminal sends nothing. */
static void end_running(int signal)
{
	if (running > 0)
		kill(-running, SIGKILL);
	raise(signal);
}

/* A command does not outlive the process that has started it. */
static void end_with_process(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM };
	const struct sigaction action = { .sa_handler = end_running, .sa_flags = SA_RESETHAND | SA_NODEFER };
	struct sigaction before;
	int parent_death = 0;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
			sigaction(signals[i], &action, NULL);
	/* A worker ends with the search by SIGKILL, which would leave its command. */
	if (prctl(PR_GET_PDEATHSIG, &parent_death) == 0 && parent_death == SIGKILL)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
}

/* ---- The copies ------------------------------------------------------------------------------ */

void explore_command_close(struct explore_command *command)
{
	if (!command)
		return;
	free(command->state);
	free(command->marks);
	free(command->standard_output);
	free(command->run);
	if (command->output >= 0)
		close(command->output);
	free(command);
}

int explore_command_open(const struct explore_checker_options *options, struct explore_command **out,
			 struct message *message)
{
	struct explore_command *command = calloc(1, sizeof(*command));

	if (!command)
		return message_fail(message, -ENOMEM, "checker: out of memory");
	command->options = options;
	if (asprintf(&command->state, "%s/state", options->directory) < 0)
		command->state = NULL;
	if (asprintf(&command->marks, "%s/marks", options->directory) < 0)
		command->marks = NULL;
	if (asprintf(&command->standard_output, "%s/stdout", options->directory) < 0)
		command->standard_output = NULL;
	if (options->engine && asprintf(&command->run, "%s/run", options->directory) < 0)
		command->run = NULL;
	snprintf(command->worker, sizeof(command->worker), "%u", options->worker);
	command->output = memfd_create("softpmem-checker-output", MFD_CLOEXEC);
	if (command->output < 0 || !command->state || !command->marks || !command->standard_output ||
	    (options->engine && !command->run)) {
		explore_command_close(command);
		return message_fail(message, -ENOMEM, "checker: cannot make a place for its output");
	}
	end_with_process();
	*out = command;
	return 0;
}

/* An empty directory, whatever the last command left there. */
static int renew_directory(const char *path)
{
	remove_tree(path);
	return mkdir(path, 0700) < 0 ? -errno : 0;
}

static int write_marks(const struct explore_command *command, const struct explore_walk *walk)
{
	FILE *marks = fopen(command->marks, "we"), *standard_output = fopen(command->standard_output, "we");
	int error = marks && standard_output ? 0 : -errno;

	for (size_t i = 0; !error && i < explore_walk_marks(walk); i++) {
		const struct explore_mark *mark = explore_walk_mark(walk, i);

		fwrite(mark->text, 1, mark->length, marks);
		if (!mark->length || mark->text[mark->length - 1] != '\n')
			fputc('\n', marks);
		if (mark->source == TRACE_MARK_STDOUT)
			fwrite(mark->text, 1, mark->length, standard_output);
	}
	if (marks && fclose(marks) != 0)
		error = -EIO;
	if (standard_output && fclose(standard_output) != 0)
		error = -EIO;
	return error;
}

/* Does the checker get the state as a tree, rather than as a file if there is only one? */
static bool gets_tree(const struct explore_command *command, const struct explore_walk *walk)
{
	return command->options->how == EXPLORE_CHECKER_MOUNT ||
	       (command->options->how == EXPLORE_CHECKER_ENGINE &&
		explore_walk_names_has_root(explore_walk_names(walk)));
}

/*
 * The path, below the state's directory, of the only file that there is for programs, whether the state
 * has it or not; "" if there are several, or if the checker gets a tree.
 */
static void choose_image(const struct explore_command *command, const struct explore_walk *walk,
			 char name[TRACE_PATH_MAX])
{
	const struct explore_file *only = NULL;
	size_t files = 0;

	*name = '\0';
	if (command->options->first) {
		strcpy(name, command->options->first->image);
		return;
	}
	for (size_t i = 0; i < explore_walk_files(walk); i++)
		if (!explore_walk_file(walk, i)->removed) {
			only = explore_walk_file(walk, i);
			files++;
		}
	if (files == 1 && !gets_tree(command, walk))
		explore_state_file_name(only, name, TRACE_PATH_MAX);
}

static void set_image(struct explore_command *command, const char *name)
{
	snprintf(command->image, sizeof(command->image), "%s%s%s", command->state, *name ? "/" : "", name);
}

/* `word` with each {} replaced; for the caller to free, NULL without memory. */
static char *replace_braces(const char *word, const char *path)
{
	size_t length = strlen(word) + 1, path_length = strlen(path);
	char *out, *at;

	for (const char *brace = word; (brace = strstr(brace, "{}")); brace += 2)
		length += path_length;
	out = at = malloc(length);
	while (out && *word) {
		if (word[0] == '{' && word[1] == '}') {
			memcpy(at, path, path_length);
			at += path_length;
			word += 2;
		} else {
			*at++ = *word++;
		}
	}
	if (out)
		*at = '\0';
	return out;
}

static void free_words(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

static char **make_words(char *const *argv, const char *path)
{
	size_t count = 0;
	char **words;

	while (argv[count])
		count++;
	words = calloc(count + 1, sizeof(*words));
	for (size_t i = 0; words && i < count; i++) {
		words[i] = replace_braces(argv[i], path);
		if (!words[i]) {
			free_words(words);
			return NULL;
		}
	}
	return words;
}

#define VARIABLES 6u

/* A checker without a directory for a server has no variable for it, which is the last one. */
static size_t variables_of(const struct explore_command *command)
{
	return command->run ? VARIABLES : VARIABLES - 1;
}

/* The first `count` strings are the caller's own. */
static void free_environment(char **environment, size_t count)
{
	for (size_t i = 0; environment && i < count; i++)
		free(environment[i]);
	free(environment);
}

/* The variables for the command come first. NULL without memory. */
static char **make_environment(const struct explore_command *command)
{
	static const char *const names[VARIABLES] = { "SOFTPMEM_STATE", "SOFTPMEM_IMAGE", "SOFTPMEM_MARKS",
						      "SOFTPMEM_STDOUT", "SOFTPMEM_WORKER",
						      "SOFTPMEM_RUN" };
	const struct explore_first_crash *first = command->options->first;
	const char *const values[VARIABLES] = { command->state, command->image,
						first ? first->marks : command->marks,
						first ? first->standard_output : command->standard_output,
						command->worker, command->run };
	const size_t count = variables_of(command);
	char **out = explore_environment(count);

	for (size_t i = 0; out && i < count; i++)
		if (asprintf(&out[i], "%s=%s", names[i], values[i]) < 0) {
			out[i] = NULL;
			free_environment(out, count);
			return NULL;
		}
	return out;
}

void explore_command_judge(int status, struct explore_verdict *verdict)
{
	if (WIFSIGNALED(status)) {
		verdict->result = EXPLORE_SIGNALED;
		verdict->code = WTERMSIG(status);
	} else if (WEXITSTATUS(status)) {
		verdict->result = EXPLORE_FAILED;
		verdict->code = WEXITSTATUS(status);
	}
}

/* Wait for the end of the command, at most so long; then its group is killed, in either case. */
static int await(pid_t pid, unsigned timeout_ms, struct explore_verdict *verdict)
{
	CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd poll_for = { .fd = pidfd, .events = POLLIN };
	int error = pidfd < 0 ? -errno : 0, ended = 0, status;

	while (!error && (ended = poll(&poll_for, 1, (int)timeout_ms)) < 0)
		if (errno != EINTR)
			error = -errno;
	kill(-pid, SIGKILL);
	/* From here on the number may become another group's. */
	running = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!ended)
		verdict->result = EXPLORE_TIMED_OUT;
	else
		explore_command_judge(status, verdict);
	return error;
}

void explore_output_read(int fd, char *text, size_t size)
{
	struct stat st;
	off_t end = fstat(fd, &st) < 0 ? 0 : st.st_size;
	off_t from = end > (off_t)size - 1 ? end - ((off_t)size - 1) : 0;
	ssize_t got = pread(fd, text, size - 1, from);

	text[got > 0 ? got : 0] = '\0';
	/* A zero would end the text, and hide the reason that a checker prints after a key or a value. */
	for (ssize_t i = 0; i < got; i++)
		if (!text[i])
			text[i] = '?';
}

int explore_command_prepare(struct explore_command *command, const struct explore_state *state,
			    struct message *message)
{
	char name[TRACE_PATH_MAX];
	int error;

	if (command->options->how == EXPLORE_CHECKER_MOUNT &&
	    !explore_walk_names_has_root(explore_walk_names(state->walk)))
		return message_fail(message, -EINVAL,
				    "checker mount: the trace has no tree of files: record it on a mount");
	error = renew_directory(command->state);
	if (!error && command->run)
		error = renew_directory(command->run);
	if (!error && !command->options->first)
		error = write_marks(command, state->walk);
	if (error)
		return message_fail(message, error, "%s: %s", command->state, strerror(-error));
	choose_image(command, state->walk, name);
	set_image(command, name);
	return explore_state_save(state, command->state, message);
}

int explore_command_start(const struct explore_command *command, char *const *argv, int output, int errors,
			  bool session, pid_t *pid, struct message *message)
{
	char **words = make_words(argv, command->image);
	char **environment = make_environment(command);
	const struct explore_spawn spawn = {
		.argv = words,
		.environment = environment,
		.output = output,
		.errors = errors,
		.session = session,
	};
	int error = words && environment ? explore_spawn(&spawn, pid) : -ENOMEM;

	if (error)
		message_fail(message, error, "checker %s: cannot start it: %s", argv[0], strerror(-error));
	free_environment(environment, variables_of(command));
	free_words(words);
	return error;
}

int explore_command_execute(struct explore_command *command, char *const *argv, int output,
			    struct explore_verdict *verdict, struct message *message)
{
	sigset_t all, before;
	pid_t pid = 0;
	int error;

	*verdict = (struct explore_verdict){ .result = EXPLORE_PASSED };
	if (ftruncate(command->output, 0) < 0 || lseek(command->output, 0, SEEK_SET) < 0)
		return message_fail(message, -errno, "checker %s: cannot empty its output: %s", argv[0],
				    strerror(errno));
	/* `running` is right whenever a signal arrives. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	error = explore_command_start(command, argv, output < 0 ? command->output : output, command->output,
				      false, &pid, message);
	running = error ? 0 : pid;
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (error)
		return error;
	error = await(pid, command->options->timeout_ms, verdict);
	explore_output_read(command->output, verdict->output, sizeof(verdict->output));
	return error ? message_fail(message, error, "checker %s: cannot wait for it: %s", argv[0],
				    strerror(-error)) :
		       0;
}

int explore_command_compare(const struct explore_command *command, const struct explore_state *state,
			    struct explore_verdict *verdict, struct message *message)
{
	int error;

	if (!command->options->compares || verdict->result != EXPLORE_PASSED)
		return 0;
	error = explore_changes_find(state, command->state, &verdict->changes);
	return error ? message_fail(message, error, "%s: cannot be compared: %s", command->state,
				    strerror(-error)) :
		       0;
}

/* ---- In another place ----------------------------------------------------------------- */

static char **join_words(char *const *before, char *const *argv)
{
	size_t count = 0, at = 0;
	char **words;

	for (size_t i = 0; before[i]; i++)
		count++;
	for (size_t i = 0; argv[i]; i++)
		count++;
	words = calloc(count + 1, sizeof(*words));
	for (size_t i = 0; words && before[i]; i++)
		words[at++] = before[i];
	for (size_t i = 0; words && argv[i]; i++)
		words[at++] = argv[i];
	return words;
}

/* What the checker of a crash of this run needs. */
static void tell_first(const struct explore_command *command, const struct explore_walk *walk,
		       struct explore_first_crash *first)
{
	snprintf(first->marks, sizeof(first->marks), "%s", command->marks);
	snprintf(first->standard_output, sizeof(first->standard_output), "%s", command->standard_output);
	first->count = explore_walk_marks(walk);
	choose_image(command, walk, first->image);
}

int explore_checker_run_in(const struct explore_checker_options *options, const struct explore_state *state,
			   const char *place, char *const *before, struct explore_first_crash *first,
			   struct explore_verdict *verdict, struct message *message)
{
	CLEANUP_FREE char **words = join_words(before, options->argv);
	struct explore_command *command = NULL;
	int error = explore_command_open(options, &command, message);

	if (error)
		return error;
	free(command->state);
	command->state = strdup(place);
	error = words && command->state ? write_marks(command, state->walk) : -ENOMEM;
	if (error) {
		message_fail(message, error, "%s: %s", place, strerror(-error));
	} else {
		tell_first(command, state->walk, first);
		set_image(command, first->image);
	}
	if (!error)
		error = explore_command_execute(command, words, -1, verdict, message);
	explore_command_close(command);
	return error;
}

/* ---- As a checker --------------------------------------------------------------------- */

int explore_command_checker_create(const struct explore_checker_kind *kind,
				   const struct explore_checker_options *options,
				   struct explore_checker **out, struct message *message)
{
	struct explore_command_checker *checker = calloc(1, sizeof(*checker));
	int error;

	if (!checker)
		return message_fail(message, -ENOMEM, "checker: out of memory");
	checker->base.kind = kind;
	checker->base.options = *options;
	error = explore_command_open(&checker->base.options, &checker->command, message);
	if (error) {
		free(checker);
		return error;
	}
	*out = &checker->base;
	return 0;
}

void explore_command_checker_destroy(struct explore_checker *checker)
{
	explore_command_close(((struct explore_command_checker *)checker)->command);
	free(checker);
}

static int command_run(struct explore_checker *checker, const struct explore_state *state,
		       struct explore_verdict *verdict, struct message *message)
{
	struct explore_command *command = ((struct explore_command_checker *)checker)->command;
	int error = explore_command_prepare(command, state, message);

	if (!error)
		error = explore_command_execute(command, checker->options.argv, -1, verdict, message);
	return error ? error : explore_command_compare(command, state, verdict, message);
}

/* Nothing is kept from one state to the next. */
static void command_new_walk(struct explore_checker *checker)
{
}

static const struct explore_checker_kind command_kind = {
	.run = command_run,
	.new_walk = command_new_walk,
	.destroy = explore_command_checker_destroy,
};

int explore_command_create(const struct explore_checker_options *options, struct explore_checker **out,
			   struct message *message)
{
	return explore_command_checker_create(&command_kind, options, out, message);
}
