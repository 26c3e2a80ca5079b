/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/trial.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"

struct explore_trial {
	struct explore_walk *walk;
	uint64_t after; /* where the walk stands */
	struct explore_places places;
	struct explore_checker_options checker;
	struct shared_verdict *shared;
};

/* Written by the process that runs the checker. */
struct shared_verdict {
	struct explore_verdict verdict;
	struct message message;
	int error;
	bool done;
};

static int walk_to(struct explore_trial *trial, uint64_t after, struct message *message)
{
	const int step = explore_walk_to(trial->walk, after, message);

	trial->after = after;
	after &= ~EXPLORE_BEFORE_SYNC;
	if (step < 0)
		return step;
	if (explore_walk_count(trial->walk) < after)
		return message_fail(message, -EINVAL, "the trace has only %llu events, not %llu",
				    (unsigned long long)explore_walk_count(trial->walk),
				    (unsigned long long)after);
	const int error = explore_walk_settle_names(trial->walk);
	return error ? error : explore_places_collect(trial->walk, &trial->places);
}

int explore_trial_open(int fd, const char *name, uint64_t after, const struct explore_options *options,
		       struct explore_trial **out, struct message *message)
{
	struct explore_trial *trial = calloc(1, sizeof(*trial));
	int error;

	if (!trial)
		return message_fail(message, -ENOMEM, "out of memory");
	trial->checker = explore_search_checker(options, options->directory);
	trial->checker.compares = false;
	trial->shared =
		mmap(NULL, sizeof(*trial->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (trial->shared == MAP_FAILED)
		trial->shared = NULL;
	error = trial->shared ? 0 : message_fail(message, -ENOMEM, "out of memory");
	if (!error)
		error = explore_walk_create(fd, name, &options->walk, &trial->walk, message);
	if (!error)
		error = walk_to(trial, after, message);
	if (error)
		explore_trial_close(trial);
	else
		*out = trial;
	return error;
}

/* Moments in their order: before the sync of an event comes before all of it. */
static uint64_t rank_of(uint64_t after)
{
	return 2 * (after & ~EXPLORE_BEFORE_SYNC) + !(after & EXPLORE_BEFORE_SYNC);
}

int explore_trial_reach(int fd, const char *name, uint64_t after, const struct explore_options *options,
			struct explore_trial **trial, struct message *message)
{
	int error = 0;

	if (*trial && rank_of((*trial)->after) < rank_of(after))
		error = walk_to(*trial, after, message);
	if (*trial && !error && (*trial)->after == after)
		return 0;
	explore_trial_close(*trial);
	*trial = NULL;
	return error ? error : explore_trial_open(fd, name, after, options, trial, message);
}

void explore_trial_close(struct explore_trial *trial)
{
	if (!trial)
		return;
	explore_walk_destroy(trial->walk);
	explore_places_clear(&trial->places);
	if (trial->shared)
		munmap(trial->shared, sizeof(*trial->shared));
	free(trial);
}

const struct explore_walk *explore_trial_walk(const struct explore_trial *trial)
{
	return trial->walk;
}

const struct explore_places *explore_trial_places(const struct explore_trial *trial)
{
	return &trial->places;
}

_Noreturn static void run_child(const struct explore_trial *trial, const uint64_t *versions)
{
	const struct explore_state state = { .walk = trial->walk,
					     .places = &trial->places,
					     .versions = versions };
	struct shared_verdict *shared = trial->shared;
	struct explore_checker *checker;

	/* As a worker of the search. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	shared->error = explore_checker_create(&trial->checker, &checker, &shared->message);
	if (!shared->error)
		shared->error = explore_checker_run(checker, &state, &shared->verdict, &shared->message);
	shared->done = true;
	_exit(0);
}

/* A process that ended in the checker: by a signal, by exit(), or killed because it hung. */
static void judge_end(bool in_time, int status, struct explore_verdict *verdict)
{
	*verdict = (struct explore_verdict){ .result = EXPLORE_TIMED_OUT };
	if (in_time && WIFSIGNALED(status)) {
		verdict->result = EXPLORE_SIGNALED;
		verdict->code = WTERMSIG(status);
	} else if (in_time) {
		verdict->result = EXPLORE_FAILED;
		verdict->code = WEXITSTATUS(status);
	}
}

int explore_trial_check(struct explore_trial *trial, const uint64_t *versions,
			struct explore_verdict *verdict, struct message *message)
{
	struct pollfd poll_for = { .events = POLLIN };
	int ended, status = 0;
	pid_t pid;

	*trial->shared = (struct shared_verdict){ .done = false };
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return message_fail(message, -errno, "cannot start the checker: %s", strerror(errno));
	if (pid == 0)
		run_child(trial, versions);
	CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	poll_for.fd = pidfd;
	ended = pidfd < 0 ? 1 :
			    poll(&poll_for, 1,
				 (int)explore_checker_limit_ms(trial->checker.how,
							       trial->checker.timeout_ms));
	if (ended == 0)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!trial->shared->done) {
		judge_end(ended != 0, status, verdict);
		return 0;
	}
	*verdict = trial->shared->verdict;
	return trial->shared->error ?
		       message_fail(message, trial->shared->error, "%s", trial->shared->message.text) :
		       0;
}

int explore_trial_check_in(struct explore_trial *trial, enum metadata_mode mode, const uint64_t *versions,
			   struct explore_verdict *verdict, struct message *message)
{
	int error;

	trial->places.mode = mode;
	error = explore_trial_check(trial, versions, verdict, message);
	trial->places.mode = explore_walk_metadata(trial->walk);
	return error;
}

/* ---- Names of states --------------------------------------------------------------- */

char *explore_state_name(const struct explore_trial *trial, uint64_t after, const uint64_t *versions)
{
	const struct explore_places *places = &trial->places;
	size_t old = 0, new = 0, size = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < places->count; i++) {
		old += versions[i] == 0;
		new += versions[i] == places->items[i].versions - 1;
	}
	fprintf(out, "%llu%s%c", (unsigned long long)(after & ~EXPLORE_BEFORE_SYNC),
		after & EXPLORE_BEFORE_SYNC ? "s" : "", old > new ? 'g' : 'n');
	for (size_t i = 0; i < places->count; i++) {
		const struct explore_place *place = &places->items[i];

		if (versions[i] == (old > new ? 0 : place->versions - 1))
			continue;
		fprintf(out, ":%s%llx", i < places->lines ? "" : "o", (unsigned long long)place->address);
		fprintf(out, "=%llu", (unsigned long long)versions[i]);
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

int explore_state_name_event(const char *name, uint64_t *after)
{
	char *end;

	if (*name < '0' || *name > '9')
		return -EINVAL;
	errno = 0;
	*after = strtoull(name, &end, 10);
	if (*after & EXPLORE_BEFORE_SYNC)
		return -EINVAL;
	if (*end == 's') {
		*after |= EXPLORE_BEFORE_SYNC;
		end++;
	}
	return errno || (*end != 'n' && *end != 'g') ? -EINVAL : 0;
}

char *explore_state_name_renumber(const char *name, explore_number_fn *number, const void *context)
{
	const size_t digits = strspn(name, "0123456789");
	const char *at = name + digits, *group;
	char *text = NULL, *end;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	/* "532sn" is within event 532. */
	if (digits)
		fprintf(out, "%" PRIu64, number(context, strtoull(name, NULL, 10), *at != 's'));
	for (; (group = strstr(at, ":o")); at = end) {
		const uint64_t event = strtoull(group + 2, &end, 16);

		fprintf(out, "%.*s:o%" PRIx64, (int)(group - at), at, number(context, event, false));
	}
	fputs(at, out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* One ":ADDRESS=VERSION" at *at, which moves past it. */
static int parse_place(const struct explore_places *places, const char **at, uint64_t *versions)
{
	const bool operations = (*at)[1] == 'o';
	uint64_t address, version;
	char *end;

	errno = 0;
	address = strtoull(*at + 1 + operations, &end, 16);
	if (**at != ':' || *end != '=' || end[1] < '0' || end[1] > '9')
		return -EINVAL;
	version = strtoull(end + 1, &end, 10);
	*at = end;
	for (size_t i = 0; !errno && i < places->count; i++) {
		const struct explore_place *place = &places->items[i];

		if ((i >= places->lines) != operations || place->address != address ||
		    version >= place->versions)
			continue;
		versions[i] = version;
		return 0;
	}
	return -EINVAL;
}

int explore_state_name_parse(const struct explore_trial *trial, const char *name, uint64_t **versions,
			     struct message *message)
{
	const struct explore_places *places = &trial->places;
	CLEANUP_FREE uint64_t *parsed = calloc(places->count + 1, sizeof(*parsed));
	const char *at = name + strspn(name, "0123456789");
	int error = parsed ? 0 : -ENOMEM;

	at += *at == 's';
	for (size_t i = 0; !error && i < places->count; i++)
		parsed[i] = *at == 'n' ? places->items[i].versions - 1 : 0;
	if (!error && *at != 'n' && *at != 'g')
		error = -EINVAL;
	else
		at++;
	while (!error && *at)
		error = parse_place(places, &at, parsed);
	if (error)
		return message_fail(message, error,
				    "'%s' is not the name of a state of this trace: copy it from a "
				    "finding, and give the same --persistency, --domain and --metadata",
				    name);
	*versions = steal_pointer(&parsed);
	return 0;
}
