/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_HEAP_H
#define TRACE_HEAP_H

/* For merge.c and merge_run.c only: sources ordered by the stamp of their next event. */

#include "common/vector.h"
#include "trace/source.h"

/* items[0] is the one with the least stamp. One that is only appended to is a list, in no order. */
struct source_heap {
	VECTOR_FIELDS(struct source *);
};

/* Move the source down to its place, as its stamp has grown. */
static inline void heap_down(struct source_heap *heap, size_t at)
{
	struct source *moved = heap->items[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && heap->items[child + 1]->stamp < heap->items[child]->stamp)
			child++;
		if (heap->items[child]->stamp >= moved->stamp)
			break;
		heap->items[at] = heap->items[child];
		at = child;
	}
	heap->items[at] = moved;
}

static inline void heap_up(struct source_heap *heap, size_t at)
{
	struct source *moved = heap->items[at];

	for (; at && heap->items[(at - 1) / 2]->stamp > moved->stamp; at = (at - 1) / 2)
		heap->items[at] = heap->items[(at - 1) / 2];
	heap->items[at] = moved;
}

/* 0 or -ENOMEM. */
static inline int heap_push(struct source_heap *heap, struct source *source)
{
	int error = vector_append(heap, source);

	if (!error)
		heap_up(heap, heap->count - 1);
	return error;
}

/* Remove the one with the least stamp. */
static inline void heap_pop(struct source_heap *heap)
{
	heap->items[0] = heap->items[--heap->count];
	if (heap->count)
		heap_down(heap, 0);
}

#endif
