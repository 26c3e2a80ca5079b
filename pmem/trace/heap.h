/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_HEAP_H
#define TRACE_HEAP_H

/* For merge.c and merge_run.c only: sources ordered by the stamp of their next event. */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "trace/source.h"

struct source_heap {
	struct source **at; /* [0] is the one with the least stamp */
	size_t count, room;
};

/* Append without an order: a heap that is only appended to is a list. 0 or -ENOMEM. */
static inline int heap_append(struct source_heap *heap, struct source *source)
{
	if (heap->count == heap->room) {
		const size_t room = heap->room ? 2 * heap->room : 16;
		struct source **at = realloc(heap->at, room * sizeof(*at));

		if (!at)
			return -ENOMEM;
		heap->at = at;
		heap->room = room;
	}
	heap->at[heap->count++] = source;
	return 0;
}

/* Move the source down to its place, as its stamp has grown. */
static inline void heap_down(struct source_heap *heap, size_t at)
{
	struct source *moved = heap->at[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && heap->at[child + 1]->stamp < heap->at[child]->stamp)
			child++;
		if (heap->at[child]->stamp >= moved->stamp)
			break;
		heap->at[at] = heap->at[child];
		at = child;
	}
	heap->at[at] = moved;
}

static inline void heap_up(struct source_heap *heap, size_t at)
{
	struct source *moved = heap->at[at];

	for (; at && heap->at[(at - 1) / 2]->stamp > moved->stamp; at = (at - 1) / 2)
		heap->at[at] = heap->at[(at - 1) / 2];
	heap->at[at] = moved;
}

/* 0 or -ENOMEM. */
static inline int heap_push(struct source_heap *heap, struct source *source)
{
	int error = heap_append(heap, source);

	if (!error)
		heap_up(heap, heap->count - 1);
	return error;
}

/* Remove the one with the least stamp. */
static inline void heap_pop(struct source_heap *heap)
{
	heap->at[0] = heap->at[--heap->count];
	if (heap->count)
		heap_down(heap, 0);
}

#endif
