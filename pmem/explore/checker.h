/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_CHECKER_H
#define EXPLORE_CHECKER_H

/*
 * The user's program that decides whether recovery from a crash state works. Five
 * kinds: a command, which gets copies of the files and is started for each state; a
 * shared object (explore/softpmem_checker.h), which is loaded once and called for each
 * state on private mappings; a fork server (explore/fork_protocol.h), which is started
 * once and forks for each state; an engine, a server that is started on copies of the
 * files, asked, and stopped; and an oracle (explore/oracle.h), which compares what a
 * command prints.
 *
 * A shared object runs in the calling process: if it crashes or hangs, so does the
 * caller. The search therefore runs it in worker processes.
 *
 * Not thread safe.
 */

#include "common/message.h"
#include "explore/places.h"

/* A crash state: at the walk's present moment, one version for each place. */
struct explore_state {
	const struct explore_walk *walk;
	const struct explore_places *places;
	const uint64_t *versions;
};

/* Its names and sizes, as explore_places_tree() has them. */
int explore_state_tree(const struct explore_state *state, const struct explore_tree **tree);
/* explore_places_lines() of the state. */
int explore_state_lines(const struct explore_state *state, const struct explore_file *file,
			int (*line)(void *context, uint64_t offset, const unsigned char *bytes),
			void *context);

enum explore_result {
	EXPLORE_PASSED,   /* `changes`: what recovery left changed, if the options ask for that */
	EXPLORE_FAILED,	  /* `code`: the exit status, or what the shared object returned */
	EXPLORE_SIGNALED, /* `code`: the signal that ended the checker */
	EXPLORE_TIMED_OUT,
	/* Of an engine: its server ended before it answered (`code`: status or signal), or never did. */
	EXPLORE_SERVER_ENDED,
	EXPLORE_SERVER_SIGNALED,
	EXPLORE_SERVER_NOT_READY,
	EXPLORE_RESULT_LAST = EXPLORE_SERVER_NOT_READY
};

struct explore_verdict {
	enum explore_result result;
	int code;
	char output[1024]; /* the end of what a command or server printed; "" of a shared object */
	/* Equal if recovery changed the same bytes in the same way; zero if it changed nothing. */
	struct explore_digest changes;
};

/* Did the checker pass, or fail, in the same way: with the same status, by the same signal? */
static inline bool explore_verdict_alike(const struct explore_verdict *one,
					 const struct explore_verdict *other)
{
	return one->result == other->result && one->code == other->code;
}

/* What the checker did: "failed with status 1", "was killed by signal 11", "did not end in 10 s". */
void explore_verdict_text(const struct explore_verdict *verdict, unsigned timeout_ms, char *text,
			  size_t size);

struct explore_oracle;

enum explore_checker_how {
	EXPLORE_CHECKER_BY_NAME,     /* a shared object if its name ends in ".so", else a command */
	EXPLORE_CHECKER_MOUNT,	     /* a command on the tree of a mount's trace */
	EXPLORE_CHECKER_FORK_SERVER,
	EXPLORE_CHECKER_ENGINE	     /* a server: explore_checker_options.engine */
};

/* Shell commands, in which {} stands for the state's file or tree; $1 is the same. */
struct explore_engine {
	const char *start; /* runs the server, or leaves one in the background */
	const char *ready; /* repeated until it ends with 0; NULL: the server is asked at once */
	const char *ask;   /* its status is the verdict; it is repeated while that is EX_TEMPFAIL (75) */
	const char *stop;  /* instead of SIGTERM; NULL: SIGTERM */
};

/* How long a server may take to stop before it is killed. */
#define EXPLORE_STOP_MS 2000u

/*
 * What is known of the first power failure, when power fails once more during the recovery from it: the
 * program acknowledged nothing since then.
 */
struct explore_first_crash {
	/* Files, for SOFTPMEM_MARKS and SOFTPMEM_STDOUT. */
	char marks[TRACE_PATH_MAX], standard_output[TRACE_PATH_MAX];
	uint64_t count; /* of marks */
	char image[TRACE_PATH_MAX]; /* what {} stands for, below the directory of a state; "" for that */
};

struct explore_checker_options {
	char *const *argv; /* NULL at the end; not of an engine */
	enum explore_checker_how how;
	const struct explore_engine *engine;
	unsigned worker; /* tells checkers that run at the same time from each other: for $SOFTPMEM_WORKER */
	const char *directory; /* where a command's copies are made; must exist and be the caller's own */
	unsigned timeout_ms;   /* of a command, for one state; of a server, until it has answered */
	/* If not NULL: `argv` is the command that prints what recovery finds, and this judges that. */
	const struct explore_oracle *oracle;
	const struct explore_first_crash *first; /* NULL: power fails for the first time */
	bool compares; /* a command: verdicts have `changes` */
};

struct explore_checker;

int explore_checker_create(const struct explore_checker_options *options, struct explore_checker **out,
			   struct message *message);
/* NULL is ignored. */
void explore_checker_destroy(struct explore_checker *checker);
/* Is a checker of that name a shared object, if the options do not say how it is run? */
bool explore_checker_is_object(const char *name);
/*
 * A process that runs a checker for longer on one state hangs: commands and servers are ended before, at
 * their own limits.
 */
unsigned explore_checker_limit_ms(enum explore_checker_how how, unsigned timeout_ms);
/* Does it run in this process? */
bool explore_checker_is_loaded(const struct explore_checker *checker);

/* The states that follow are of another walk: forget what is kept of the one before, which may be gone. */
void explore_checker_new_walk(struct explore_checker *checker);

/* Run it on a state. 0 and a verdict; or a negative errno, if it could not be run at all. */
int explore_checker_run(struct explore_checker *checker, const struct explore_state *state,
			struct explore_verdict *verdict, struct message *message);

/*
 * Run the command of a checker, with the words `before` (NULL at the end) in front of it, on a state whose
 * files are in `place`, by explore_state_save(). *first is what a checker of a crash of this run needs;
 * its files are in options->directory. 0 or a negative errno with a message.
 */
int explore_checker_run_in(const struct explore_checker_options *options, const struct explore_state *state,
			   const char *place, char *const *before, struct explore_first_crash *first,
			   struct explore_verdict *verdict, struct message *message);

/*
 * Make the files of a state in an empty directory, as a command gets them. Symlinks that lead out of it are
 * left out, as are sockets and the like. 0 or a negative errno with a message.
 */
int explore_state_save(const struct explore_state *state, const char *directory, struct message *message);
/* The name that a file has there, if its name as programs see it survives. */
void explore_state_file_name(const struct explore_file *file, char *name, size_t size);

#endif
