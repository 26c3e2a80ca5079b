/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_DURABILITY_H
#define CLI_EXPLORE_DURABILITY_H

/* What is wrong in a trace whatever a checker says (softpmem explore --checker none), from trace/stat.h. */

#include <stdbool.h>
#include <stdint.h>

#include "cli/output_file.h"
#include "common/message.h"
#include "explore/trace_walk.h"

struct durability_task {
	int fd; /* of the trace */
	const char *trace;
	const struct explore_walk_options *walk; /* by what rules things become durable */
	bool flushes_matter; /* false: as under eADR, only files and directories are looked at */
	bool json;
	struct output_file *output; /* for the JSON; NULL: none */
};

/*
 * Print what was stored and never made durable, and flushes that had no effect, each with its place in the
 * program. *found: something was never made durable. 0 or a negative errno with a message.
 */
int explore_durability_print(const struct durability_task *task, bool *found, struct message *message);

#endif
