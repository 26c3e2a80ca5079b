/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The reduction to single lines and names is delta debugging (Zeller and Hildebrandt, "Simplifying and
 * Isolating Failure-Inducing Input", 2002) on hashes: the daemon decides about each line and each operation
 * by a hash, and loses only those in the ranges of cut->lose_only. The ranges are halved, and each half that
 * the failure does not need is left out.
 */

#include "cli/torture_reduce.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each costs a round. A failure that a single line causes needs about 1.5 for each bit of their number. */
#define TRIALS_MAX 100u
/* The daemon takes no more. */
#define RANGES_MAX 32u

struct range {
	uint64_t first, last;
};

struct reduction {
	struct torture_job *job;
	struct torture_cut *cut;
	struct torture_outcome *outcome; /* of the last failure */
	struct range ranges[RANGES_MAX];
	unsigned count;
	unsigned trials;
};

int torture_reduce_repeat(struct torture_job *job, const struct torture_cut *cut, int repeats,
			  struct torture_outcome *outcome, struct message *message)
{
	for (int i = 0; i < repeats; i++) {
		int error;

		torture_outcome_clear(outcome);
		error = torture_job_cut(job, cut, outcome, message);
		if (error)
			return error;
		if (outcome->result == TORTURE_FAILED)
			return 1;
	}
	return 0;
}

static uint64_t count_lost(const struct torture_outcome *outcome)
{
	uint64_t count = 0;

	for (size_t i = 0; i < outcome->lost.count; i++)
		count += outcome->lost.items[i].lines ? outcome->lost.items[i].lines : 1;
	return count;
}

/*
 * As above, once. If it fails and loses at most so much, the cut and the outcome become these; if not, they
 * stay as they are: 0.
 */
static int try(struct torture_job *job, struct torture_cut *cut, const struct torture_cut *candidate,
	       uint64_t most, struct torture_outcome *outcome, struct message *message)
{
	struct torture_outcome tried = { 0 };
	int failed = torture_reduce_repeat(job, candidate, 1, &tried, message);

	if (failed == 1 && count_lost(&tried) > most)
		failed = 0;
	if (failed == 1) {
		torture_outcome_clear(outcome);
		*outcome = tried;
		*cut = *candidate;
		return 1;
	}
	torture_outcome_clear(&tried);
	return failed;
}

/* The weakest metadata mode with which it still fails. */
static int weaken_mode(struct torture_job *job, struct torture_cut *cut, struct torture_outcome *outcome,
		       struct message *message)
{
	for (const char *const *mode = torture_modes; *mode && *mode != cut->mode; mode++) {
		struct torture_cut weaker = *cut;
		int failed;

		weaker.mode = *mode;
		failed = try(job, cut, &weaker, UINT64_MAX, outcome, message);
		if (failed)
			return failed < 0 ? failed : 0;
	}
	return 0;
}

/* ---- Lines and names ------------------------------------------------------------------ */

/* For the caller to free; NULL: no memory. */
static char *format_ranges(const struct range *ranges, unsigned count)
{
	/* Two numbers of 16 digits, a dash and a comma; the last comma is the NUL. */
	char *text = malloc(count * 34u + 1), *at = text;

	for (unsigned i = 0; text && i < count; i++)
		at += sprintf(at, "%s%" PRIx64 "-%" PRIx64, i ? "," : "", ranges[i].first, ranges[i].last);
	return text;
}

/*
 * 1: it fails with these ranges alone, and loses at most so much: they replace the others. 0: not so; or a
 * negative errno.
 */
static int try_ranges(struct reduction *reduction, const struct range *ranges, unsigned count, uint64_t most,
		      struct message *message)
{
	struct torture_cut candidate = *reduction->cut;
	char *before = reduction->cut->lose_only;
	int failed;

	candidate.lose_only = format_ranges(ranges, count);
	if (!candidate.lose_only)
		return message_fail(message, -ENOMEM, "out of memory");
	reduction->trials++;
	failed = try(reduction->job, reduction->cut, &candidate, most, reduction->outcome, message);
	free(failed == 1 ? before : candidate.lose_only);
	if (failed != 1)
		return failed;
	memmove(reduction->ranges, ranges, count * sizeof(*ranges));
	reduction->count = count;
	return 1;
}

/* 1: it fails without range `index`, which is left out; 0: it needs that range; or a negative errno. */
static int leave_out(struct reduction *reduction, unsigned index, struct message *message)
{
	const struct range left_out = reduction->ranges[index];
	const bool was_half = reduction->count == 2;
	struct range rest[RANGES_MAX];
	int failed;

	memcpy(rest, reduction->ranges, index * sizeof(*rest));
	memcpy(rest + index, reduction->ranges + index + 1,
	       (reduction->count - index - 1) * sizeof(*rest));
	failed = try_ranges(reduction, rest, reduction->count - 1, UINT64_MAX, message);
	/*
	 * An operation that is taken back may take later ones with it. So the other half may fail by itself
	 * too, and lose less.
	 */
	if (failed == 1 && was_half && count_lost(reduction->outcome) > 1) {
		const int better = try_ranges(reduction, &left_out, 1, count_lost(reduction->outcome) - 1,
					      message);

		failed = better < 0 ? better : failed;
	}
	return failed;
}

static bool halve_all(struct reduction *reduction)
{
	struct range halves[RANGES_MAX];

	if (reduction->count * 2 > RANGES_MAX)
		return false;
	for (unsigned i = 0; i < reduction->count; i++) {
		const struct range *range = &reduction->ranges[i];
		const uint64_t middle = range->first + (range->last - range->first) / 2;

		if (range->first == range->last)
			return false;
		halves[2 * i] = (struct range){ range->first, middle };
		halves[2 * i + 1] = (struct range){ middle + 1, range->last };
	}
	reduction->count *= 2;
	memcpy(reduction->ranges, halves, reduction->count * sizeof(*halves));
	return true;
}

/* Every range that is left has something that the failure needs: is that all that is lost? */
static bool is_minimal(const struct reduction *reduction)
{
	return count_lost(reduction->outcome) <= reduction->count;
}

/* Of two choices, so many divisions in a row leave both in one range once in 256 times. */
#define IN_VAIN_MAX 8

static int reduce_lost(struct reduction *reduction, struct message *message)
{
	int in_vain = 0;

	while (!is_minimal(reduction) && in_vain < IN_VAIN_MAX && reduction->trials < TRIALS_MAX &&
	       halve_all(reduction)) {
		const uint64_t before = count_lost(reduction->outcome);
		unsigned index = 0;

		while (index < reduction->count && reduction->count > 1 && reduction->trials < TRIALS_MAX) {
			const int failed = leave_out(reduction, index, message);

			if (failed < 0)
				return failed;
			index += !failed;
		}
		in_vain = count_lost(reduction->outcome) < before ? 0 : in_vain + 1;
	}
	return 0;
}

int torture_reduce(struct torture_job *job, struct torture_cut *cut, struct torture_outcome *outcome,
		   struct message *message)
{
	struct reduction reduction = {
		.job = job, .cut = cut, .outcome = outcome, .ranges = { { 0, UINT64_MAX } }, .count = 1
	};
	int error = weaken_mode(job, cut, outcome, message);

	if (error || cut->lose_only || strcmp(cut->policy, "keep") == 0)
		return error;
	return reduce_lost(&reduction, message);
}
