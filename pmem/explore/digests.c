/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/digests.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_CAPACITY 1024u

static bool is_free(const struct explore_digest *slot)
{
	return !slot->low && !slot->high;
}

/* The digest's slot, or the free one where it belongs. The set has a free slot. */
static struct explore_digest *find(const struct explore_digests *digests, const struct explore_digest *digest)
{
	size_t at = (size_t)digest->low & (digests->capacity - 1);

	while (!is_free(&digests->slots[at]) &&
	       (digests->slots[at].low != digest->low || digests->slots[at].high != digest->high))
		at = (at + 1) & (digests->capacity - 1);
	return &digests->slots[at];
}

static int grow(struct explore_digests *digests)
{
	struct explore_digests larger = { .capacity =
						  digests->capacity ? 2 * digests->capacity : FIRST_CAPACITY,
					  .count = digests->count };

	larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
	if (!larger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < digests->capacity; i++)
		if (!is_free(&digests->slots[i]))
			*find(&larger, &digests->slots[i]) = digests->slots[i];
	free(digests->slots);
	*digests = larger;
	return 0;
}

int explore_digests_add(struct explore_digests *digests, struct explore_digest digest, bool *is_new)
{
	struct explore_digest *slot;
	int error = digests->count < digests->capacity / 2 ? 0 : grow(digests);

	if (error)
		return error;
	/* A free slot is all zero, so the digest that is 0 becomes another one. */
	digest.high |= is_free(&digest);
	slot = find(digests, &digest);
	*is_new = is_free(slot);
	if (*is_new) {
		*slot = digest;
		digests->count++;
	}
	return 0;
}

void explore_digests_clear(struct explore_digests *digests)
{
	free(digests->slots);
	*digests = (struct explore_digests){ 0 };
}
