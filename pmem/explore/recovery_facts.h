/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_RECOVERY_FACTS_H
#define EXPLORE_RECOVERY_FACTS_H

/* The trace of a recovery that was recorded, when it is told from others. */

#include <stdbool.h>

#include "common/message.h"
#include "common/vector.h"
#include "explore/image.h"

struct explore_recovery_facts {
	bool writes; /* it changes files: bytes, names, sizes or attributes */
	/*
	 * Of all that can matter at a crash, in its order: what was stored, flushed, fenced, done to files
	 * and synced, and where, and that there was a mark. Threads, times, addresses and sites do not
	 * count, nor do events that only tell of processes: when the daemon notices that one has ended, the
	 * next one may have written already.
	 */
	struct explore_digest shape;
	/*
	 * The same with the bytes that were stored and the ones that were there before. Recoveries that
	 * did the same have equal ones, though they began with files that differ elsewhere.
	 */
	struct explore_digest contents;
	VECTOR(uint64_t) uncounted; /* numbers of the events that do not count, ascending */
};

/* Read a trace. To be cleared in any case. 0 or a negative errno with a message. */
int explore_recovery_read(int fd, const char *name, struct explore_recovery_facts *facts,
			  struct message *message);
void explore_recovery_facts_clear(struct explore_recovery_facts *facts);

/*
 * Names of states (trial.h) have numbers of events. In the name that is valid for all recoveries of the same
 * shape only the events that count have numbers. From the name of a state of this trace, and back to it. For
 * the caller to free; NULL without memory. What is no name stays none.
 */
char *explore_recovery_name_for_all(const struct explore_recovery_facts *facts, const char *name);
char *explore_recovery_name_here(const struct explore_recovery_facts *facts, const char *name);

#endif
