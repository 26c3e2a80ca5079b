/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_PRINT_H
#define CLI_EXPLORE_PRINT_H

/* What `softpmem explore` prints, as text and as JSON. */

#include "cli/explore_depth.h"
#include "cli/output_file.h"
#include "explore/finding.h"

struct explore_outcome {
	const char *trace;	/* its path */
	char identity[20];	/* equal for shards of one search, of which another search has another one */
	/* How states are judged, if not by a checker of the user's: the values of these options, or NULL. */
	const char *builtin, *oracle, *dump;
	const struct explore_options *options;
	const struct explore_points *points;
	struct explore_summary summary;
	struct explore_findings findings;
	uint64_t failures;     /* states on which the checker failed */
	uint64_t milliseconds; /* that the search took */
	unsigned levels;       /* 2: recoveries were crashed as well */
	struct explore_depth depth;
};

/*
 * Print it, as text or JSON; and write the JSON to the file `output` and commit that, unless it is NULL. The
 * trace is read once more for the names of sites. 0 or a negative errno with a message.
 */
int explore_print(const struct explore_outcome *outcome, int fd, bool json, struct output_file *output,
		  struct message *message);

/* The command that checks a state again, quoted for a shell; for the caller to free. NULL: no memory. */
char *explore_replay_command(const struct explore_outcome *outcome, const char *state);
/* The name of the event before which power fails. Static. */
const char *explore_point_kind(const struct explore_point *point);

void explore_print_replay(const char *name, const struct explore_verdict *verdict, unsigned timeout_ms,
			  bool json);

#endif
