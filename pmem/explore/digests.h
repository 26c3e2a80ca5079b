/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_DIGESTS_H
#define EXPLORE_DIGESTS_H

/*
 * A set of digests. All-zero it is empty. Two states whose digests of 128 bits are equal
 * are taken for equal; among a thousand million states the chance that two different ones are is below 2^-68.
 * Not thread safe.
 */

#include <stdbool.h>
#include <stddef.h>

#include "explore/image.h"

struct explore_digests {
	struct explore_digest *slots; /* both halves 0: free */
	size_t capacity;	      /* 0 or a power of two */
	size_t count;
};

/* *is_new: it was not there before. 0, or -ENOMEM and the set is as it was. */
int explore_digests_add(struct explore_digests *digests, struct explore_digest digest, bool *is_new);
void explore_digests_clear(struct explore_digests *digests);

#endif
