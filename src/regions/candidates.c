/* SPDX-License-Identifier: BSD-3-Clause */
#include "regions/candidates.h"

#include <errno.h>
#include <string.h>

#include "common/align.h"
#include "region/region.h"

const char *regions_holds_name(enum regions_holds holds)
{
	static const char *const names[] = { "", "nothing", "softpmem pools", "other bytes",
					     "the pools of a running daemon" };

	return names[holds];
}

enum regions_holds regions_look(struct region_candidate *candidate)
{
	enum regions_holds holds = REGIONS_UNKNOWN;
	struct message message = { "" };
	struct region *region;
	int error;

	if (candidate->verdict == REGION_REFUSED)
		return REGIONS_UNKNOWN;
	error = region_open(candidate->spec, REGION_READ_ONLY, &region, &message);
	if (error == -EBUSY && strstr(message.text, "softpmem process"))
		return REGIONS_SERVED;
	if (error) {
		candidate->verdict = REGION_REFUSED;
		candidate->why = message;
		return REGIONS_UNKNOWN;
	}
	switch (pools_probe(region)) {
	case POOLS_PROBE_BLANK:
		holds = REGIONS_BLANK;
		break;
	case POOLS_PROBE_FORMATTED:
		holds = REGIONS_POOLS;
		break;
	case POOLS_PROBE_CUT:
		candidate->verdict = REGION_REFUSED;
		pools_explain_cut(region, &candidate->why);
		break;
	case POOLS_PROBE_FOREIGN:
		holds = REGIONS_FOREIGN;
		break;
	}
	/* If the memory was taken away meanwhile, what was read is not its content. */
	if (region_failure(region, &candidate->why)) {
		candidate->verdict = REGION_REFUSED;
		holds = REGIONS_UNKNOWN;
	}
	region_close(region);
	return holds;
}

static int nothing_to_choose(const struct region_candidate *blank, const struct region_candidate *foreign,
			     const struct region_candidates *found, struct message *message)
{
	if (blank)
		return message_fail(message, -ENODEV,
				    "region auto: no region of this machine holds pools, and auto formats "
				    "nothing: name one that is blank: --region %s",
				    blank->spec);
	if (foreign)
		return message_fail(
			message, -ENODEV,
			"region auto: no region of this machine holds pools; %s holds other bytes: "
			"'softpmem format --force %s' overwrites them",
			foreign->spec, foreign->spec);
	if (found->advice[0])
		return message_fail(
			message, -ENODEV,
			"region auto: this machine has no memory that may be used ('softpmem regions' tells "
			"why): put %s on the kernel command line and boot again, or use memfd: or file:",
			found->advice);
	return message_fail(
		message, -ENODEV,
		"region auto: this machine has no memory that may be used: 'softpmem regions' tells why");
}

int regions_choose(char **spec, struct message *message)
{
	const struct region_candidate *blank = NULL, *foreign = NULL, *chosen = NULL;
	struct region_candidates found;
	struct message why = { "" };
	int error = region_discover(&found, &why);

	if (error)
		return message_fail(message, error, "region auto: %s%s", why.text,
				    error == -EACCES || error == -EPERM ? ": it needs root" : "");
	/* Candidates are sorted: the best one comes first. */
	for (size_t i = 0; i < found.count && !chosen; i++) {
		switch (regions_look(&found.items[i])) {
		case REGIONS_POOLS:
			chosen = &found.items[i];
			break;
		case REGIONS_BLANK:
			blank = blank ? blank : &found.items[i];
			break;
		case REGIONS_FOREIGN:
			foreign = foreign ? foreign : &found.items[i];
			break;
		default:
			break;
		}
	}
	if (!chosen) {
		error = nothing_to_choose(blank, foreign, &found, message);
	} else {
		*spec = strdup(chosen->spec);
		error = *spec ? 0 : message_fail(message, -ENOMEM, "region auto: out of memory");
	}
	region_candidates_free(&found);
	return error;
}

/* ---- What may be tested ----------------------------------------------------------------- */

struct range {
	uint64_t start, end;
};

static bool overlaps(const struct range *range, uint64_t start, uint64_t size)
{
	return start < range->end && size > 0 && start + size > range->start;
}

