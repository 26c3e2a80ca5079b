/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_CHECKER_PRIVATE_H
#define EXPLORE_CHECKER_PRIVATE_H

/* Between checker.c and the kinds of checkers: what a kind implements. */

#include "explore/checker.h"

struct explore_checker {
	const struct explore_checker_kind *kind;
	struct explore_checker_options options;
};

struct explore_checker_kind {
	int (*run)(struct explore_checker *checker, const struct explore_state *state,
		   struct explore_verdict *verdict, struct message *message);
	void (*new_walk)(struct explore_checker *checker);
	void (*destroy)(struct explore_checker *checker);
};

/* ---- Commands on copies of a state's files (checker_command.c) ----------------------- */

struct explore_command;

/* The options must outlive it. 0 or a negative errno with a message. */
int explore_command_open(const struct explore_checker_options *options, struct explore_command **out,
			 struct message *message);
/* NULL is ignored. */
void explore_command_close(struct explore_command *command);
/* Make fresh copies of the files of a state, the lists of marks, and an empty directory for a server. */
int explore_command_prepare(struct explore_command *command, const struct explore_state *state,
			    struct message *message);
/*
 * Run a command on the copies as they are now. Standard output goes to the descriptor `output`, or beside
 * standard error into the verdict if that is -1.
 */
int explore_command_execute(struct explore_command *command, char *const *argv, int output,
			    struct explore_verdict *verdict, struct message *message);
/*
 * Start a command on the copies, with these descriptors as its standard output and error, and its pid as
 * that of its process group; in a session of its own if `session`. The caller awaits its end. 0 or a negative
 * errno with a message.
 */
int explore_command_start(const struct explore_command *command, char *const *argv, int output, int errors,
			  bool session, pid_t *pid, struct message *message);
/* The verdict by a command's wait status; it is EXPLORE_PASSED so far. */
void explore_command_judge(int status, struct explore_verdict *verdict);
/* verdict->changes of a state, from what the command has left. Nothing if the options do not ask for it. */
int explore_command_compare(const struct explore_command *command, const struct explore_state *state,
			    struct explore_verdict *verdict, struct message *message);

/* A checker of a kind that runs commands. */
struct explore_command_checker {
	struct explore_checker base;
	struct explore_command *command;
};
/* 0 or a negative errno with a message. */
int explore_command_checker_create(const struct explore_checker_kind *kind,
				   const struct explore_checker_options *options,
				   struct explore_checker **out, struct message *message);
void explore_command_checker_destroy(struct explore_checker *checker);

int explore_command_create(const struct explore_checker_options *options, struct explore_checker **out,
			   struct message *message);
/* The end of what is in the file, as text: zeros are question marks. */
void explore_output_read(int fd, char *text, size_t size);
int explore_engine_create(const struct explore_checker_options *options, struct explore_checker **out,
			  struct message *message);
int explore_forked_create(const struct explore_checker_options *options, struct explore_checker **out,
			  struct message *message);
int explore_loaded_create(const struct explore_checker_options *options, struct explore_checker **out,
			  struct message *message);
extern const struct explore_checker_kind explore_loaded_kind;
int explore_oracle_create(const struct explore_checker_options *options, struct explore_checker **out,
			  struct message *message);

#endif
