/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_WORKLOAD_H
#define CLI_EXPLORE_WORKLOAD_H

/* Recording the workload that `softpmem explore --workload` is given. */

#include <stdbool.h>

#include "common/message.h"

struct explore_workload {
	const char *command;
	bool auto_da_alloc; /* of the daemon */
};

/*
 * Run `sh -c COMMAND` in the root of an empty mount of a private daemon, and record it into the file
 * `trace`. What the daemon needs is in `directory`, which exists; no daemon is left. SOFTPMEM_MOUNT is in the
 * command's environment. 0 or a negative errno with a message; -ECANCELED: the command has failed.
 */
int explore_workload_record(const struct explore_workload *workload, const char *trace,
			    const char *directory, struct message *message);

#endif
