/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_RECOVERY_FACTS_H
#define EXPLORE_RECOVERY_FACTS_H

/* The trace of a recovery that was recorded, when it is told from others. */

#include <stdbool.h>

#include "common/message.h"
#include "explore/image.h"

struct explore_recovery_facts {
	bool writes; /* it changes files: bytes, names, sizes or attributes */
	/*
	 * Of all that can matter at a crash, with the number of each event: what was stored, flushed,
	 * fenced, done to files and synced, and where. Threads, times, addresses and sites do not count.
	 * States of one recovery have names that are valid for another one with the same shape.
	 */
	struct explore_digest shape;
	/*
	 * The same with the bytes that were stored and the ones that were there before. Recoveries that
	 * did the same have equal ones, though they began with files that differ elsewhere.
	 */
	struct explore_digest contents;
};

/* Read a trace. 0 or a negative errno with a message. */
int explore_recovery_read(int fd, const char *name, struct explore_recovery_facts *facts,
			  struct message *message);

#endif
