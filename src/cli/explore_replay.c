/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/explore_replay.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/explore_depth.h"
#include "cli/explore_print.h"
#include "common/cleanup.h"
#include "explore/finding.h"

/* Make a directory for the files of a state, unless it is there. */
static int make_directory(const char *path, struct message *message)
{
	struct dirent **names = NULL;
	int count;

	if (mkdir(path, 0777) == 0)
		return 0;
	if (errno != EEXIST)
		return message_fail(message, -errno, "%s: %s", path, strerror(errno));
	count = scandir(path, &names, NULL, NULL);
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	if (count < 0)
		return message_fail(message, -errno, "%s: %s", path, strerror(errno));
	if (count > 2)
		return message_fail(message, -ENOTEMPTY,
				    "%s: not empty: name a new directory for the state's files", path);
	return 0;
}

/* Save the state, or check it, or both. */
static int replay_state(struct explore_trial *trial, const uint64_t *versions,
			const struct explore_options *options, const struct explore_replay *given,
			struct explore_verdict *verdict, struct message *message)
{
	int error = 0;

	if (given->save) {
		const struct explore_state state = { .walk = explore_trial_walk(trial),
						     .places = explore_trial_places(trial),
						     .versions = versions };

		error = make_directory(given->save, message);
		if (!error)
			error = explore_state_save(&state, given->save, message);
	}
	if (error || !options->checker)
		return error;
	error = explore_trial_check(trial, versions, verdict, message);
	if (!error)
		explore_print_replay(given->state, verdict, options->timeout_ms, given->json);
	return error;
}

static int end_replay(struct cli *cli, int error, const struct explore_verdict *verdict,
		      const struct message *message)
{
	if (error)
		return cli_fail(cli, message->text);
	return verdict->result != EXPLORE_PASSED ? CLI_FAILED : CLI_OK;
}

/* A state at a crash of a recovery: the checker is needed to recover, even if the state is only saved. */
static int replay_second(struct cli *cli, int fd, const struct explore_options *options,
			 const struct explore_replay *given)
{
	struct explore_verdict verdict = { .result = EXPLORE_PASSED };
	struct explore_depth_state state;
	struct message message = { "" };
	int error;

	if (!options->checker)
		return cli_usage(cli, "%s is a state that a recovery leaves: name the checker that recovers",
				 given->state);
	error = explore_depth_open(fd, cli->argument, given->state, options, &state, &message);
	if (!error)
		error = replay_state(state.trial, state.versions, &state.options, given, &verdict, &message);
	explore_depth_close(&state);
	return end_replay(cli, error, &verdict, &message);
}

static int replay_first(struct cli *cli, int fd, const struct explore_options *options,
			const struct explore_replay *given)
{
	struct explore_verdict verdict = { .result = EXPLORE_PASSED };
	struct message message = { "" };
	CLEANUP_FREE uint64_t *versions = NULL;
	struct explore_trial *trial;
	uint64_t after;
	int error;

	if (explore_state_name_event(given->state, &after) < 0)
		return cli_usage(cli, "'%s' is not the name of a state: copy it from a finding",
				 given->state);
	if (explore_trial_open(fd, cli->argument, after, options, &trial, &message) < 0)
		return cli_fail(cli, message.text);
	error = explore_state_name_parse(trial, given->state, &versions, &message);
	if (!error)
		error = replay_state(trial, versions, options, given, &verdict, &message);
	explore_trial_close(trial);
	return end_replay(cli, error, &verdict, &message);
}

int explore_replay(struct cli *cli, int fd, const struct explore_options *options,
		   const struct explore_replay *given)
{
	return explore_depth_is_name(given->state) ? replay_second(cli, fd, options, given) :
						     replay_first(cli, fd, options, given);
}