/* The candidate that contains this address, a refused one if there is one; or NULL. */
static const struct region_candidate *candidate_at(const struct region_candidates *found, uint64_t address)
{
	const struct range here = { .start = address, .end = address + 1 };
	const struct region_candidate *at = NULL;

	for (size_t i = 0; i < found->count; i++) {
		const struct region_candidate *candidate = &found->items[i];

		if (overlaps(&here, candidate->start, candidate->size) &&
		    (!at || candidate->verdict == REGION_REFUSED))
			at = candidate;
	}
	return at;
}

/* A region has a superblock on its first page and one on its last. Is this the first one? */
static bool has_another_at_its_end(const struct region *region, uint64_t offset, uint64_t size)
{
	uint64_t end = offset + size - PAGE_BYTES, at = end, unused;

	return pools_find(region, &at, &unused) && at == end;
}

/* Find pools whose first or last page lies in the media, and of which some part lies in the range. */
static int refuse_pools(const struct region *region, uint64_t media_start, const char *spec,
			const struct range *range, struct message *message)
{
	uint64_t offset = 0, size;

	for (; pools_find(region, &offset, &size); offset += PAGE_BYTES) {
		uint64_t at = media_start + offset;

		if (!overlaps(range, at, size) && (has_another_at_its_end(region, offset, size) ||
						   !overlaps(range, at + PAGE_BYTES - size, size)))
			continue;
		return message_fail(message, -EEXIST,
				    "region %s: it holds softpmem pools (a superblock of a region of %llu "
				    "bytes is at %#llx), and a test destroys them: --force does so",
				    spec, (unsigned long long)size, (unsigned long long)at);
	}
	return 0;
}

/* The memory around the range may contain the beginning of a region that reaches into it. */
static int look_around(const struct region_candidate *candidate, const char *spec, const struct range *range,
		       struct message *message)
{
	struct region *region;
	int error = region_open(candidate->spec, REGION_READ_ONLY, &region, NULL);

	/* Where a daemon serves some of it, only the pools of that daemon are off limits. */
	if (error)
		return 0;
	error = refuse_pools(region, candidate->start, spec, range, message);
	region_close(region);
	return error;
}

static int judge_range(const char *spec, const struct range *range, bool force, struct message *message)
{
	struct region_candidates found;
	int error = region_discover(&found, message);

	for (uint64_t at = range->start; !error && at < range->end;) {
		const struct region_candidate *candidate = candidate_at(&found, at);

		if (!candidate)
			error = message_fail(
				message, -EBUSY,
				"region %s: it is not known whether %#llx is free: 'softpmem regions' "
				"shows what is",
				spec, (unsigned long long)at);
		else if (candidate->verdict == REGION_REFUSED)
			error = message_fail(message, -EBUSY, "region %s: refused, as %s is: %s", spec,
					     candidate->spec, candidate->why.text);
		else if (!force)
			error = look_around(candidate, spec, range, message);
		at = candidate ? candidate->start + candidate->size : range->end;
	}
	region_candidates_free(&found);
	return error;
}

int regions_open_for_test(const char *spec, bool force, struct region **out, struct message *message)
{
	struct range range = { 0 };
	struct region *region;
	bool is_physical;
	/* Find the range of the memory, unless it is refused. */
	int error = region_open(spec, REGION_READ_ONLY, &region, message);

	if (error)
		return error;
	is_physical = region_is_physical(region, &range.start);
	range.end = range.start + region_size(region);
	region_close(region);
	if (is_physical)
		error = judge_range(spec, &range, force, message);
	if (!error)
		error = region_open(spec, 0, &region, message);
	if (error)
		return error;
	error = force ? 0 : refuse_pools(region, range.start, spec, &range, message);
	/* The content of reserved memory is arbitrary, but the bytes of a file belong to somebody. */
	if (!error && !force && !is_physical && pools_probe(region) != POOLS_PROBE_BLANK)
		error = message_fail(message, -EEXIST,
				     "region %s: it holds something, and a test destroys it: --force does so",
				     spec);
	if (error) {
		region_close(region);
		return error;
	}
	*out = region;
	return 0;
}
