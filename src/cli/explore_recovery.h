/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_RECOVERY_H
#define CLI_EXPLORE_RECOVERY_H

/* Recording the recovery from one crash state, so that power can fail during it as well. */

#include "explore/recovery_facts.h"
#include "explore/search.h"

struct explore_recovery {
	int fd;	    /* of its trace, for the caller to close; -1: there is none */
	char *name; /* of the trace, for messages; for the caller to free */
	struct explore_first_crash first; /* for the checker of its crash states */
	struct explore_verdict verdict;	  /* of the recorded run; the rest counts only if it has passed */
	struct explore_recovery_facts facts;
};

/*
 * Make the state's files on an empty mount of a private daemon, and record the checker's command on them.
 * `options` are those of the search; the files that the checker of the second crash needs, and the trace, are
 * in `directory`, which exists. No daemon is left. The result is to be cleared in any case. 0 or a negative
 * errno with a message.
 */
int explore_recovery_record(const struct explore_state *state, const struct explore_options *options,
			    const char *directory, struct explore_recovery *recovery,
			    struct message *message);
void explore_recovery_clear(struct explore_recovery *recovery);

#endif
