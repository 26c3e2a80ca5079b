/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/oracle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "explore/checker_private.h"

/* Bytes of a dump; more are an error. */
#define DUMP_MAX (64u << 20)

static const char *const kind_names[] = {
	[EXPLORE_ORACLE_ALIVE] = "alive",
	[EXPLORE_ORACLE_STABLE] = "stable",
	[EXPLORE_ORACLE_PREFIX] = "prefix",
	[EXPLORE_ORACLE_EQUIV] = "equiv",
};

struct explore_oracle {
	enum explore_oracle_kind kind;
	VECTOR(struct explore_digest) dumps; /* after so many marks; the last one is of the end */
};

int explore_oracle_parse(const char *text, enum explore_oracle_kind *kind)
{
	for (size_t i = 0; i < sizeof(kind_names) / sizeof(kind_names[0]); i++)
		if (strcmp(text, kind_names[i]) == 0) {
			*kind = (enum explore_oracle_kind)i;
			return 0;
		}
	return -EINVAL;
}

/* ---- Dumps ----------------------------------------------------------------------------- */

static int digest_of_file(int fd, struct explore_digest *digest)
{
	const off_t size = lseek(fd, 0, SEEK_END);
	unsigned char line[LINE_SIZE];
	ssize_t got;

	if (size < 0)
		return -errno;
	if (size > DUMP_MAX)
		return -EFBIG;
	*digest = explore_digest_of(1, (uint64_t)size);
	for (off_t at = 0; at < size; at += (off_t)sizeof(line)) {
		memset(line, 0, sizeof(line));
		got = pread(fd, line, sizeof(line), at);
		if (got < 0)
			return -errno;
		*digest = explore_digest_add(*digest, explore_digest_line((uint64_t)at, line));
	}
	return 0;
}

/* Run the command on the copies as they are; the digest is of what it printed, if it passed. */
static int dump(struct explore_command *command, char *const *argv, struct explore_verdict *verdict,
		struct explore_digest *digest, struct message *message)
{
	CLEANUP_FD int output = memfd_create("softpmem-dump", MFD_CLOEXEC);
	int error = output < 0 ? message_fail(message, -errno, "cannot keep a dump: %s", strerror(errno)) :
				 explore_command_execute(command, argv, output, verdict, message);

	if (error || verdict->result != EXPLORE_PASSED)
		return error;
	error = digest_of_file(output, digest);
	return error ? message_fail(message, error, "%s: its dump cannot be used: %s", argv[0],
				    strerror(-error)) :
		       0;
}

/* ---- What is right ------------------------------------------------------------------------ */

/* The dump of the present moment, with everything that was stored or what is guaranteed alone. */
static int add_dump(struct explore_oracle *oracle, struct explore_command *command, struct explore_walk *walk,
		    bool newest, const struct explore_options *options, struct message *message)
{
	struct explore_places places = { 0 };
	struct explore_digest digest = { 0, 0 };
	struct explore_verdict verdict;
	CLEANUP_FREE uint64_t *versions = NULL;
	int error = explore_walk_settle_names(walk);

	if (!error)
		error = explore_places_collect(walk, &places);
	versions = calloc(places.count + 1, sizeof(*versions));
	if (!error && versions) {
		const struct explore_state state = { .walk = walk, .places = &places, .versions = versions };

		for (size_t i = 0; i < places.count; i++)
			versions[i] = newest ? places.items[i].versions - 1 : 0;
		error = explore_command_prepare(command, &state, message);
	}
	if (!error)
		error = dump(command, options->checker, &verdict, &digest, message);
	explore_places_clear(&places);
	if (error || !versions)
		return error ? error : -ENOMEM;
	/* At the beginning the command need not work: there may be nothing to recover. */
	if (verdict.result != EXPLORE_PASSED && newest)
		return message_fail(message, -ECANCELED,
				    "the dump fails after event %llu, where everything is durable: %s",
				    (unsigned long long)explore_walk_count(walk), verdict.output);
	return vector_append(&oracle->dumps, digest);
}

static int make_dumps(struct explore_oracle *oracle, struct explore_command *command,
		      struct explore_walk *walk, const struct explore_options *options,
		      struct message *message)
{
	int step, error = 0;

	while (!error && (step = explore_walk_next(walk, message)) != 0) {
		const struct trace_event *event = explore_walk_event(walk);

		error = step < 0 ? step : 0;
		/* The definitions, which come first, are the state at the beginning. */
		if (!error && !oracle->dumps.count && !trace_kind_is_definition(event->kind))
			error = add_dump(oracle, command, walk, false, options, message);
		if (!error && event->kind == TRACE_MARK)
			error = add_dump(oracle, command, walk, true, options, message);
	}
	/* What was done after the last mark, and never acknowledged. */
	return error ? error : add_dump(oracle, command, walk, true, options, message);
}

