/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/weakest.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "explore/reduce.h"

/* Does the checker fail in this mode as it does on the finding's state? Another failure has another cause. */
static int fails_alike(struct explore_trial *trial, enum metadata_mode mode, const uint64_t *versions,
		       const struct explore_verdict *verdict, bool *fails, struct message *message)
{
	struct explore_verdict found;
	int error = explore_trial_check_in(trial, mode, versions, &found, message);

	*fails = !error && explore_verdict_alike(&found, verdict);
	return error;
}

/* The same on the state with everything. */
static int fails_on_newest(struct explore_trial *trial, enum metadata_mode mode,
			   const struct explore_verdict *verdict, bool *fails, struct message *message)
{
	const struct explore_places *places = explore_trial_places(trial);
	CLEANUP_FREE uint64_t *versions = calloc(places->count + 1, sizeof(*versions));

	if (!versions)
		return message_fail(message, -ENOMEM, "out of memory");
	explore_neighbour_versions(places, EXPLORE_AGAINST_NEWEST, versions);
	return fails_alike(trial, mode, versions, verdict, fails, message);
}

/* The moment before the first operation that the state has lost; *before is NULL if it has lost none. */
static int open_before(int fd, const char *name, const struct explore_options *options,
		       const struct explore_trial *trial, const uint64_t *versions,
		       struct explore_trial **before, struct message *message)
{
	const struct explore_tree *tree = NULL;
	int error = explore_places_tree(explore_trial_walk(trial), explore_trial_places(trial), versions,
					&tree);

	*before = NULL;
	for (size_t i = 0; !error && i < tree->operations.count; i++)
		if (!tree->operations.items[i].survives)
			return explore_trial_open(fd, name, tree->operations.items[i].id - 1, options, before,
						  message);
	return error;
}

int explore_find_weakest(int fd, const char *name, const struct explore_options *options,
			 struct explore_trial *trial, const uint64_t *reduced,
			 const struct explore_verdict *verdict, enum metadata_mode *weakest,
			 struct message *message)
{
	const enum metadata_mode mode = explore_walk_metadata(explore_trial_walk(trial));
	struct explore_trial *before = NULL;
	bool fails = false;
	int error = 0;

	if (mode != METADATA_DURABLE)
		error = open_before(fd, name, options, trial, reduced, &before, message);
	*weakest = METADATA_DURABLE;
	while (!error && *weakest < mode) {
		error = fails_alike(trial, *weakest, reduced, verdict, &fails, message);
		if (!error && !fails && before)
			error = fails_on_newest(before, *weakest, verdict, &fails, message);
		if (fails)
			break;
		(*weakest)++;
	}
	explore_trial_close(before);
	return error;
}
