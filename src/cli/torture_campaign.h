/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_TORTURE_CAMPAIGN_H
#define CLI_TORTURE_CAMPAIGN_H

/*
 * A campaign: a run without an outage, which lists the operations, and then rounds in several jobs side by
 * side, each with a cut of the plan, until a limit or a signal ends it. One campaign a process.
 */

#include "cli/torture_findings.h"

struct torture_campaign {
	struct torture_findings findings;
	struct torture_events events; /* of the run without an outage */
	struct torture_outcome uncut; /* of that run */
	uint64_t kinds, cuts, fences; /* of the plan; fences: how many of them are cut */
	uint64_t runs;		      /* rounds with a verdict of the check */
	uint64_t not_reached, hung, workload_failed; /* rounds without one */
	uint64_t milliseconds;
	bool interrupted;
};

void torture_campaign_init(struct torture_campaign *campaign);
void torture_campaign_destroy(struct torture_campaign *campaign);

/*
 * Run it. `only`: this cut alone, once for each of settings->runs; NULL: the plan. 0: it was run; the uncut
 * outcome tells whether there were rounds. -EINTR: a signal came before the first round. Other negative errno
 * with a message. Progress is printed on standard error if it is a terminal.
 */
int torture_campaign_run(struct torture_campaign *campaign, const struct torture_settings *settings,
			 const struct torture_cut *only, struct message *message);

#endif
