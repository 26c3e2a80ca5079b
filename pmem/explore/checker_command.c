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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/remove_tree.h"
#include "explore/checker_private.h"
#include "explore/spawn.h"
#include "trace/event.h"

struct explore_command {
	unsigned timeout_ms;
	bool whole_tree;     /* {} is the directory, whatever is in it */
	char image[2 * TRACE_PATH_MAX]; /* what {} stands for in the present state */
	char *state;	       /* the directory of the copies */
	char *marks;	       /* a file beside it: what was acknowledged, a mark a line */
	char *standard_output; /* another: what the program had printed */
	int output;	       /* a memfd that the command prints to */
};

void explore_command_close(struct explore_command *command)
{
	if (!command)
		return;
	free(command->state);
	free(command->marks);
	free(command->standard_output);
	if (command->output >= 0)
		close(command->output);
	free(command);
}

int explore_command_open(const char *directory, unsigned timeout_ms, struct explore_command **out,
			 struct message *message)
{
	struct explore_command *command = calloc(1, sizeof(*command));

	if (!command)
		return message_fail(message, -ENOMEM, "checker: out of memory");
	command->timeout_ms = timeout_ms;
	if (asprintf(&command->state, "%s/state", directory) < 0)
		command->state = NULL;
	if (asprintf(&command->marks, "%s/marks", directory) < 0)
		command->marks = NULL;
	if (asprintf(&command->standard_output, "%s/stdout", directory) < 0)
		command->standard_output = NULL;
	command->output = memfd_create("softpmem-checker-output", MFD_CLOEXEC);
	if (command->output < 0 || !command->state || !command->marks || !command->standard_output) {
		explore_command_close(command);
		return message_fail(message, -ENOMEM, "checker: cannot make a place for its output");
	}
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

/*
 * The path of the only file that there is for programs, whether the state has it or not; the directory if
 * there are several.
 */
static void image_path(const struct explore_command *command, const struct explore_walk *walk, char *path,
		       size_t size)
{
	const struct explore_file *only = NULL;
	char name[TRACE_PATH_MAX + 1];
	size_t files = 0;

	for (size_t i = 0; i < explore_walk_files(walk); i++)
		if (!explore_walk_file(walk, i)->removed) {
			only = explore_walk_file(walk, i);
			files++;
		}
	if (files == 1 && !command->whole_tree) {
		explore_state_file_name(only, name, sizeof(name));
		snprintf(path, size, "%s/%s", command->state, name);
	} else {
		snprintf(path, size, "%s", command->state);
	}
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

#define VARIABLES 4u

static void free_environment(char **environment)
{
	for (size_t i = 0; environment && i < VARIABLES; i++)
		free(environment[i]);
	free(environment);
}

/* The variables for the command come first. NULL without memory. */
static char **make_environment(const struct explore_command *command, const char *path)
{
	static const char *const names[VARIABLES] = { "SOFTPMEM_STATE", "SOFTPMEM_IMAGE", "SOFTPMEM_MARKS",
						      "SOFTPMEM_STDOUT" };
	const char *const values[VARIABLES] = { command->state, path, command->marks,
						command->standard_output };
	char **out = explore_environment(VARIABLES);

	for (size_t i = 0; out && i < VARIABLES; i++)
		if (asprintf(&out[i], "%s=%s", names[i], values[i]) < 0) {
			out[i] = NULL;
			free_environment(out);
			return NULL;
		}
	return out;
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
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!ended) {
		verdict->result = EXPLORE_TIMED_OUT;
	} else if (WIFSIGNALED(status)) {
		verdict->result = EXPLORE_SIGNALED;
		verdict->code = WTERMSIG(status);
	} else if (WEXITSTATUS(status)) {
		verdict->result = EXPLORE_FAILED;
		verdict->code = WEXITSTATUS(status);
	}
	return error;
}

void explore_output_read(int fd, struct explore_verdict *verdict)
{
	off_t end = lseek(fd, 0, SEEK_END);
	off_t from =
		end > (off_t)sizeof(verdict->output) - 1 ? end - ((off_t)sizeof(verdict->output) - 1) : 0;
	ssize_t got = pread(fd, verdict->output, sizeof(verdict->output) - 1, from);

	verdict->output[got > 0 ? got : 0] = '\0';
}

int explore_command_prepare(struct explore_command *command, const struct explore_state *state,
			    struct message *message)
{
	int error;

	if (command->whole_tree && !explore_walk_names_has_root(explore_walk_names(state->walk)))
		return message_fail(message, -EINVAL,
				    "checker mount: the trace has no tree of files: record it on a mount");
	error = renew_directory(command->state);
	if (!error)
		error = write_marks(command, state->walk);
	if (error)
		return message_fail(message, error, "%s: %s", command->state, strerror(-error));
	image_path(command, state->walk, command->image, sizeof(command->image));
	return explore_state_save(state, command->state, message);
}

int explore_command_execute(struct explore_command *command, char *const *argv, int output,
			    struct explore_verdict *verdict, struct message *message)
{
	char **words = make_words(argv, command->image);
	char **environment = make_environment(command, command->image);
	const struct explore_spawn spawn = {
		.argv = words,
		.environment = environment,
		.output = output < 0 ? command->output : output,
		.errors = command->output,
	};
	int error = words && environment ? 0 : -ENOMEM;
	pid_t pid = 0;

	*verdict = (struct explore_verdict){ .result = EXPLORE_PASSED };
	if (ftruncate(command->output, 0) < 0 || lseek(command->output, 0, SEEK_SET) < 0)
		error = -errno;
	if (!error)
		error = explore_spawn(&spawn, &pid);
	if (error) {
		message_fail(message, error, "checker %s: cannot start it: %s", argv[0], strerror(-error));
	} else {
		error = await(pid, command->timeout_ms, verdict);
		if (error)
			message_fail(message, error, "checker %s: cannot wait for it: %s", argv[0],
				     strerror(-error));
		explore_output_read(command->output, verdict);
	}
	free_environment(environment);
	free_words(words);
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
	error = explore_command_open(options->directory, options->timeout_ms, &checker->command, message);
	if (error) {
		free(checker);
		return error;
	}
	checker->command->whole_tree = options->how == EXPLORE_CHECKER_MOUNT;
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

	return error ? error :
		       explore_command_execute(command, checker->options.argv, -1, verdict, message);
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
