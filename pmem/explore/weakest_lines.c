/* SPDX-License-Identifier: BSD-3-Clause */

/* Does a failure that was found with words of 8 bytes occur with whole lines, too? */

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "explore/weakest.h"

/*
 * A state of words may be none of lines: a line's state is a prefix of its stores. The nearest ones have of
 * each line the stores up to the last one that the words have, or those before the first one that they lack.
 */
enum nearest { THROUGH_THE_LAST_KEPT, BEFORE_THE_FIRST_LOST, NEAREST };

struct pending {
	VECTOR_FIELDS(struct lines_pending);
};

static int collect(const struct lines *lines, uint64_t place, uint64_t version, struct pending *pending)
{
	const size_t count = lines_pending(lines, place, version, NULL, 0);

	pending->count = 0;
	if (vector_reserve(pending, count))
		return -ENOMEM;
	pending->count = lines_pending(lines, place, version, pending->items, count);
	return 0;
}

/* How many bytes of the line the store has made, by its event, and how many of them the words have. */
struct fate {
	uint64_t bytes, kept;
};

static int fate_of(const struct explore_trial *trial, const uint64_t *versions, uint64_t line, uint64_t id,
		   struct pending *scratch, struct fate *fate)
{
	const struct explore_places *places = explore_trial_places(trial);
	int error = 0;

	*fate = (struct fate){ 0, 0 };
	for (size_t i = 0; !error && i < places->lines; i++) {
		const struct explore_walk *walk = explore_trial_walk(trial);
		const uint64_t address = places->items[i].address;

		if (align_down(address, LINE_SIZE) != line)
			continue;
		error = collect(explore_walk_lines(walk), address,
				explore_place_version(walk, &places->items[i], versions[i]), scratch);
		for (size_t j = 0; !error && j < scratch->count; j++) {
			if (scratch->items[j].id != id)
				continue;
			fate->bytes |= scratch->items[j].bytes;
			fate->kept |= scratch->items[j].kept;
		}
	}
	return error;
}

/* How many of the line's pending stores are in its nearest version. */
static int count_stores(const struct explore_trial *trial, const uint64_t *versions, uint64_t line,
			const struct pending *stores, enum nearest nearest, size_t *count)
{
	struct pending scratch = { 0 };
	bool lost = false;
	int error = 0;

	*count = nearest == THROUGH_THE_LAST_KEPT ? 0 : stores->count;
	for (size_t i = 0; !error && !lost && i < stores->count; i++) {
		struct fate fate;

		error = fate_of(trial, versions, line, stores->items[i].id, &scratch, &fate);
		if (nearest == THROUGH_THE_LAST_KEPT && fate.kept)
			*count = i + 1;
		lost = nearest == BEFORE_THE_FIRST_LOST && fate.kept != fate.bytes;
		if (lost)
			*count = i;
	}
	vector_free(&scratch);
	return error;
}

static uint64_t version_of_operations(const struct explore_places *places, const uint64_t *versions,
				      const struct explore_place *place)
{
	for (size_t i = places->lines; i < places->count; i++)
		if (places->items[i].address == place->address && versions[i] < place->versions)
			return versions[i];
	return place->versions - 1;
}

/* The versions of the trial with lines that are nearest to those of words. */
static int approach(const struct explore_trial *trial, const uint64_t *versions,
		    const struct explore_trial *lines, enum nearest nearest, uint64_t *out)
{
	const struct explore_places *places = explore_trial_places(lines);
	const struct lines *model = explore_walk_lines(explore_trial_walk(lines));
	struct pending stores = { 0 };
	int error = 0;

	for (size_t i = 0; !error && i < places->count; i++) {
		const struct explore_place *place = &places->items[i];
		size_t count = 0;

		if (i >= places->lines) {
			out[i] = version_of_operations(explore_trial_places(trial), versions, place);
			continue;
		}
		error = collect(model, place->address,
				explore_place_version(explore_trial_walk(lines), place, place->versions - 1),
				&stores);
		if (!error)
			error = count_stores(trial, versions, place->address, &stores, nearest, &count);
		out[i] = place->stores ? count : lines_version_through(model, place->address, count);
	}
	vector_free(&stores);
	return error;
}

static int fails_nearby(struct explore_trial *trial, const uint64_t *versions, struct explore_trial *lines,
			const struct explore_verdict *verdict, bool *fails, struct message *message)
{
	const size_t count = explore_trial_places(lines)->count;
	CLEANUP_FREE uint64_t *tried = calloc(count + 1, sizeof(*tried));
	struct explore_verdict found;
	int error = tried ? 0 : -ENOMEM;

	for (enum nearest nearest = 0; !error && !*fails && nearest < NEAREST; nearest++) {
		error = approach(trial, versions, lines, nearest, tried);
		if (error)
			return message_fail(message, error, "out of memory");
		error = explore_trial_check(lines, tried, &found, message);
		*fails = !error && explore_verdict_alike(&found, verdict);
	}
	return error;
}

int explore_find_weakest_lines(int fd, const char *name, uint64_t after,
			       const struct explore_options *options, struct explore_trial *trial,
			       const uint64_t *reduced, const struct explore_verdict *verdict,
			       enum lines_mode *weakest, struct message *message)
{
	struct explore_options with_lines = *options;
	struct explore_trial *lines;
	bool fails = false;
	int error;

	*weakest = LINES_MODE_LINE;
	if (options->walk.mode == LINES_MODE_LINE)
		return 0;
	with_lines.walk.mode = LINES_MODE_LINE;
	error = explore_trial_open(fd, name, after, &with_lines, &lines, message);
	if (error)
		return error;
	error = fails_nearby(trial, reduced, lines, verdict, &fails, message);
	if (!fails)
		*weakest = options->walk.mode;
	explore_trial_close(lines);
	return error;
}
