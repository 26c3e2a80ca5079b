/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_REPLAY_H
#define CLI_EXPLORE_REPLAY_H

/* softpmem explore --replay: one state, checked or saved or both. Used by one thread. */

#include <stdbool.h>

#include "cli/cli.h"
#include "explore/search.h"

struct explore_replay {
	const char *state; /* its name */
	const char *save;  /* the directory that gets its files; NULL: none */
	bool json;
};

/* Without a checker in the options the state is only saved. A status of cli.h: failed if the state does. */
int explore_replay(struct cli *cli, int fd, const struct explore_options *options,
		   const struct explore_replay *given);

#endif
