/* SPDX-License-Identifier: BSD-3-Clause */
#include "parking.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

void fusefs_parking_init(struct parking *parking)
{
	pthread_mutex_init(&parking->lock, NULL);
	parking->first = NULL;
	parking->end = &parking->first;
}

void fusefs_parking_destroy(struct parking *parking)
{
	struct parked_request *parked, *next;

	for (parked = fusefs_parking_take(parking); parked; parked = next) {
		next = parked->next;
		free(parked);
	}
	pthread_mutex_destroy(&parking->lock);
}

int fusefs_parking_add(struct parking *parking, const void *bytes, size_t size)
{
	struct parked_request *parked = malloc(sizeof(*parked) + size);

	if (!parked)
		return -ENOMEM;
	parked->next = NULL;
	parked->size = size;
	memcpy(parked->bytes, bytes, size);
	LOCK_SCOPE(&parking->lock);
	*parking->end = parked;
	parking->end = &parked->next;
	return 0;
}

bool fusefs_parking_remove(struct parking *parking, uint64_t unique)
{
	LOCK_SCOPE(&parking->lock);

	for (struct parked_request **at = &parking->first; *at; at = &(*at)->next) {
		struct parked_request *parked = *at;
		const struct fuse_in_header *in = (const void *)parked->bytes;

		if (in->unique != unique)
			continue;
		*at = parked->next;
		if (!*at)
			parking->end = at;
		free(parked);
		return true;
	}
	return false;
}

struct parked_request *fusefs_parking_take(struct parking *parking)
{
	LOCK_SCOPE(&parking->lock);
	struct parked_request *first = steal_pointer(&parking->first);

	parking->end = &parking->first;
	return first;
}
