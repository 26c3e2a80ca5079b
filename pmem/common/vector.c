/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/vector.h"

#include <stdint.h>

#define FIRST_ROOM 8u

/* Not reallocarray(): AddressSanitizer ends a process whose sizes overflow there. */
static void *resized(void *items, size_t room, size_t item_size)
{
	return room <= SIZE_MAX / item_size ? realloc(items, room * item_size) : NULL;
}

void *vector_grown(void *items, size_t count, size_t *room, size_t more, size_t item_size)
{
	size_t wanted, doubled = *room <= SIZE_MAX / 2 ? *room * 2 : SIZE_MAX;
	void *grown;

	if (__builtin_add_overflow(count, more, &wanted))
		return NULL;
	if (wanted < FIRST_ROOM)
		wanted = FIRST_ROOM;
	/* Where doubling is more than there is, what was asked for may still fit. */
	grown = doubled > wanted ? resized(items, doubled, item_size) : NULL;
	if (grown) {
		*room = doubled;
		return grown;
	}
	grown = resized(items, wanted, item_size);
	if (grown)
		*room = wanted;
	return grown;
}
