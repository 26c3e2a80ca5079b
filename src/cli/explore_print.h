/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_PRINT_H
#define CLI_EXPLORE_PRINT_H

/* What `softpmem explore` prints, as text and as JSON. */

#include "explore/finding.h"

struct explore_outcome {
	const char *trace;	/* its path */
	char *const *arguments; /* the verb's: the trace and the checker */
	const struct explore_options *options;
	const struct explore_points *points;
	struct explore_summary summary;
	struct explore_findings findings;
	uint64_t failures;     /* states on which the checker failed */
	uint64_t milliseconds; /* that the search took */
};

/* Print it; the trace is read once more for the names of sites. 0 or a negative errno with a message. */
int explore_print(const struct explore_outcome *outcome, int fd, bool json, struct message *message);

void explore_print_replay(const char *name, const struct explore_verdict *verdict, unsigned timeout_ms,
			  bool json);

#endif
