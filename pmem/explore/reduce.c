/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/reduce.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"

/* Checks that one reduction may use, so that a state of thousands of lines does not take all day. */
#define CHECKS_MAX 400u
/* Of the failing state itself, and of the two that it is compared with. */
#define CHECKS_FIRST 3u

struct reduction {
	struct explore_trial *trial;
	size_t count; /* of places */
	uint64_t until_ms;
	const uint64_t *passing;
	uint64_t *failing;
	uint64_t *tried;
	unsigned checks;
	struct explore_verdict *verdict; /* of `failing` */
	struct message *message;
	int error;
};

static bool is_over(const struct reduction *reduction)
{
	return reduction->error || reduction->checks >= CHECKS_MAX || clock_ms() >= reduction->until_ms;
}

/* Does the checker fail on these versions? An error ends the reduction, and counts as no. */
static bool fails(struct reduction *reduction, const uint64_t *versions, struct explore_verdict *verdict)
{
	/* Whether it fails at all, and what it is compared with, is found out in any case. */
	if (reduction->error || (reduction->checks >= CHECKS_FIRST && is_over(reduction)))
		return false;
	reduction->checks++;
	reduction->error = explore_trial_check(reduction->trial, versions, verdict, reduction->message);
	return !reduction->error && verdict->result != EXPLORE_PASSED;
}

/* Does it fail on `tried` as on `failing`? Another failure may have another cause. Then that is `failing`. */
static bool fails_alike(struct reduction *reduction)
{
	struct explore_verdict verdict;

	if (!fails(reduction, reduction->tried, &verdict) ||
	    !explore_verdict_alike(&verdict, reduction->verdict))
		return false;
	memcpy(reduction->failing, reduction->tried, reduction->count * sizeof(*reduction->tried));
	*reduction->verdict = verdict;
	return true;
}

static size_t differences(const struct reduction *reduction, size_t *places)
{
	size_t count = 0;

	for (size_t i = 0; i < reduction->count; i++)
		if (reduction->failing[i] != reduction->passing[i])
			places[count++] = i;
	return count;
}

/* Take the differences [from, to) back; keep that if it still fails alike. */
static bool take_back(struct reduction *reduction, const size_t *places, size_t from, size_t to)
{
	memcpy(reduction->tried, reduction->failing, reduction->count * sizeof(*reduction->tried));
	for (size_t i = from; i < to; i++)
		reduction->tried[places[i]] = reduction->passing[places[i]];
	return fails_alike(reduction);
}

static void minimize(struct reduction *reduction, size_t *places)
{
	size_t count = differences(reduction, places), parts = 2;

	while (count > 1 && parts <= count && !is_over(reduction)) {
		size_t step = (count + parts - 1) / parts;
		bool reduced = false;

		for (size_t from = 0; from < count && !reduced; from += step)
			reduced =
				take_back(reduction, places, from, from + step < count ? from + step : count);
		if (reduced) {
			count = differences(reduction, places);
			parts = parts > 2 ? parts - 1 : 2;
		} else if (parts == count) {
			break;
		} else {
			parts = 2 * parts < count ? 2 * parts : count;
		}
	}
}

/* Of each place that is left, the version nearest to the passing one that still fails alike, step by step. */
static void approach(struct reduction *reduction)
{
	for (size_t i = 0; i < reduction->count && !is_over(reduction); i++) {
		bool closer = true;

		while (closer && reduction->failing[i] != reduction->passing[i]) {
			uint64_t next = reduction->failing[i] < reduction->passing[i] ?
						reduction->failing[i] + 1 :
						reduction->failing[i] - 1;

			memcpy(reduction->tried, reduction->failing,
			       reduction->count * sizeof(*reduction->tried));
			reduction->tried[i] = next;
			closer = next != reduction->passing[i] && fails_alike(reduction);
		}
	}
}

void explore_neighbour_versions(const struct explore_places *places, enum explore_neighbour neighbour,
				uint64_t *versions)
{
	for (size_t i = 0; i < places->count; i++)
		versions[i] = neighbour == EXPLORE_AGAINST_NEWEST ? places->items[i].versions - 1 : 0;
}

int explore_reduce(struct explore_trial *trial, uint64_t until_ms, uint64_t *versions, uint64_t *passing,
		   enum explore_neighbour *neighbour, struct explore_verdict *verdict,
		   struct message *message)
{
	const struct explore_places *places = explore_trial_places(trial);
	struct explore_verdict ignored;
	CLEANUP_FREE uint64_t *tried = calloc(places->count + 1, sizeof(*tried));
	CLEANUP_FREE size_t *order = calloc(places->count + 1, sizeof(*order));
	struct reduction reduction = {
		.trial = trial,
		.count = places->count,
		.until_ms = until_ms,
		.passing = passing,
		.failing = versions,
		.tried = tried,
		.verdict = verdict,
		.message = message,
	};

	if (!tried || !order)
		return message_fail(message, -ENOMEM, "out of memory");
	if (!fails(&reduction, versions, verdict))
		return reduction.error ? reduction.error : -EAGAIN;
	for (*neighbour = EXPLORE_AGAINST_NEWEST; *neighbour < EXPLORE_AGAINST_NONE; (*neighbour)++) {
		explore_neighbour_versions(places, *neighbour, passing);
		if (!fails(&reduction, passing, &ignored))
			break;
	}
	if (!reduction.error && *neighbour != EXPLORE_AGAINST_NONE) {
		minimize(&reduction, order);
		approach(&reduction);
	}
	return reduction.error;
}
