/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_LIST_H
#define EXPLORE_LIST_H

/*
 * All legal crash states of a small trace, as text, in a canonical order: to hold them
 * against another implementation of the model. A state is one line. It has each name: of a
 * file its size, and each aligned word of 8 bytes that is not zero; of a directory a slash; of
 * a symlink its target. Permissions are there if the trace has them.
 *
 *	pool.obj size=4096 0x0=1 0x40=1; log size=0; old/ mode=0755; old/log mode=0644 size=8 0x0=7
 */

#include <stdio.h>

#include "explore/trace_walk.h"

/* 0; -E2BIG: more than `most` states were met; or another negative errno. With a message. */
int explore_list_states(int fd, const char *name, const struct explore_walk_options *options, uint64_t most,
			FILE *out, struct message *message);

#endif