int explore_oracle_open(int fd, const char *name, enum explore_oracle_kind kind,
			const struct explore_options *options, struct explore_oracle **out,
			struct message *message)
{
	const struct explore_checker_options checker = { .directory = options->directory,
							 .timeout_ms = options->timeout_ms };
	struct explore_oracle *oracle = calloc(1, sizeof(*oracle));
	struct explore_command *command = NULL;
	struct explore_walk *walk = NULL;
	int error = oracle ? 0 : message_fail(message, -ENOMEM, "out of memory");

	if (!error)
		oracle->kind = kind;
	if (!error && kind >= EXPLORE_ORACLE_PREFIX) {
		error = explore_command_open(&checker, &command, message);
		if (!error)
			error = explore_walk_create(fd, name, &options->walk, &walk, message);
		if (!error)
			error = make_dumps(oracle, command, walk, options, message);
	}
	explore_walk_destroy(walk);
	explore_command_close(command);
	if (error)
		explore_oracle_close(oracle);
	else
		*out = oracle;
	return error;
}

void explore_oracle_close(struct explore_oracle *oracle)
{
	if (!oracle)
		return;
	vector_free(&oracle->dumps);
	free(oracle);
}

/* ---- As a checker ---------------------------------------------------------------------------- */

static bool same_dump(struct explore_digest a, struct explore_digest b)
{
	return a.low == b.low && a.high == b.high;
}

/* The dumps that are right after so many marks. */
static bool is_right(const struct explore_oracle *oracle, uint64_t marks, struct explore_digest digest)
{
	size_t last = oracle->dumps.count - 1;

	if (oracle->kind == EXPLORE_ORACLE_EQUIV && marks + 1 < last)
		last = (size_t)marks + 1;
	for (size_t i = (size_t)marks; i <= last; i++)
		if (same_dump(oracle->dumps.items[i], digest))
			return true;
	return false;
}

/* How many marks, before the first power failure. */
static uint64_t acknowledged(const struct explore_checker *checker, const struct explore_state *state)
{
	return checker->options.first ? checker->options.first->count : explore_walk_marks(state->walk);
}

static void fail(struct explore_verdict *verdict, const char *reason)
{
	verdict->result = EXPLORE_FAILED;
	verdict->code = 1;
	snprintf(verdict->output, sizeof(verdict->output), "%s\n", reason);
}

/* The command has passed and printed `first`. */
static int compare(const struct explore_checker *checker, const struct explore_state *state,
		   struct explore_digest first, struct explore_verdict *verdict, struct message *message)
{
	struct explore_command *command = ((const struct explore_command_checker *)checker)->command;
	const struct explore_oracle *oracle = checker->options.oracle;
	struct explore_digest second = { 0, 0 };
	int error;

	if (oracle->kind != EXPLORE_ORACLE_STABLE) {
		if (!is_right(oracle, acknowledged(checker, state), first))
			fail(verdict, oracle->kind == EXPLORE_ORACLE_EQUIV ?
					      "the dump is not that of the last mark or the next one" :
					      "the dump is not that of the last mark or a later one");
		return 0;
	}
	error = dump(command, checker->options.argv, verdict, &second, message);
	if (!error && verdict->result == EXPLORE_PASSED && !same_dump(first, second))
		fail(verdict, "a second recovery prints another dump");
	return error;
}

static int oracle_run(struct explore_checker *checker, const struct explore_state *state,
		      struct explore_verdict *verdict, struct message *message)
{
	struct explore_command *command = ((struct explore_command_checker *)checker)->command;
	const struct explore_oracle *oracle = checker->options.oracle;
	char *const *argv = checker->options.argv;
	struct explore_digest first = { 0, 0 };
	int error = explore_command_prepare(command, state, message);

	if (!error)
		error = dump(command, argv, verdict, &first, message);
	/* Before the first mark there may be nothing to recover. */
	if (!error && verdict->result == EXPLORE_FAILED && oracle->kind >= EXPLORE_ORACLE_PREFIX &&
	    !acknowledged(checker, state))
		*verdict = (struct explore_verdict){ .result = EXPLORE_PASSED };
	else if (!error && verdict->result == EXPLORE_PASSED && oracle->kind != EXPLORE_ORACLE_ALIVE)
		error = compare(checker, state, first, verdict, message);
	return error ? error : explore_command_compare(command, state, verdict, message);
}

/* Nothing is kept from one state to the next. */
static void oracle_new_walk(struct explore_checker *checker)
{
}

static const struct explore_checker_kind oracle_kind = {
	.run = oracle_run,
	.new_walk = oracle_new_walk,
	.destroy = explore_command_checker_destroy,
};

int explore_oracle_create(const struct explore_checker_options *options, struct explore_checker **out,
			  struct message *message)
{
	return explore_command_checker_create(&oracle_kind, options, out, message);
}
