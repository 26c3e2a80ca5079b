/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_IDENTITY_H
#define CLI_EXPLORE_IDENTITY_H

/* What is equal for searches that check the same states. */

#include "explore/search.h"

#define EXPLORE_SEARCH_ID_BYTES 20u
#define EXPLORE_RUN_ID_BYTES 48u

/* A hash of the trace's bytes, and of what decides which states there are. 0 or a negative errno. */
int explore_search_id(int fd, const struct explore_options *options, char text[EXPLORE_SEARCH_ID_BYTES]);
/*
 * Of a search that goes on where another one was: the same, and the shard, the timeout, and what judges the
 * states: the oracle's name (or NULL), the words of the checker, and the bytes of the files that they name.
 */
void explore_run_id(const char *search_id, const struct explore_options *options, const char *oracle,
		    char text[EXPLORE_RUN_ID_BYTES]);

#endif
