/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_VECTOR_H
#define COMMON_VECTOR_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * A growing array of any type:
 *
 *	VECTOR(struct extent) extents = { 0 };              a local one, or
 *	struct extents { VECTOR_FIELDS(struct extent); };   a type with a name
 *
 *	if (vector_append(&extents, one) < 0)
 *		return -ENOMEM;
 *	for (size_t i = 0; i < extents.count; i++)
 *		use(&extents.items[i]);
 *	vector_free(&extents);
 *
 * An all-zero vector is empty and owns nothing. `items` and `count` are for the user to read and
 * write: set `count` to less to drop items at the end. `room` is private to this header. Functions
 * that grow a vector return 0 or -ENOMEM, also for a size that overflows, and a failure leaves the
 * vector as it was. Growing may move the items: a pointer to one is valid until then. The room at
 * least doubles, so that appending n items takes time O(n). Not thread safe.
 *
 * `vector` is evaluated once, and so is the value (only after room for it was made).
 */
#define VECTOR_FIELDS(type)									\
	type *items;										\
	size_t count, room
#define VECTOR(type)										\
	struct {										\
		VECTOR_FIELDS(type);								\
	}

/* Give a local vector's memory back at the end of its scope. For vectors of any type. */
#define CLEANUP_VECTOR __attribute__((cleanup(vector_cleanup_fn)))

/* Make room for `more` items after the last one. */
#define vector_reserve(vector, more)								\
	({											\
		__typeof__(vector) reserve_in = (vector);					\
		size_t reserve_more = (more);							\
		int reserve_error = 0;								\
												\
		if (reserve_more > reserve_in->room - reserve_in->count) {			\
			void *reserve_grown = vector_grown(reserve_in->items, reserve_in->count, \
							   &reserve_in->room, reserve_more,	\
							   sizeof(*reserve_in->items));		\
			if (reserve_grown)							\
				reserve_in->items = reserve_grown;				\
			else									\
				reserve_error = -ENOMEM;					\
		}										\
		reserve_error;									\
	})

/* Add an item at the end. The value may be a compound literal. */
#define vector_append(vector, ...)								\
	({											\
		__typeof__(vector) append_to = (vector);					\
		int append_error = vector_reserve(append_to, 1);				\
												\
		if (!append_error)								\
			append_to->items[append_to->count++] = (__VA_ARGS__);			\
		append_error;									\
	})

/*
 * Add copies of `many` items at the end. `from` points to items of the vector's type, which are not its own;
 * for a vector of bytes, to anything.
 */
#define vector_append_all(vector, from, many)							\
	({											\
		__typeof__(vector) all_to = (vector);						\
		const void *all_from = (from);							\
		size_t all_many = (many);							\
		int all_error = vector_reserve(all_to, all_many);				\
												\
		if (!all_error && all_many) {							\
			memcpy(&all_to->items[all_to->count], all_from,				\
			       all_many * sizeof(*all_to->items));				\
			all_to->count += all_many;						\
		}										\
		all_error;									\
	})

/* Add an all-zero item at the end: a pointer to it, or NULL if there is no memory. */
#define vector_append_zero(vector)								\
	({											\
		__typeof__(vector) zero_to = (vector);						\
		__typeof__(zero_to->items) zero_item = NULL;					\
												\
		if (vector_reserve(zero_to, 1) == 0) {						\
			zero_item = &zero_to->items[zero_to->count++];				\
			memset(zero_item, 0, sizeof(*zero_item));				\
		}										\
		zero_item;									\
	})

/* Add an item before the one at index `at`, which is at most the count. */
#define vector_insert(vector, at, ...)								\
	({											\
		__typeof__(vector) insert_to = (vector);					\
		size_t insert_at = (at);							\
		int insert_error = vector_reserve(insert_to, 1);				\
												\
		if (!insert_error) {								\
			memmove(&insert_to->items[insert_at + 1], &insert_to->items[insert_at],	\
				(insert_to->count - insert_at) * sizeof(*insert_to->items));	\
			insert_to->items[insert_at] = (__VA_ARGS__);				\
			insert_to->count++;							\
		}										\
		insert_error;									\
	})

/* Take out the item at index `at`, which is below the count; those after it move down. */
#define vector_remove(vector, at)								\
	({											\
		__typeof__(vector) remove_from = (vector);					\
		size_t remove_at = (at);							\
												\
		remove_from->count--;								\
		memmove(&remove_from->items[remove_at], &remove_from->items[remove_at + 1],	\
			(remove_from->count - remove_at) * sizeof(*remove_from->items));	\
	})

/* Give the memory back; the vector is empty afterwards and may be used again. */
#define vector_free(vector)									\
	({											\
		__typeof__(vector) free_in = (vector);						\
												\
		free(free_in->items);								\
		free_in->items = NULL;								\
		free_in->count = free_in->room = 0;						\
	})

/*
 * Private to the macros above. The array of `room` items, `count` of which are used, with room for
 * at least `more` items after those; *room is updated. NULL if there is no memory or a size
 * overflows: then `items` and *room are as they were.
 */
void *vector_grown(void *items, size_t count, size_t *room, size_t more, size_t item_size);

/* Every vector begins with the pointer to its items. */
static inline void vector_cleanup_fn(void *vector)
{
	void *items;

	memcpy(&items, vector, sizeof(items));
	free(items);
}

#endif
