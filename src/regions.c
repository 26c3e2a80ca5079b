/* SPDX-License-Identifier: BSD-3-Clause */
#include "regions.h"

#include <errno.h>
#include <string.h>

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
	case POOLS_PROBE_FOREIGN:
		holds = REGIONS_FOREIGN;
		break;
	}
	/* What was read is worth nothing if it was taken away meanwhile. */
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
				    "region auto: no region of this machine holds pools, and auto formats nothing: name one "
				    "that is blank: --region %s",
				    blank->spec);
	if (foreign)
		return message_fail(message, -ENODEV,
				    "region auto: no region of this machine holds pools; %s holds other bytes: "
				    "'softpmem format --force %s' overwrites them",
				    foreign->spec, foreign->spec);
	if (found->advice[0])
		return message_fail(message, -ENODEV,
				    "region auto: this machine has no memory that may be used ('softpmem regions' tells "
				    "why): put %s on the kernel command line and boot again, or use memfd: or file:",
				    found->advice);
	return message_fail(message, -ENODEV,
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
	/* The best is first. */
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
